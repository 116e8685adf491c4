"""Whose turn it is among equal backends: requests are counted by the name that they ask for. Pure.

Counted all together, two kinds of requests that alternate (a search and its answer) would each always meet the same
backend.
"""

from __future__ import annotations

__all__ = ["Turns"]

KEPT = 256
"""Names; of more, those that were asked for longest ago begin anew. Clients make names up."""
LONGEST_NAME = 200


class Turns:
    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def of(self, name: str) -> int:
        return self._counts.get(name[:LONGEST_NAME], 0)

    def next(self, name: str) -> None:
        self._counts[name[:LONGEST_NAME]] = self._counts.pop(name[:LONGEST_NAME], 0) + 1
        while len(self._counts) > KEPT:
            del self._counts[next(iter(self._counts))]
