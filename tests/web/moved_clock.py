"""A clock that is moved by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["MovedClock"]


class MovedClock:
    def __init__(self) -> None:
        self.seconds = 1000.0
        self.set_by_s = 0.0
        """How far the time of day was set meanwhile."""

    def now(self) -> float:
        return self.seconds

    def wall(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds + self.set_by_s)
