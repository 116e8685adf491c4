"""Log lines that would say the same with every request. Pure.

A dead backend is passed over by each of them: the first line says so at once, and then one a minute, with how many it
stands for.
"""

from __future__ import annotations

from collections.abc import Hashable

__all__ = ["Repeats"]

EVERY_S = 60.0
KEPT = 256
"""Lines that are remembered; of more, the one that was written longest ago is forgotten."""


class Repeats:
    def __init__(self) -> None:
        self._lines: dict[Hashable, tuple[float, int]] = {}
        """When it was written, and how often it was not since."""

    def due(self, line: Hashable, now_s: float) -> int:
        """How many the line is to stand for now; 0: it is not to be written."""
        written_s, unsaid = self._lines.get(line, (-EVERY_S, 0))
        if now_s < written_s + EVERY_S:
            self._lines[line] = written_s, unsaid + 1
            return 0
        self._lines.pop(line, None)
        while len(self._lines) >= KEPT:
            del self._lines[next(iter(self._lines))]
        self._lines[line] = now_s, 0
        return unsaid + 1
