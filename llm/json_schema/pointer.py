"""Where a reference of a JSON schema leads (RFC 6901, as the fragment of an address)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

__all__ = ["pointed"]


def pointed(whole: Any, reference: Any) -> Any:
    """Raises ValueError saying what is wrong with the reference."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise ValueError('a reference within the schema is needed, like "#/$defs/name"')
    found = whole
    for part in reference.split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(found):
            found = found[int(name[:9])]
        elif isinstance(found, Mapping) and name in found:
            found = found[name]
        else:
            raise ValueError(f"the reference {reference[:80]!r} leads nowhere")
    return found
