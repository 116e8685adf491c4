"""GET /v1/stats/performance: how fast every slot and backend is, for admins."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm.measuring.statistics import KEPT_LATEST, LONGEST_NAME
from models.errors import BadInput
from web.errors import Forbidden
from web.guards.authenticate import principal_of
from web.services import services_of

__all__ = ["ROUTES"]


async def _performance(request: Request) -> Response:
    """{"backends": [{"backend", "model", "requests", "errors", "tokens_per_s": {"median", "p95"}, ...}], "memory"}.

    Counts are since the first use, over restarts; medians are of the latest 256 requests. `memory_bytes` is what a
    model takes in a slot, absent for servers elsewhere. With ?latest=N, also `latest`: of the last N requests, the
    oldest first, [time to first token in s (0: it came whole), wait in s, tokens per s (0: too short to tell)].
    """
    if principal_of(request).tier != "admin":
        raise Forbidden("only an admin may read this")
    asked = request.query_params.get("latest", "0")
    if not (asked.isascii() and asked.isdecimal()) or int(asked[:9]) > KEPT_LATEST:
        raise BadInput(f"latest must be 0 to {KEPT_LATEST}", param="latest")
    services = services_of(request)
    slots = {slot.model.name[:LONGEST_NAME]: slot for slot in services.pool.slots}
    rows = []
    for backend, model, figures in services.measuring.all():
        row: dict[str, Any] = {"backend": backend, "model": model, **figures.summary()}
        if int(asked):
            row["latest"] = [
                [round(one.first_s, 4), round(one.queue_s, 4), round(one.tokens_per_s, 2)]
                for one in list(figures.latest)[-int(asked) :]
            ]
        slot = slots.get(model) if backend == services.pool.local.name else None
        if slot is not None:
            row |= {"slot": slot.number, "memory_bytes": slot.used.resident, "restarts": slot.worker.restarts}
        rows.append(row)
    host = services.pool.memory.host
    return JSONResponse(
        {"backends": rows[::-1], "memory": {"total_bytes": host.total, "available_bytes": host.available}}
    )


ROUTES = [Route("/v1/stats/performance", _performance, methods=["GET"])]
