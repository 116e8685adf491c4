"""How long this speaker pauses in the middle of what they say, learned while they talk. Pure.

A pause is *inside* when the speaker went on: within the turn, or so soon after it that they were plainly not done,
over the first sounds of our answer, too. Without those nothing longer than what is waited for would ever be learned.
The share of pauses that a limit would have cut is estimated from the last ones, with a prior that stands for the
speakers of the recordings that this was tuned on (docs/performance.md, endpointing): half of their pauses of more
than 128 ms are shorter than 0.25 s, one in ten is longer than 0.6 s.
"""

from __future__ import annotations

from collections import deque

__all__ = ["LONGEST_S", "Habits"]

_KEPT = 48
_PRIOR_S = (0.16, 0.18, 0.20, 0.22, 0.25, 0.28, 0.32, 0.38, 0.46, 0.6)
LONGEST_S = 3.0
"""After a longer pause the speaker began something new."""


class Habits:
    """One speaker; bounded: the oldest pauses are forgotten."""

    __slots__ = ("_inside",)

    def __init__(self) -> None:
        self._inside: deque[float] = deque(maxlen=_KEPT)

    def went_on(self, pause_s: float) -> None:
        """The speaker went on after `pause_s`."""
        if 0 < pause_s <= LONGEST_S:
            self._inside.append(pause_s)

    @property
    def known(self) -> int:
        """How many pauses of this speaker count."""
        return len(self._inside)

    def percentile_s(self, share: float) -> float:
        """The pause that `share` (0..1) of this speaker's inner pauses do not exceed, the prior counted in."""
        pauses = sorted((*_PRIOR_S, *self._inside))
        place = share * (len(pauses) - 1)
        low = int(place)
        high = min(low + 1, len(pauses) - 1)
        return pauses[low] + (pauses[high] - pauses[low]) * (place - low)
