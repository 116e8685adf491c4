"""A server of unknown kind: recognised by what it answers when it is first there, and looked at again if in doubt."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from copy import copy
from dataclasses import replace
from typing import Any

import aiohttp
import anyio

from llm.errors import BackendUnreachable, LlmError, Overloaded
from llm.messages import GenerateRequest
from llm.port import Backend, BackendConfig, BackendSpec, ModelInfo, SlotTold, VectorPath
from llm.remote.fingerprint import GENERIC, ask, probes_of, recognise
from llm.stream import StreamEvent
from models.errors import ParleyError
from models.registry import discover

__all__ = ["SPEC", "AutoBackend"]

WITHIN_S = 2.5
"""Less than the router's own patience for a backend, so that a server that hangs is known to."""
SLOW_S, FAIL_FAST_S = 0.5, 1.0
"""A probe that failed after more than the one is not repeated for the other; a quick one costs nothing."""
MORE_LOOKS = 10
"""At a server that left questions open; with the lists of its models, so that no request waits for it."""


class AutoBackend:
    """A Backend that becomes another one. A server that is not there yet is asked again at the next use."""

    def __init__(self, config: BackendConfig, http: aiohttp.ClientSession) -> None:
        self.name = config.name
        self.config = config
        self._http = http
        self._found: Backend | None = None
        self._looks_left = 0
        self._asking: anyio.Event | None = None
        """Set when the probe that runs is over."""
        self._failed: tuple[float, LlmError] | None = None
        """Until when its last failure is the answer, and that failure."""

    async def resolved(self) -> Any:
        """The backend that the server turned out to be. One probe is for everybody who waits; and a server that kept
        the last one waiting keeps nobody else waiting while it is asked again, or for a second after.

        Raises BackendUnreachable, Overloaded.
        """
        while self._found is None:
            if self._failed is not None and (self._asking is not None or anyio.current_time() < self._failed[0]):
                raise copy(self._failed[1])
            if self._asking is None:
                await self._find()
            else:
                await self._asking.wait()  # where the one who asked was cancelled, the next one asks
        return self._found

    async def _find(self) -> None:
        asking, started_s = anyio.Event(), anyio.current_time()
        self._asking = asking
        try:
            self._found, sure = await self._recognised()
            self._looks_left = 0 if sure else MORE_LOOKS
            self._failed = None
        except LlmError as error:
            now_s = anyio.current_time()
            slow = now_s - started_s > SLOW_S
            self._failed = (now_s + FAIL_FAST_S, copy(error)) if slow else None  # without its frames
            raise
        finally:
            self._asking = None
            asking.set()

    async def _look_again(self) -> None:
        """A server that was busy when it was first asked may be another kind than it seemed."""
        self._looks_left -= 1
        try:
            found, sure = await self._recognised()
        except LlmError:
            return
        if sure or found.config.type != GENERIC:
            self._found, self._looks_left = found, 0 if sure else self._looks_left

    async def _recognised(self) -> tuple[Backend, bool]:
        """And whether it has answered all questions."""
        specs = discover("llm.backends")
        root = self.config.base_url.rstrip("/").removesuffix("/v1")
        answers = await ask(specs.values(), root, self.config.api_key, self._http, WITHIN_S)
        if not answers:
            raise BackendUnreachable(
                f"{self.name} at {root} does not answer",
                hint="check that the server is running and that base_url is right",
            )
        if all(answer.status >= 500 for answer in answers.values()):
            # llama.cpp says 503 to everything until its model is there: what it is cannot be told yet.
            raise Overloaded(f"{self.name} at {root} is still starting", hint="try again in a moment")
        kind = recognise(specs.values(), answers)
        base = root if kind == "ollama" else f"{root}/v1"
        found: Backend = specs[kind].load(replace(self.config, type=kind, base_url=base), self._http)
        return found, probes_of(specs.values()) <= answers.keys()

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        backend = await self.resolved()
        async with aclosing(backend.generate(request)) as events:
            async for event in events:
                yield event

    async def health(self) -> bool:
        try:
            return bool(await (await self.resolved()).health())
        except ParleyError:
            return False

    async def models(self) -> tuple[ModelInfo, ...]:
        if self._found is not None and self._looks_left:
            await self._look_again()
        found: tuple[ModelInfo, ...] = await (await self.resolved()).models()
        return found

    async def prefill(self, request: GenerateRequest) -> None:
        if self._found is not None:
            await self._found.prefill(request)

    async def vectors(
        self, path: VectorPath, body: Mapping[str, Any], user: str = "", on_slot: SlotTold | None = None
    ) -> dict[str, Any]:
        found: dict[str, Any] = await (await self.resolved()).vectors(path, body, user, on_slot)
        return found

    async def forget(self, conversation: str) -> None:
        if self._found is not None:
            await self._found.forget(conversation)

    async def aclose(self) -> None:
        """The HTTP session is not ours."""


SPEC = BackendSpec(
    name="auto",
    load=AutoBackend,
    default_url="http://127.0.0.1:11434",
    description="found out by what the server answers",
)
