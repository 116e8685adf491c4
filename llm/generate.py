"""The entry to every language model: ask the router who may answer, walk the choices, stream the first that does.

It fails over only before the first event: after that the client has heard something, and a second voice would
contradict the first.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

import anyio
import structlog
from anyio.abc import TaskStatus

from llm.errors import BackendUnreachable, LlmError, UnknownModel, WorkerDied
from llm.messages import GenerateRequest
from llm.port import Backend, ModelInfo
from llm.router import Candidate, Choice, route
from llm.stream import StreamEvent

__all__ = ["Router"]

EVERY_S = 10.0
EVERY_UNWELL_S = 1.0
"""Backends are asked for their health and models this often; more often while one of them is starting or dead."""
PROBE_S = 3.0

log = structlog.get_logger(__name__)


class Router:
    """`backends` is asked for at every request: slots come and go. Made once; used from one event loop."""

    def __init__(self, backends: Callable[[], Sequence[Backend]], default_model: str) -> None:
        self._backends = backends
        self._default = default_model
        self._listed: dict[str, tuple[ModelInfo, ...]] = {}
        self._healthy: dict[str, bool] = {}

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        """Stream the reply of the best backend that begins one. Close the iterator to cancel.

        Raises UnknownModel; what is wrong with the request itself; or, where no backend began, the error of the
        first one asked: the others were only its stand-ins.
        """
        choices = await self._choices(request.model)
        first_error: LlmError | None = None
        for choice in choices:
            begun = False
            backend = self._backend(choice)
            try:
                async with aclosing(backend.generate(replace(request, model=choice.model))) as events:
                    async for event in events:
                        begun = True
                        yield event
                self._healthy[choice.backend] = True
                return
            except LlmError as error:
                if isinstance(error, BackendUnreachable | WorkerDied):
                    self._healthy[choice.backend] = False
                if begun:
                    raise
                first_error = first_error or error
                log.warning("backend.passed_over", backend=choice.backend, code=error.code)
        assert first_error is not None  # route() gives at least one choice
        raise first_error

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the backends' health and models fresh, so that nobody who asks has to wait for a dead one."""
        task_status.started()
        while True:
            await self.refresh()
            well = all(self._healthy.get(backend.name) for backend in self._backends())
            await anyio.sleep(EVERY_S if well else EVERY_UNWELL_S)

    def models(self) -> tuple[ModelInfo, ...]:
        """What the backends listed when they were last asked, without those that did not answer."""
        return tuple(info for backend in self._backends() for info in self._listed.get(backend.name, ()))

    def ready(self, name: str = "") -> bool:
        """The model of that name ("": the default one) would be answered by a backend that is healthy."""
        try:
            choices = route(name, self._default, self._candidates())
        except UnknownModel:
            return False
        return any(self._healthy.get(choice.backend) for choice in choices)

    async def forget(self, conversation: str) -> None:
        """Free what backends keep of a conversation."""
        for backend in self._backends():
            await backend.forget(conversation)

    async def _choices(self, name: str) -> tuple[Choice, ...]:
        try:
            return route(name, self._default, self._candidates())
        except UnknownModel:
            await self.refresh()  # it may have been loaded since the lists were read
            return route(name, self._default, self._candidates())

    def _candidates(self) -> list[Candidate]:
        return [
            Candidate(
                name=backend.name,
                model=backend.config.model,
                models=tuple(info.id for info in self._listed.get(backend.name, ())),
                healthy=self._healthy.get(backend.name),
                priority=backend.config.priority,
            )
            for backend in self._backends()
        ]

    def _backend(self, choice: Choice) -> Backend:
        for backend in self._backends():
            if backend.name == choice.backend:
                return backend
        raise UnknownModel(f"{choice.backend} was unloaded just now", hint="try again")

    async def refresh(self) -> None:
        """Ask all backends at once, each for a bounded time."""
        async with anyio.create_task_group() as tasks:
            for backend in self._backends():
                tasks.start_soon(self._ask, backend)

    async def _ask(self, backend: Backend) -> None:
        healthy = False
        with anyio.move_on_after(PROBE_S):
            try:
                self._listed[backend.name] = await backend.models()
                healthy = True
            except LlmError as error:
                log.debug("backend.probe", backend=backend.name, code=error.code)
        self._healthy[backend.name] = healthy
