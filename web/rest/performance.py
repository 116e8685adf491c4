"""GET /v1/stats/performance: how fast every slot and backend is, for admins."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from web.errors import Forbidden
from web.guards.authenticate import principal_of
from web.services import services_of

__all__ = ["ROUTES"]


async def _performance(request: Request) -> Response:
    """{"backends": [{"backend", "model", "requests", "errors", "tokens_per_s": {"median", "p95"}, ...}], "memory"}.

    Counts are since the first use, over restarts; medians are of the latest 256 requests. `memory_bytes` is what a
    model takes in a slot, absent for servers elsewhere.
    """
    if principal_of(request).tier != "admin":
        raise Forbidden("only an admin may read this")
    services = services_of(request)
    slots = {slot.model.name: slot for slot in services.pool.slots}
    rows = []
    for backend, model, figures in services.measuring.all():
        row: dict[str, Any] = {"backend": backend, "model": model, **figures.summary()}
        slot = slots.get(model) if backend == services.pool.local.name else None
        if slot is not None:
            row |= {"slot": slot.number, "memory_bytes": slot.used.resident, "restarts": slot.worker.restarts}
        rows.append(row)
    host = services.pool.host
    return JSONResponse(
        {"backends": rows[::-1], "memory": {"total_bytes": host.total, "available_bytes": host.available}}
    )


ROUTES = [Route("/v1/stats/performance", _performance, methods=["GET"])]
