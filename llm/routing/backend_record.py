"""What the router knows of one backend: health, models, breaker, load, first-token time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import anyio

from llm.errors import BackendFailed, BackendUnreachable, LlmError, Overloaded, RateLimited, WorkerDied
from llm.local_names import UNNAMED
from llm.port import BackendConfig, ModelInfo
from llm.routing import breaker
from llm.routing.abilities import Abilities, any_of, only
from llm.routing.breakers import Breakers
from llm.routing.router import Candidate

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
    left_alone: tuple[tuple[str, float], ...]
    """Models that are not asked for now, and for how long."""
    busy: int
    latency_s: float | None


class BackendRecord:
    def __init__(self) -> None:
        self.healthy: bool | None = None
        self.listed: tuple[ModelInfo, ...] = ()
        self.busy = 0
        self.latency_s: float | None = None
        self.breakers = Breakers()
        self.limited = False
        """The last pause it asked for was for its rate limit."""
        self.problem: Problem | None = None
        """Why it is not healthy, where a question about itself told."""

    def candidate(self, name: str, config: BackendConfig) -> Candidate:
        return Candidate(
            name,
            config.model,
            tuple(info.id for info in self.listed),
            self.healthy,
            config.priority,
            breaker.admits(self.breakers.server, anyio.current_time()),
            self.busy,
            self.latency_s,
            self._able(config),
        )

    def _able(self, config: BackendConfig) -> dict[str, Abilities]:
        able: dict[str, Abilities] = {info.id: info.able for info in self.listed}
        if config.type == "slot" and config.model == UNNAMED:  # our own slots take the model that can
            able[UNNAMED] = any_of(able.values())
        if config.capabilities:
            told = only(config.capabilities)
            able = {model: {**told, **one} for model, one in able.items()}
            able.setdefault(config.model, told)
        return able

    def view(self, name: str, config: BackendConfig) -> BackendView:
        now_s, server = anyio.current_time(), self.breakers.server
        left_alone = tuple((model, breaker.waits(one, now_s)) for model, one in self.breakers.left_alone(now_s))
        return BackendView(
            name,
            config,
            self.healthy,
            self.listed,
            None if self.healthy else self.problem,
            breaker.state(server, now_s),
            server.failures,
            breaker.waits(server, now_s),
            server.cooling,
            left_alone,
            self.busy,
            self.latency_s,
        )

    def admitted(self, model: str) -> bool:
        return self.breakers.admits(model, anyio.current_time())

    def refusal(self, name: str, model: str) -> LlmError:
        """Why nothing is sent now."""
        now_s = anyio.current_time()
        against = self.breakers.refusing(model, now_s) or self.breakers.server
        left_s = math.ceil(breaker.waits(against, now_s))
        who = name if against is self.breakers.server else f"{name}/{model}"
        if against.cooling:
            kind = RateLimited if self.limited else Overloaded
            return kind(f"{who} asked for a pause", hint=f"try again in {left_s} s", retry_after_s=left_s)
        return BackendUnreachable(
            f"{who} failed {against.failures} times in a row", hint=f"it is tried again in {left_s} s"
        )

    def probed(self, listed: tuple[ModelInfo, ...] | None, problem: Problem | None = None) -> None:
        """It listed its models, or did not answer (None): then the old list stays, for those who ask by name."""
        self.healthy, self.problem = listed is not None, problem
        if listed is not None:
            self.listed = listed
            self.breakers.probed(anyio.current_time())

    def asked(self, model: str) -> Attempt:
        return Attempt(self, model)


class Attempt:
    """One request to the backend, as long as the block. A client that goes away says nothing about the backend."""

    def __init__(self, record: BackendRecord, model: str) -> None:
        self._record, self._model = record, model
        self._started_s = 0.0
        self._is_trial = False

    def __enter__(self) -> Attempt:
        self._started_s = anyio.current_time()
        self._record.busy += 1
        self._is_trial = self._record.breakers.tried(self._model, self._started_s)
        return self

    def __exit__(self, *error: object) -> None:
        self._record.busy -= 1
        self._release()

    def _release(self) -> None:
        if self._is_trial:
            self._is_trial = False
            self._record.breakers.released(self._model)

    def begun(self) -> None:
        self._release()
        took_s, known_s = anyio.current_time() - self._started_s, self._record.latency_s
        self._record.latency_s = took_s if known_s is None else known_s + _SMOOTH * (took_s - known_s)

    def succeeded(self) -> None:
        self._record.healthy = True
        self._record.breakers.succeeded(self._model)

    def failed(self, error: LlmError, *, guarded: bool) -> None:
        """`guarded` False: one of our own slots, whose pool knows better when to ask it again."""
        record, now_s = self._record, anyio.current_time()
        unreachable = isinstance(error, BackendUnreachable) and not error.silent
        if unreachable or isinstance(error, WorkerDied):
            record.healthy = False
        if not guarded:
            return
        breakers, pause_s = record.breakers, None
        if isinstance(error, Overloaded):
            pause_s = error.retry_after_s if error.told else None
            record.limited = isinstance(error, RateLimited)
            if pause_s is None and not error.of_server:
                return  # too many requests for now: nothing is broken
        elif not isinstance(error, BackendUnreachable | BackendFailed | WorkerDied):
            return
        if error.of_server:
            breakers.server_failed(now_s, unreachable=unreachable, retry_after_s=pause_s)
        else:
            silent = isinstance(error, BackendUnreachable) and error.silent
            breakers.model_failed(self._model, now_s, silent=silent, retry_after_s=pause_s)
