"""The silence follows this speaker's pauses and waits for a clause that is not finished. Pure.

1. Nothing known: the configured silence.
2. The more of the speaker's inner pauses are known, the more what they need takes its place (habits.py), within half
   and three times the configured silence.
3. Where the transcript stops in the middle of a clause, three times that: nobody means to end on "and".
"""

from __future__ import annotations

from voice.turn_detection.habits import Habits
from voice.turn_detection.spec import Detector, DetectorSpec, Patience, Pause
from voice.turn_detection.unfinished import unfinished

__all__ = ["SPEC", "Adaptive"]

_UNFINISHED_FACTOR = 3.0


class Adaptive:
    def __init__(self, patience: Patience, habits: Habits) -> None:
        self._patience, self._habits = patience, habits

    def silence_s(self, pause: Pause) -> float:
        silence_s = self._habits.silence_s(self._patience.silence_s)
        if pause.text is not None and unfinished(pause.text):
            silence_s *= _UNFINISHED_FACTOR
        return min(silence_s, self._patience.deadline_s)


def _make(patience: Patience, habits: Habits) -> Detector:
    return Adaptive(patience, habits)


SPEC = DetectorSpec("adaptive", "learns the speaker's pauses, waits for unfinished clauses", _make)
