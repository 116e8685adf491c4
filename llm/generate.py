"""The entry to every language model: ask the router who may answer, walk the choices, stream the first that does.

It fails over only before the first event: after that the client has heard something, and a second voice would
contradict the first.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

import anyio
import structlog
from anyio.abc import TaskStatus

from llm.backend_record import BackendRecord
from llm.errors import LlmError, Overloaded, UnknownModel
from llm.messages import GenerateRequest
from llm.port import Backend, ModelInfo
from llm.route_trace import RouteTrace
from llm.router import Candidate, Choice, Strategy, route
from llm.stream import StreamEvent
from models.errors import ParleyError

__all__ = ["Router"]

EVERY_S = 10.0
EVERY_UNWELL_S = 1.0
"""Backends are asked for their health and models this often; more often while one of them is starting or dead."""
PROBE_S = 3.0
PROBES = 16
"""Backends that are asked at the same time."""

log = structlog.get_logger(__name__)


class Router:
    """`backends` is asked for at every request: slots come and go. Made once; used from one event loop."""

    def __init__(
        self,
        backends: Callable[[], Sequence[Backend]],
        default_model: str,
        strategy: Strategy = "failover",
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self._backends = backends
        self._default = default_model
        self._strategy: Strategy = strategy
        self._aliases = aliases or {}
        self._turn = 0
        self._records: dict[str, BackendRecord] = {}

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        """Stream the reply of the best backend that begins one. Close the iterator to cancel.

        Raises UnknownModel; what is wrong with the request itself; or, where no backend began, the error of the
        first one asked: the others were only its stand-ins.
        """
        choices = await self._choices(request.model)
        trace = RouteTrace(self._strategy)
        first_error: LlmError | None = None
        for choice in choices:
            backend, record = self._backend(choice), self._record(choice.backend)
            if not record.admitted():
                error = record.refusal(choice.backend)
                trace.passed(choice, "cooling" if isinstance(error, Overloaded) else "breaker_open")
                first_error = first_error or error
                continue
            begun = False
            with record.asked() as attempt:
                try:
                    async with aclosing(backend.generate(replace(request, model=choice.model))) as events:
                        async for event in events:
                            if not begun:
                                begun = True
                                attempt.begun()
                                trace.chosen = choice
                                self._tell(request, trace)
                            yield event
                    attempt.succeeded()
                    return
                except LlmError as error:
                    attempt.failed(error, guarded=backend.config.type != "slot")
                    if begun:
                        raise
                    first_error = first_error or error
                    trace.passed(choice, error.code)
                    log.warning("backend.passed_over", backend=choice.backend, code=error.code)
        assert first_error is not None  # route() gives at least one choice
        self._tell(request, trace)
        raise first_error

    def _tell(self, request: GenerateRequest, trace: RouteTrace) -> None:
        log.debug("backend.chosen", route=trace.line())
        if request.on_route is not None:
            request.on_route(trace)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the backends' health and models fresh, so that nobody who asks has to wait for a dead one."""
        task_status.started()
        while True:
            await self.refresh()
            well = all(self._record(backend.name).healthy for backend in self._backends())
            await anyio.sleep(EVERY_S if well else EVERY_UNWELL_S)

    def models(self) -> tuple[ModelInfo, ...]:
        """What the backends listed when they were last asked, without those that did not answer."""
        return tuple(info for backend in self._backends() for info in self._record(backend.name).listed)

    def ready(self, name: str = "") -> bool:
        """The model of that name ("": the default one) would be answered by a backend that is healthy."""
        try:
            choices = self._route(name)
        except UnknownModel:
            return False
        return any(self._record(choice.backend).healthy for choice in choices)

    async def forget(self, conversation: str) -> None:
        """Free what backends keep of a conversation."""
        for backend in self._backends():
            await backend.forget(conversation)

    async def _choices(self, name: str) -> tuple[Choice, ...]:
        """Nobody who is known to be away is asked here: a request never waits for another's dead server."""
        self._turn += 1
        try:
            return self._route(name)
        except UnknownModel:
            # Our own slots may have loaded it since; and a server that was never asked may have it.
            news = [b for b in self._backends() if b.config.type == "slot" or self._record(b.name).healthy is None]
            await self._ask_all(news)
            return self._route(name)

    def _route(self, name: str) -> tuple[Choice, ...]:
        return route(
            name,
            self._default,
            self._candidates(),
            strategy=self._strategy,
            turn=self._turn,
            aliases=self._aliases,
        )

    def _candidates(self) -> list[Candidate]:
        return [
            self._record(backend.name).candidate(backend.name, backend.config.model, backend.config.priority)
            for backend in self._backends()
        ]

    def _record(self, name: str) -> BackendRecord:
        return self._records.setdefault(name, BackendRecord())

    def _backend(self, choice: Choice) -> Backend:
        for backend in self._backends():
            if backend.name == choice.backend:
                return backend
        raise UnknownModel(f"{choice.backend} was unloaded just now", hint="try again")

    async def refresh(self) -> None:
        """Ask all backends at once, each for a bounded time."""
        await self._ask_all(self._backends())

    async def _ask_all(self, backends: Sequence[Backend]) -> None:
        limiter = anyio.CapacityLimiter(PROBES)
        async with anyio.create_task_group() as tasks:
            for backend in backends:
                tasks.start_soon(self._ask, backend, limiter)

    async def _ask(self, backend: Backend, limiter: anyio.CapacityLimiter) -> None:
        listed: tuple[ModelInfo, ...] | None = None
        async with limiter:
            with anyio.move_on_after(PROBE_S):
                try:
                    listed = await backend.models()
                except ParleyError as error:
                    log.debug("backend.probe", backend=backend.name, code=error.code)
        self._record(backend.name).probed(listed)
