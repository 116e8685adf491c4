"""When a worker that is alive but no longer answers is taken for hung. Pure; `now` is an argument in seconds."""

from __future__ import annotations

__all__ = ["Heartbeat"]

MISSES = 3
"""In a row, at least: after a pause of the whole machine the first question may be lost without meaning anything."""


class Heartbeat:
    """Hung is who has missed several questions in a row and has answered none for `patience_s`. A worker answers its
    health check beside its work, so that a long prompt or a slow step is no reason to miss one.
    """

    def __init__(self, patience_s: float, now: float) -> None:
        self.patience_s = patience_s
        self.silent_since = now
        self._misses = 0

    @property
    def every_s(self) -> float:
        """Between two questions, and how long an answer may take."""
        return min(5.0, self.patience_s / (MISSES + 1))

    def step(self, answered: bool, now: float) -> bool:
        """Whether it is hung."""
        if answered:
            self.silent_since, self._misses = now, 0
            return False
        self._misses += 1
        return self._misses >= MISSES and now - self.silent_since >= self.patience_s
