"""Vectors and ranks from the slots: a place in the right one, then the worker's own /v1/embeddings or /v1/rerank."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp

from llm.chunk_reader import error_of
from llm.errors import UnknownModel, WorkerDied
from llm.local_names import NAME, UNNAMED
from llm.port import VectorPath
from llm.workers.launch import ModelType

if TYPE_CHECKING:
    from llm.pool import SlotPool

__all__ = ["ask_vectors"]

PATIENCE_S = 300.0
_WANTED: Mapping[str, tuple[ModelType, ...]] = {
    "embeddings": ("embedding", "vision-embedding"),
    "rerank": ("rerank", "embedding"),
}


async def ask_vectors(
    pool: SlotPool,
    http: aiohttp.ClientSession,
    path: VectorPath,
    body: Mapping[str, Any],
    user: str,
) -> dict[str, Any]:
    """The worker's answer. Without a model in the body, the model made for this that is loaded or installed; else the
    text model of slot 1, whose states make vectors too.

    Raises what SlotPool.lease raises, BadInput for what the worker does not take, WorkerDied.
    """
    name = str(body.get("model") or "")
    if name in ("", UNNAMED, "default"):
        name = await _best(pool, _WANTED[path])
    async with pool.lease(name.removeprefix(f"{NAME}/"), user=user) as slot:
        url = f"{await slot.worker.ensure_ready(pool.settings.ready_timeout_s)}/v1/{path}"
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S, sock_connect=5.0)
        try:
            async with http.post(url, json={**body, "model": slot.model.name}, timeout=timeout) as response:
                answer = await response.json(content_type=None)
                if response.status != 200:
                    raise error_of(response.status, answer)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise WorkerDied(f"the worker of {slot.model.name} broke off its answer") from error
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
