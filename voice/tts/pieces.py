"""Pure: cut a text into pieces that one synthesis call can do quickly, at the best places it has."""

from __future__ import annotations

import re

__all__ = ["pieces", "plain"]

# Best place first: after a sentence, after a clause, between words.
_BREAKS = (re.compile(r"[.!?…。！？]+[\"')\]]*\s+|\n+|[。！？]"), re.compile(r"[,;:，；：]\s+"), re.compile(r"\s+"))

_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def plain(text: str) -> str:
    """`text` with a space for every control character and lone surrogate, which no synthesiser takes."""
    return _NOT_TEXT.sub(" ", text)


def pieces(text: str, limit: int = 240) -> list[str]:
    """Consecutive slices of `text`, each at most `limit` characters, that together are `text`.

    A text within the limit stays whole, so that the engine sees its sentences together. A run of more than
    `limit` characters without any space is cut where it stands.
    """
    if limit < 1:
        raise ValueError("limit must be at least 1")
    found = []
    rest = text
    while len(rest) > limit:
        cut = _best_cut(rest[:limit])
        found.append(rest[:cut])
        rest = rest[cut:]
    if rest:
        found.append(rest)
    return found


def _best_cut(window: str) -> int:
    """The end of the last sentence in the window, else of the last clause past its middle, else of a word."""
    for rank, breaks in enumerate(_BREAKS):
        ends = [match.end() for match in breaks.finditer(window)]
        if ends and (rank != 1 or ends[-1] > len(window) // 2):
            return ends[-1]
    return len(window)
