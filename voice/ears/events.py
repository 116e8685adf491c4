"""What the ears report: one closed union. Seconds count from the first sample that was fed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["AudioLost", "EarEvent", "EarFailed", "VadFrame", "WakeHeard"]


@dataclass(frozen=True, slots=True)
class VadFrame:
    """32 ms of audio up to `end_s` are speech with `probability` 0..1."""

    probability: float
    end_s: float
    level_db: float = 0.0
    """Loudness over one sample step."""


@dataclass(frozen=True, slots=True)
class WakeHeard:
    """`word` as it was given to the ear. The audio of the word lies in [start_s, end_s): cut there."""

    word: str
    score: float
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class AudioLost:
    """The ears were too far behind and did not listen to [start_s, end_s). Time goes on as if they had."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class EarFailed:
    """An engine failed on this ear's audio. `final`: the part is off for this ear; else it begins afresh."""

    part: Literal["vad", "wake"]
    message: str
    final: bool


EarEvent = VadFrame | WakeHeard | AudioLost | EarFailed
