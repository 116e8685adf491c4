"""Everything that our own slots can answer, as one backend: the pool decides where, and loads what is asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp

from llm.errors import UnknownModel
from llm.local_names import NAME, UNNAMED
from llm.local_vectors import ask_vectors
from llm.messages import AudioPart, GenerateRequest
from llm.port import BackendConfig, ModelInfo, SlotTold, VectorPath
from llm.stream import StreamEvent
from llm.workers.launch import ModelType

if TYPE_CHECKING:
    from llm.slots.pool import SlotPool

__all__ = ["LocalModels"]


class LocalModels:
    """A Backend."""

    def __init__(self, pool: SlotPool, http: aiohttp.ClientSession) -> None:
        self.name = NAME
        self.config = BackendConfig(NAME, "slot", "", model=UNNAMED)
        self._pool = pool
        self._http = http

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        """Wait for a place, then stream. Closing the iterator leaves the line, or stops the decoder."""
        name = await self._resolve(request)
        async with self._pool.lease(
            name, user=request.user, priority=request.priority, on_wait=request.on_wait
        ) as slot:
            if request.on_slot is not None:
                request.on_slot(slot.model.name, slot.number)
            async with aclosing(slot.backend.generate(replace(request, model=slot.model.name))) as events:
                async for event in events:
                    yield event

    async def health(self) -> bool:
        return bool(await self._pool.models())

    async def models(self) -> tuple[ModelInfo, ...]:
        """Loaded and loadable ones. Raises the reason when there is none."""
        found = await self._pool.models()
        if not found:
            raise self._pool.problem or UnknownModel("no language model is installed")
        return found

    async def prefill(self, request: GenerateRequest) -> None:
        """Only for a model that is in a slot: nothing is loaded, and nobody put out, for words that may not come."""
        name = await self._resolve(request)
        if any(slot.model.name == name for slot in self._pool.slots):
            async with self._pool.lease(name, user=request.user, priority=request.priority) as slot:
                await slot.backend.prefill(replace(request, model=slot.model.name))

    async def vectors(
        self, path: VectorPath, body: Mapping[str, Any], user: str = "", on_slot: SlotTold | None = None
    ) -> dict[str, Any]:
        return await ask_vectors(self._pool, self._http, path, body, user, on_slot)

    async def forget(self, conversation: str) -> None:
        for slot in self._pool.slots:
            if slot.model.kind == "llm":
                await slot.backend.forget(conversation)
        await self._pool.states.forget(conversation)

    async def aclose(self) -> None:
        """The workers are the pool's."""

    async def _resolve(self, request: GenerateRequest) -> str:
        """A named model is taken by its name. Otherwise what the request shows or plays decides who can read it."""
        if request.model not in ("", UNNAMED, "default", NAME):
            return request.model
        media = [part for message in request.messages for part in message.media]
        if media:
            heard = any(isinstance(part, AudioPart) for part in media)
            wanted: tuple[ModelType, ...] = ("omni",) if heard else ("vision", "omni")
            return await self._pool.of_type(wanted)
        if self._pool.default is not None:
            return self._pool.default.model.name
        if self._pool.problem is not None:
            raise self._pool.problem
        loaded = [slot.model.name for slot in self._pool.slots if slot.model.kind == "llm"]
        names = loaded or [info.id for info in await self._pool.models()]
        if not names:
            raise UnknownModel("no language model is installed", hint="`parley doctor` says what to do")
        return names[0]
