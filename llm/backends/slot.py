"""A Parley slot: our own worker process, spoken to as an OpenAI server with a few fields more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from urllib.parse import quote

import aiohttp

from llm.backends.openai import OpenAIBackend
from llm.errors import BackendFailed, BackendUnreachable, LlmError, WorkerDied
from llm.messages import GenerateRequest
from llm.port import BackendConfig, BackendSpec
from llm.process import WorkerProcess
from llm.stream import StreamEvent

__all__ = ["SPEC", "SlotBackend"]


class SlotBackend(OpenAIBackend):
    """`worker` None: a slot that somebody else runs. Otherwise requests wait, bounded, until it is ready."""

    ours = True

    def __init__(
        self,
        config: BackendConfig,
        http: aiohttp.ClientSession,
        worker: WorkerProcess | None = None,
        ready_timeout_s: float = 60.0,
    ) -> None:
        super().__init__(config, http)
        self._worker = worker
        self._ready_timeout_s = ready_timeout_s

    async def generate(self, request: GenerateRequest) -> AsyncIterator[StreamEvent]:
        """As the port says. A worker that dies in the middle raises WorkerDied; the next request waits for it."""
        await self._ensure_ready()
        try:
            async with aclosing(super().generate(request)) as events:  # type: ignore[type-var]
                async for event in events:
                    yield event
        except (BackendUnreachable, BackendFailed) as error:
            if self._worker is None or type(error) is BackendFailed and "broke off" not in error.message:
                raise
            raise WorkerDied(f"the worker of {self.name} ended while it was answering") from error

    async def health(self) -> bool:
        if self._worker is not None and self._worker.state.value != "ready":
            return False
        return await super().health()

    async def forget(self, conversation: str) -> None:
        """Free the KV sequence of a conversation. A worker that is gone has forgotten already."""
        root = self._base.removesuffix("/v1")
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.delete(
                f"{root}/parley/conversations/{quote(conversation, safe='')}",
                timeout=aiohttp.ClientTimeout(total=2.0),
            ) as response:
                await response.read()

    async def _ensure_ready(self) -> None:
        if self._worker is not None:
            try:
                await self._worker.ensure_ready(self._ready_timeout_s)
            except LlmError as error:
                raise WorkerDied(error.message, hint=error.hint) from error


SPEC = BackendSpec(
    name="slot",
    load=SlotBackend,
    default_url="http://127.0.0.1:4801/v1",
    description="a Parley slot, here or on another machine",
)
