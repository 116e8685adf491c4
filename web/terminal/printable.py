"""Text of others (models, servers, files) as a terminal may show it: what would steer the terminal is spelled out."""

from __future__ import annotations

import re

__all__ = ["printable"]

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tabs and ends of lines, marks that turn the direction of text, half characters."""


def printable(text: str) -> str:
    """The text with `\\x1b` for an escape."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
