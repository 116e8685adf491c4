"""When a worker that ended may start again. Pure: no clock, no I/O; `now` is an argument in seconds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Ended", "Ready", "Restart", "RestartEvent", "Started", "Wait"]


@dataclass(frozen=True, slots=True)
class Started:
    """The process was launched."""


@dataclass(frozen=True, slots=True)
class Ready:
    """It answered its health check."""


@dataclass(frozen=True, slots=True)
class Ended:
    """It is gone, or it could not be launched."""


RestartEvent = Started | Ready | Ended


@dataclass(frozen=True, slots=True)
class Wait:
    """The one action: start it again after this long."""

    seconds: float


class Restart:
    """Doubles the pause with every life that failed to become ready or died young.

    1. It was ready and lived for `steady_s`: the next start is at once and the count begins anew.
    2. It was ready and died before that: back-off, but `hopeless` stays False, for it can start.
    3. It never became ready: back-off, and after `patience` such lives in a row `hopeless` is True:
       callers stop waiting for it, while the starts go on (a port may become free, a file be repaired).
    """

    def __init__(
        self, first_s: float = 0.1, longest_s: float = 15.0, steady_s: float = 30.0, patience: int = 3
    ) -> None:
        self.first_s = first_s
        self.longest_s = longest_s
        self.steady_s = steady_s
        self.patience = patience
        self.starts = 0
        self.failed_starts = 0
        self._short_lives = 0
        self._ready_at: float | None = None

    @property
    def hopeless(self) -> bool:
        return self.failed_starts >= self.patience

    def step(self, event: RestartEvent, now: float) -> list[Wait]:
        match event:
            case Started():
                self.starts += 1
                self._ready_at = None
                return []
            case Ready():
                self._ready_at = now
                self.failed_starts = 0
                return []
            case Ended():
                return [Wait(self._pause(now))]

    def _pause(self, now: float) -> float:
        ready_at, self._ready_at = self._ready_at, None
        if ready_at is not None and now - ready_at >= self.steady_s:  # 1
            self._short_lives = 0
            return 0.0
        if ready_at is None:  # 3
            self.failed_starts += 1
        self._short_lives += 1
        return min(self.longest_s, self.first_s * 2.0 ** min(self._short_lives - 1, 30))
