"""Vectors and ranks from the slots: a place in the right one, then the worker's own /v1/embeddings or /v1/rerank."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio

from llm.convert.vectors import shows_images
from llm.errors import UnknownModel, WorkerDied
from llm.local_names import NAME, UNNAMED
from llm.port import SlotTold, VectorPath
from llm.remote.chunk_reader import error_of
from llm.workers.launch import ModelType
from llm.workers.placement import Worker

if TYPE_CHECKING:
    from llm.slots.pool import SlotPool

__all__ = ["ask_vectors", "ask_worker"]

PATIENCE_S = 300.0
ASK_AGAIN_S = 0.05
_WANTED: Mapping[str, tuple[ModelType, ...]] = {
    "embeddings": ("embedding", "vision-embedding"),
    "rerank": ("rerank", "embedding"),
}
_SEEING: tuple[ModelType, ...] = ("vision-embedding",)


async def ask_vectors(
    pool: SlotPool,
    http: aiohttp.ClientSession,
    path: VectorPath,
    body: Mapping[str, Any],
    user: str,
    on_slot: SlotTold | None = None,
) -> dict[str, Any]:
    """The worker's answer; of one that dies meanwhile, that of the next. Without a model in the body, the model made
    for this that is loaded or installed; else the text model of slot 1, whose states make vectors too.

    Raises what SlotPool.lease raises, BadInput for what the worker does not take, WorkerDied.
    """
    name = str(body.get("model") or "")
    if name in ("", UNNAMED, "default"):
        if path == "embeddings" and shows_images(body):
            name = await pool.of_type(_SEEING)
        else:
            name = await _best(pool, _WANTED[path])
    async with pool.lease(name.removeprefix(f"{NAME}/"), user=user) as slot:
        if on_slot is not None:
            on_slot(slot.model.name, slot.number)
        sent = {**body, "model": slot.model.name}
        return await ask_worker(slot.worker, http, slot.model.name, path, sent, pool.settings.ready_timeout_s)


async def ask_worker(
    worker: Worker, http: aiohttp.ClientSession, model: str, path: VectorPath, body: Mapping[str, Any], ready_s: float
) -> dict[str, Any]:
    """A worker that died before it was asked is waited for; one that dies of the request is asked once more, for it
    may have been something else. Raises WorkerDied.
    """
    until_s, tries = anyio.current_time() + ready_s, 0
    while True:
        url = await worker.ensure_ready(max(0.0, until_s - anyio.current_time()))
        try:
            return await _asked(http, f"{url}/v1/{path}", body)
        except aiohttp.ClientConnectorError as error:
            if anyio.current_time() > until_s:
                raise WorkerDied(f"the worker of {model} does not answer") from error
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            tries += 1
            if tries > 1 or isinstance(error, TimeoutError):
                raise WorkerDied(f"the worker of {model} broke off its answer") from error
        await anyio.sleep(ASK_AGAIN_S)


async def _asked(http: aiohttp.ClientSession, url: str, body: Mapping[str, Any]) -> dict[str, Any]:
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S, sock_connect=5.0)
    async with http.post(url, json=body, timeout=timeout) as response:
        answer = await response.json(content_type=None)
        if response.status != 200:
            raise error_of(response.status, answer)
        assert isinstance(answer, dict)
        return answer


async def _best(pool: SlotPool, types: Collection[ModelType]) -> str:
    """The first type that there is a model of: one made for ranks is worth a load, where another is there already."""
    for one in types:
        with suppress(UnknownModel):
            return await pool.of_type((one,))
    if pool.default is not None:
        return pool.default.model.name
    return await pool.of_type(types)  # says what is missing
