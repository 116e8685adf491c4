"""What the router knows of one backend: health, models, breaker, load, first-token time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import anyio

from llm import breaker
from llm.breaker import Breaker
from llm.errors import BackendFailed, BackendUnreachable, LlmError, Overloaded, WorkerDied
from llm.port import BackendConfig, ModelInfo
from llm.router import Candidate

__all__ = ["Attempt", "BackendRecord", "BackendView", "Problem"]

_SMOOTH = 0.3
"""Weight of the newest first-token time."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the last question was not answered. Not the exception: that would hold the frames it came through."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class BackendView:
    """What is known of a backend at one moment. `healthy` None: it was never asked. Times in seconds."""

    name: str
    config: BackendConfig
    healthy: bool | None
    models: tuple[ModelInfo, ...]
    problem: Problem | None
    breaker: Literal["closed", "open", "half_open"]
    failures: int
    retry_in_s: float
    cooling: bool
    busy: int
    latency_s: float | None


class BackendRecord:
    def __init__(self) -> None:
        self.healthy: bool | None = None
        self.listed: tuple[ModelInfo, ...] = ()
        self.busy = 0
        self.latency_s: float | None = None
        self.breaker = Breaker()
        self.cooling = False
        """It is not broken: it asked for a pause."""
        self.problem: Problem | None = None
        """Why it is not healthy, where a question about itself told."""

    def candidate(self, name: str, model: str, priority: int) -> Candidate:
        return Candidate(
            name,
            model,
            tuple(info.id for info in self.listed),
            self.healthy,
            priority,
            self.admitted(),
            self.busy,
            self.latency_s,
        )

    def view(self, name: str, config: BackendConfig) -> BackendView:
        now_s = anyio.current_time()
        return BackendView(
            name,
            config,
            self.healthy,
            self.listed,
            None if self.healthy else self.problem,
            breaker.state(self.breaker, now_s),
            self.breaker.failures,
            breaker.waits(self.breaker, now_s),
            self.cooling and self.breaker.open_until_s is not None,
            self.busy,
            self.latency_s,
        )

    def admitted(self) -> bool:
        return breaker.admits(self.breaker, anyio.current_time())

    def refusal(self, name: str) -> LlmError:
        """Why nothing is sent now."""
        left_s = math.ceil(breaker.waits(self.breaker, anyio.current_time()))
        if self.cooling:
            return Overloaded(f"{name} asked for a pause", hint=f"try again in {left_s} s", retry_after_s=left_s)
        return BackendUnreachable(
            f"{name} failed {self.breaker.failures} times in a row", hint=f"it is tried again in {left_s} s"
        )

    def probed(self, listed: tuple[ModelInfo, ...] | None, problem: Problem | None = None) -> None:
        """It listed its models, or did not answer (None): then the old list stays, for those who ask by name."""
        self.healthy, self.problem = listed is not None, problem
        if listed is not None:
            self.listed = listed
            self.breaker = breaker.probed(self.breaker, anyio.current_time())

    def asked(self) -> Attempt:
        return Attempt(self)


class Attempt:
    """One request to the backend, as long as the block. A client that goes away says nothing about the backend."""

    def __init__(self, record: BackendRecord) -> None:
        self._record = record
        self._started_s = 0.0

    def __enter__(self) -> Attempt:
        self._started_s = anyio.current_time()
        self._record.busy += 1
        self._record.breaker = breaker.tried(self._record.breaker, self._started_s)
        return self

    def __exit__(self, *error: object) -> None:
        self._record.busy -= 1

    def begun(self) -> None:
        took_s, known_s = anyio.current_time() - self._started_s, self._record.latency_s
        self._record.latency_s = took_s if known_s is None else known_s + _SMOOTH * (took_s - known_s)

    def succeeded(self) -> None:
        self._record.healthy = True
        self._record.cooling = False
        self._record.breaker = breaker.succeeded(self._record.breaker)

    def failed(self, error: LlmError, *, guarded: bool) -> None:
        """`guarded` False: one of our own slots, whose pool knows better when to ask it again."""
        record, now_s = self._record, anyio.current_time()
        unreachable = isinstance(error, BackendUnreachable)
        if unreachable or isinstance(error, WorkerDied):
            record.healthy = False
        if not guarded:
            return
        if isinstance(error, Overloaded):
            if error.told:
                record.cooling = True
                record.breaker = breaker.failed(record.breaker, now_s, retry_after_s=error.retry_after_s)
        elif unreachable or isinstance(error, BackendFailed | WorkerDied):
            record.cooling = False
            record.breaker = breaker.failed(record.breaker, now_s, unreachable=unreachable)
