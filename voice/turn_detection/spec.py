"""What a turn detector is: how long the silence must last until the user's turn is over. Pure.

A detector is asked again whenever more is known of the pause (the transcript came, the model has listened), so its
answer may change while the pause lasts. Whatever it says, the turn machine waits `deadline_s` at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from voice.port import Pcm
from voice.turn_detection.habits import Habits

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Detector", "DetectorSpec", "Patience", "Pause", "Scorer"]


@dataclass(frozen=True, slots=True)
class Pause:
    """`text`: the transcript of the turn so far, None while there is none. `probability`: that the turn is over, by
    its sound; None where no model has listened (yet)."""

    text: str | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """`silence_s` is the silence that ends a turn of which nothing special is known, `deadline_s` the longest."""

    silence_s: float
    deadline_s: float


class Detector(Protocol):
    def silence_s(self, pause: Pause) -> float:
        """Seconds of silence after which the turn is over, by what is known now."""
        ...


class Scorer(Protocol):
    """One for all sessions: called from several threads at once."""

    def score(self, pcm: Pcm) -> float:
        """The probability (0..1) that the turn is over at the end of `pcm`: int16 mono 16 kHz, any length."""
        ...


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """`load` is there where the detector listens with a model: it reads the file and takes a second."""

    name: str
    description: str
    make: Callable[[Patience, Habits], Detector]
    load: Callable[[Path], Scorer] | None = None
