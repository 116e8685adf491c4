"""Thoughts in the form of the server that thought them, signed or encrypted: it wants them back as they were with the
results of the tools it called. Pure.

`reasoning_details` is OpenRouter's name, `thinking_blocks` LiteLLM's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["details_of", "gather"]

_NAMES = ("reasoning_details", "thinking_blocks")
_TEXTS = ("text", "summary", "thinking")


def details_of(message: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Those of a delta or a whole message."""
    return {name: parts for name in _NAMES if isinstance(parts := message.get(name), list) and parts}


def gather(whole: dict[str, list[Any]], more: Mapping[str, list[Any]]) -> None:
    """Adds those of the next delta: a part may go on with the text of the last one, and its signature ends it."""
    for name, parts in more.items():
        gathered = whole.setdefault(name, [])
        for part in parts:
            last = gathered[-1] if gathered else None
            if isinstance(last, dict) and isinstance(part, dict) and _goes_on(last, part):
                texts = {
                    key: last[key] + part[key] for key in _TEXTS if key in last and isinstance(part.get(key), str)
                }
                last |= {key: value for key, value in part.items() if value is not None} | texts
            else:
                gathered.append(dict(part) if isinstance(part, dict) else part)


def _goes_on(last: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    same = all(last.get(key) == part.get(key) for key in ("type", "index"))
    return same and not last.get("signature") and any(isinstance(last.get(key), str) for key in _TEXTS)
