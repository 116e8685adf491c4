"""A fixed silence ends the turn: what OpenAI's `server_vad` with a `silence_duration_ms` asks for. Pure."""

from __future__ import annotations

from voice.turn_detection.habits import Habits
from voice.turn_detection.spec import Detector, DetectorSpec, Patience, Pause

__all__ = ["SPEC", "Fixed"]


class Fixed:
    def __init__(self, patience: Patience) -> None:
        self._patience = patience

    def silence_s(self, pause: Pause) -> float:
        return min(self._patience.silence_s, self._patience.deadline_s)


def _make(patience: Patience, habits: Habits) -> Detector:
    return Fixed(patience)


SPEC = DetectorSpec("fixed", "a fixed silence", _make)
