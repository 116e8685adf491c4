"""What two partial transcripts of the same sound agree on. Pure."""

from __future__ import annotations

__all__ = ["agreed"]


def agreed(before: str, now: str) -> str:
    """The words that two transcripts begin with. The last one of the later may still become another word."""
    old, new = before.split(), now.split()
    count = 0
    while count < min(len(old), len(new) - 1) and old[count] == new[count]:
        count += 1
    return " ".join(new[:count])
