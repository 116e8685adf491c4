"""Output is held at the first frames of what may be speech, before it is sure that somebody speaks. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

__all__ = ["Brace"]

LASTS_S = 0.25
"""What may be speech is speech by then, or it is not."""
AGAIN_S = 0.2
RARELY_S = 10.0
"""After a hold for nothing a sound has to be speech for sure: for so long, doubled each time, and at most so long."""


@dataclass(slots=True)
class Brace:
    """What clicks again and again is waited for longer each time: a reply must not stutter."""

    ends_at: float = 0.0
    _not_before: float = -inf
    _clicks: int = 0

    def may_begin(self, now: float) -> bool:
        return now >= self._not_before

    def begin(self, now: float) -> None:
        self.ends_at = now + LASTS_S

    def was_click(self, now: float) -> None:
        self._clicks += 1
        self._not_before = now + min(AGAIN_S * 2**self._clicks, RARELY_S)

    def was_speech(self) -> None:
        self._clicks = 0
