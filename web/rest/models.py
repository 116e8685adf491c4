"""GET /v1/models, /v1/models/{id} and, without a key, /api/models: what can answer."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm.errors import UnknownModel
from llm.port import ModelInfo
from llm.remote.via import MOST, OWN_ID
from web.services import services_of

__all__ = ["PUBLIC", "ROUTES"]

PUBLIC = ("/api/models",)


async def _list(request: Request) -> Response:
    models = services_of(request).router.models()
    return JSONResponse({"object": "list", "data": [_model(model) for model in models]})


async def _one(request: Request) -> Response:
    """The id may hold slashes: "backend/model", or a hub's "owner/name"."""
    wanted = request.path_params["model"]
    for model in services_of(request).router.models():
        if model.id == wanted:
            return JSONResponse(_model(model))
    raise UnknownModel(f"there is no model {wanted[:200]!r}", hint="GET /v1/models lists the models")


async def _public(request: Request) -> Response:
    """{"models": [{"id", "type", "status"}]}: what is in a slot, what could be loaded, what other servers list."""
    services = services_of(request)
    pool = services.pool
    loaded = {slot.model.name: slot for slot in pool.slots}
    rows = []
    for info in services.router.models():
        kind, status = "text", "ready"
        if info.backend == pool.local.name:
            slot = loaded.pop(info.id, None)
            kind = slot.plan.type if slot else kind
            status = "available" if slot is None else slot.worker.state.value
        rows.append({"id": info.id, "type": kind, "status": status})
    rows += [{"id": name, "type": slot.plan.type, "status": slot.worker.state.value} for name, slot in loaded.items()]
    return JSONResponse({"models": rows})


def _model(model: ModelInfo) -> dict[str, Any]:
    """OpenAI's four keys; the others are ours. `created` is unknown, and 0 stands for it."""
    found: dict[str, Any] = {"id": model.id, "object": "model", "created": 0, "owned_by": model.owned_by}
    found["parley_via"] = [OWN_ID, *model.via][:MOST]
    return {**found, "max_model_len": model.context} if model.context else found


ROUTES = [
    Route("/v1/models", _list, methods=["GET"]),
    Route("/v1/models/{model:path}", _one, methods=["GET"]),
    Route("/api/models", _public, methods=["GET"]),
]
