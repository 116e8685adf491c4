"""The audio clock of a session beside the clock on the wall. Pure."""

from __future__ import annotations

__all__ = ["AudioTime"]


class AudioTime:
    """`s` is how many seconds of audio were heard; `heard_at` when (monotonic) the last of them came."""

    __slots__ = ("heard_at", "s")

    def __init__(self) -> None:
        self.s = 0.0
        self.heard_at: float | None = None

    def hear(self, s: float, now: float) -> None:
        self.s, self.heard_at = s, now

    def when(self, s: float, now: float) -> float:
        """When the sample at `s` was spoken, on the clock of `now`; never in the future."""
        return now if self.heard_at is None else min(now, self.heard_at - (self.s - s))

    def late_at(self, patience_s: float) -> float | None:
        """When the next audio will be overdue by `patience_s`; None before any came."""
        return None if self.heard_at is None else self.heard_at + patience_s
