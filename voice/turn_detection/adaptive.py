"""The silence follows this speaker's pauses and waits for a clause that is not finished. Pure.

1. Nothing known: the configured silence.
2. The more of the speaker's inner pauses are known, the more their 90th percentile, with a margin, takes its place,
   within half and three times the configured silence; for who pauses long sooner than for who does not.
3. Where the transcript stops in the middle of a clause, three times that: nobody means to end on "and".
"""

from __future__ import annotations

from voice.turn_detection.habits import Habits
from voice.turn_detection.spec import Detector, DetectorSpec, Patience, Pause
from voice.turn_detection.unfinished import unfinished

__all__ = ["SPEC", "Adaptive"]

_SHARE = 0.9
_MARGIN = 1.15
_SURE_AFTER = 12
_SLOW_AFTER = 4
"""Pauses after which the speaker's own count for all: to be cut off is worse than to wait a little."""
_UNFINISHED_FACTOR = 3.0
_QUICKEST, _SLOWEST = 0.5, 3.0
"""Times the configured silence."""


class Adaptive:
    def __init__(self, patience: Patience, habits: Habits) -> None:
        self._patience, self._habits = patience, habits

    def silence_s(self, pause: Pause) -> float:
        silence_s = self._usual_s()
        if pause.text is not None and unfinished(pause.text):
            silence_s *= _UNFINISHED_FACTOR
        return min(silence_s, self._patience.deadline_s)

    def _usual_s(self) -> float:
        given_s = self._patience.silence_s
        learned_s = self._habits.percentile_s(_SHARE) * _MARGIN
        trust = min(1.0, self._habits.known / (_SLOW_AFTER if learned_s > given_s else _SURE_AFTER))
        return min(max(given_s + trust * (learned_s - given_s), given_s * _QUICKEST), given_s * _SLOWEST)


def _make(patience: Patience, habits: Habits) -> Detector:
    return Adaptive(patience, habits)


SPEC = DetectorSpec("adaptive", "learns the speaker's pauses, waits for unfinished clauses", _make)
