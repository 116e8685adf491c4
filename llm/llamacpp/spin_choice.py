"""Whether threads that wait for each other may spin: only while each of them has a core. Pure.

A thread that waits for another of its team by spinning is the fastest where every one has a core, and the slowest
where one has lost its core to somebody else: beside one busy core of two, steps of a model of 120 M parameters took
31 ms with 300 spins and 100 with 100,000; on a free machine 22 and 17. The kernel knows: it counts for how long a
thread was ready to run and had no core.
"""

from __future__ import annotations

from collections import deque

__all__ = ["LOOK_S", "SpinChoice"]

LOOK_S = 0.02
"""Work between two looks."""
LOOKS = 4
"""In a row that count together: a client that asks and is answered takes a core for some milliseconds, too."""
CROWDED = 0.25
"""Of their time the threads waited for a core: 0.27 to 0.5 beside one busy core of two, 0.1 beside small work."""
HOLD_S, HOLD_MOST_S = 0.25, 8.0
"""So long nobody spins then; twice as long if it was in vain."""


class SpinChoice:
    """Times are seconds of one clock."""

    def __init__(self) -> None:
        self.spins = True
        self._hold_s = HOLD_S
        self._since = 0.0
        self._well = True  # since they spin again there was a time when they had their cores
        self._looks: deque[tuple[float, float]] = deque(maxlen=LOOKS)

    def alone(self, now: float) -> bool:
        """A step is over that one thread computed, which waits for nobody. Whether spinning is tried again from now
        on: where several threads that do not spin are slower than one, nobody would look any more.
        """
        if self.spins or now < self._since + self._hold_s:
            return False
        self._spin(now)
        return True

    def looked(self, waited_s: float, worked_s: float, now: float) -> None:
        """Since the last look the threads together worked for so long, and of that waited for a core."""
        self._looks.append((waited_s, worked_s))
        if len(self._looks) < LOOKS:
            return
        crowded = sum(waited for waited, _ in self._looks) > CROWDED * sum(worked for _, worked in self._looks)
        if self.spins and crowded:
            self._hold_s = HOLD_S if self._well else min(2 * self._hold_s, HOLD_MOST_S)
            self.spins, self._since = False, now
            self._looks.clear()
        elif self.spins:
            self._well = True
        elif crowded:
            self._since = max(self._since, now - self._hold_s + HOLD_S)
        elif now >= self._since + self._hold_s:
            self._spin(now)

    def _spin(self, now: float) -> None:
        self.spins, self._well, self._since = True, False, now
        self._looks.clear()
