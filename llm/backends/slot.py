"""A Parley slot: our own worker process, spoken to as an OpenAI server with a few fields more."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import aiohttp
import anyio

from llm.errors import LlmError, WorkerDied
from llm.messages import GenerateRequest
from llm.port import Answer, BackendConfig, BackendSpec
from llm.remote.openai_client import OpenAIClient
from llm.stream import StreamEvent
from llm.workers.placement import Worker
from llm.workers.process import WorkerState
from models.errors import BadInput

__all__ = ["SPEC", "SlotBackend"]

ASK_AGAIN_S = 0.05
_TOOLS = "send them as tools, and function_call as tool_choice"


class SlotBackend(OpenAIClient):
    """`worker` None: a slot that somebody else runs. Otherwise requests wait, bounded, until it is ready."""

    ours = True
    carries = False

    def __init__(
        self,
        config: BackendConfig,
        http: aiohttp.ClientSession,
        worker: Worker | None = None,
        ready_timeout_s: float = 60.0,
    ) -> None:
        super().__init__(config, http)
        self._worker = worker
        self._ready_timeout_s = ready_timeout_s

    def body(self, request: GenerateRequest) -> dict[str, Any]:
        """In a slot that vLLM serves, two fields are called otherwise. Both names are sent: our own worker and vLLM
        pass over what they do not know, and a slot elsewhere does not say which of them it is.
        """
        body = super().body(request)
        if request.extra.get("functions"):
            raise BadInput("functions, which tools came after, are not called here", param="functions", hint=_TOOLS)
        if request.relay:  # what is passed on as it is must be what a client may see
            body["stream_options"] = {"include_usage": True}
        if "repeat_penalty" in body:
            body["repetition_penalty"] = body["repeat_penalty"]
        if request.grammar is not None:
            body["structured_outputs"] = {"grammar": request.grammar}
        return body

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        """As the port says. For our own worker: 1. wait until it is ready; 2. nobody listens (it died a moment ago
        and the supervisor does not know yet): wait again, for nothing was asked; 3. it died before the first
        event: nothing was heard, so ask the next one, but once only, for the request itself may be what kills it;
        4. it died later: WorkerDied, for another answer would be another reply.
        """
        if self._worker is None:
            async with aclosing(super().generate(request)) as events:
                async for event in events:
                    yield event
            return
        patience = anyio.current_time() + self._ready_timeout_s
        asked = 0
        while True:
            await self._worker.ensure_ready(max(0.0, patience - anyio.current_time()))  # 1
            begun = False
            try:
                async with aclosing(super().generate(request)) as events:
                    async for event in events:
                        begun = True
                        yield event
                return
            except _NobodyListens:  # 2
                if anyio.current_time() > patience:
                    raise
            except WorkerDied:
                asked += 1
                if begun or asked > 1:  # 4
                    raise
            await anyio.sleep(ASK_AGAIN_S)  # 2, 3

    async def health(self) -> bool:
        if self._worker is not None and self._worker.state is not WorkerState.READY:
            return False
        return await super().health()

    async def prefill(self, request: GenerateRequest) -> None:
        """The one token that a request writes at least is thrown away."""
        only = replace(request, sampling=replace(request.sampling, max_tokens=1))
        async with aclosing(self.generate(only)) as events:
            async for _ in events:
                pass

    async def forget(self, conversation: str) -> None:
        """Free the KV sequence of a conversation. A worker that is gone has forgotten already."""
        root = self._base.removesuffix("/v1")
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.delete(
                f"{root}/parley/conversations/{quote(conversation, safe='')}",
                timeout=aiohttp.ClientTimeout(total=2.0),
            ) as response:
                await response.read()

    async def limit_cache_ram(self, cache_ram_bytes: int) -> None:
        """What its conversations out of the cache may take from now on. A worker that is gone has none."""
        root = self._base.removesuffix("/v1")
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.put(
                f"{root}/parley/cache-ram", json={"bytes": cache_ram_bytes}, timeout=aiohttp.ClientTimeout(total=2.0)
            ) as response:
                await response.read()

    def gone(self, error: BaseException) -> LlmError:
        if self._worker is None:
            return super().gone(error)
        if isinstance(error, aiohttp.ClientConnectorError):
            return _NobodyListens(f"the worker of {self.name} does not answer", hint=self._worker.tail_hint())
        return self.broken(error)

    def broken(self, error: BaseException | None = None) -> LlmError:
        if self._worker is None:
            return super().broken(error)
        return WorkerDied(f"the worker of {self.name} ended while it was answering")


class _NobodyListens(WorkerDied):
    """Refused at the door: the request was not taken, so it may be sent again."""


def _is_slot(seen: Mapping[str, Answer]) -> bool:
    """It says whose its model is; our gateway says so, too, and has no /props."""
    models, props = (seen[path].body if path in seen else None for path in ("/v1/models", "/props"))
    rows = models.get("data") if isinstance(models, Mapping) else None
    ours = isinstance(rows, list) and any(
        isinstance(row, Mapping) and row.get("owned_by") == "parley" for row in rows
    )
    return ours and isinstance(props, Mapping) and "total_slots" in props


SPEC = BackendSpec(
    name="slot",
    load=SlotBackend,
    default_url="http://127.0.0.1:4801/v1",
    description="a Parley slot, here or on another machine",
    probes=("/v1/models", "/props"),
    recognise=_is_slot,
    rank=95,
)
