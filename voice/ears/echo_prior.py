"""What was found out of a device in an earlier session: whether its microphone hears us, and how. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from voice.ears.echo_finder import EchoState

__all__ = ["EchoPrior"]


@dataclass(frozen=True, slots=True)
class EchoPrior:
    """`state` absent or present; where present, `delay` in samples (16 kHz), which is another by some tens of
    milliseconds today, and `level`: how much of our power came back."""

    state: EchoState
    delay: int = 0
    level: float = 1.0
