"""The entry to every language model: ask the router who may answer, walk the choices, stream the first that does.

It fails over only before the first event: after that the client has heard something, and a second voice would
contradict the first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

import anyio
import structlog

from llm.backends.openai import OpenAIBackend
from llm.errors import LlmError, UnknownModel
from llm.messages import GenerateRequest
from llm.port import ModelInfo
from llm.router import Candidate, Choice, route
from llm.stream import StreamEvent
from models.clock import Clock

__all__ = ["Router"]

FRESH_S = 10.0
"""A backend's list of models and its health are asked for again after this long."""
PROBE_S = 3.0

log = structlog.get_logger(__name__)


class Router:
    """`backends` is asked for at every request: slots come and go. Made once; used from one event loop."""

    def __init__(self, backends: Callable[[], Sequence[OpenAIBackend]], default_model: str, clock: Clock) -> None:
        self._backends = backends
        self._default = default_model
        self._clock = clock
        self._listed: dict[str, tuple[ModelInfo, ...]] = {}
        self._healthy: dict[str, bool] = {}
        self._asked_at: float | None = None
        self._asking = anyio.Lock()

    async def generate(self, request: GenerateRequest) -> AsyncIterator[StreamEvent]:
        """Stream the reply of the best backend that begins one. Close the iterator to cancel.

        Raises UnknownModel, or the last backend's error where none began.
        """
        choices = await self._choices(request.model)
        for number, choice in enumerate(choices):
            begun = False
            backend = self._backend(choice)
            try:
                async with aclosing(backend.generate(replace(request, model=choice.model))) as events:  # type: ignore[type-var]
                    async for event in events:
                        begun = True
                        yield event
                self._healthy[choice.backend] = True
                return
            except LlmError as error:
                if error.retryable:
                    self._healthy[choice.backend] = False
                if begun or not error.retryable or number == len(choices) - 1:
                    raise
                log.warning("backend.failover", backend=choice.backend, code=error.code)

    async def models(self) -> tuple[ModelInfo, ...]:
        """What all backends list, without those that do not answer in time."""
        await self._refresh()
        return tuple(info for backend in self._backends() for info in self._listed.get(backend.name, ()))

    async def ready(self) -> bool:
        """The default model would be answered by a backend that is healthy."""
        await self._refresh()
        try:
            choices = route("", self._default, self._candidates())
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
            await self._refresh()  # it may have been loaded since the lists were read
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

    def _backend(self, choice: Choice) -> OpenAIBackend:
        for backend in self._backends():
            if backend.name == choice.backend:
                return backend
        raise UnknownModel(f"{choice.backend} was unloaded just now", hint="try again")

    async def _refresh(self) -> None:
        """Ask all backends at once, each for a bounded time, unless it was done just now."""
        async with self._asking:
            now = self._clock.now()
            unknown = any(not self._healthy.get(backend.name) for backend in self._backends())
            patience_s = 0.5 if unknown else FRESH_S  # one that is starting is soon up
            if self._asked_at is not None and now - self._asked_at < patience_s:
                return
            async with anyio.create_task_group() as tasks:
                for backend in self._backends():
                    tasks.start_soon(self._ask, backend)
            self._asked_at = self._clock.now()

    async def _ask(self, backend: OpenAIBackend) -> None:
        healthy = False
        with anyio.move_on_after(PROBE_S):
            try:
                self._listed[backend.name] = await backend.models()
                healthy = True
            except LlmError as error:
                log.debug("backend.probe", backend=backend.name, code=error.code)
        self._healthy[backend.name] = healthy
