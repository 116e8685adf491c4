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
_SHARE = 0.9
_MARGIN = 1.15
_SURE_AFTER = 12
_SLOW_AFTER = 4
"""Pauses after which the speaker's own count for all: to be cut off is worse than to wait a little."""
_QUICKEST, _SLOWEST = 0.5, 3.0
"""Times the configured silence."""


class Habits:
    """One speaker; bounded: the oldest pauses are forgotten."""

    __slots__ = ("_inside",)

    def __init__(self) -> None:
        self._inside: deque[tuple[float, float]] = deque(maxlen=_KEPT)

    def went_on(self, pause_s: float, over: float | None = None) -> None:
        """The speaker went on after `pause_s`. `over`: the probability that the turn was over, by its sound."""
        if 0 < pause_s <= LONGEST_S:
            self._inside.append((pause_s, 0.0 if over is None else over))

    def silence_s(self, given_s: float) -> float:
        """What this speaker needs in place of `given_s`, within half and three times that: the more of their pauses
        are known, the more these count; for who pauses long sooner than for who does not."""
        learned_s = _percentile_s([*_PRIOR_S, *(pause_s for pause_s, _ in self._inside)]) * _MARGIN
        trust = min(1.0, len(self._inside) / (_SLOW_AFTER if learned_s > given_s else _SURE_AFTER))
        return min(max(given_s + trust * (learned_s - given_s), given_s * _QUICKEST), given_s * _SLOWEST)

    def sure_s(self, given_s: float, sure: float) -> float:
        """The same where the turn is over with a probability of `sure` at least, never less than `given_s`: by those
        pauses only of which that was said, and wrongly."""
        fooled = [pause_s for pause_s, over in self._inside if over >= sure]
        if not fooled:
            return given_s
        trust = min(1.0, len(fooled) / _SLOW_AFTER)
        learned_s = given_s + trust * (_percentile_s(fooled) * _MARGIN - given_s)
        return min(max(given_s, learned_s), given_s * _SLOWEST)


def _percentile_s(pauses: list[float]) -> float:
    """The pause that nine in ten of these do not exceed."""
    pauses = sorted(pauses)
    place = _SHARE * (len(pauses) - 1)
    low = int(place)
    high = min(low + 1, len(pauses) - 1)
    return pauses[low] + (pauses[high] - pauses[low]) * (place - low)
