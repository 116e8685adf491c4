"""What the worker is and does: GET /health, /v1/models, /statistics; DELETE /parley/conversations/{id};
PUT /parley/cache-ram."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm.worker.answers import JsonAnswer, read_body
from llm.worker.server import server_of
from models.errors import BadInput

__all__ = ["ROUTES"]


async def _health(request: Request) -> Response:
    """200 when a request would be answered at once, 503 while the model is being loaded."""
    server = server_of(request)
    if not server.ready:
        return JsonAnswer({"status": "loading", "model": server.name, "progress": round(server.progress, 3)}, 503)
    return JsonAnswer({"status": "ok", "model": server.name, "cache_ram_bytes": server.bridge.engine.cache_ram_bytes})


async def _models(request: Request) -> Response:
    server = server_of(request)
    card = server.bridge.engine.card
    model = {
        "id": server.name,
        "object": "model",
        "created": server.created,
        "owned_by": "parley",
        "max_model_len": card.context,
        "meta": {
            "n_ctx_train": card.trained_context,
            "n_vocab": card.vocabulary,
            "n_params": card.parameters,
            "size": card.size_bytes,
            "architecture": card.description,
            "parallel": card.places,
            "generates": card.generates,
            "vision": card.sees,
            "audio": card.hears,
            "n_embd": card.dimensions,
            "ranks": card.ranks,
        },
    }
    return JsonAnswer({"object": "list", "data": [model]})


async def _statistics(request: Request) -> Response:
    """Counts since the load. `widths`: how many decode steps carried that many sequences."""
    state = await server_of(request).bridge.state()
    return JsonAnswer(
        {
            "busy": state.busy,
            "waiting": state.waiting,
            **state.counters,
            "widths": {str(width): steps for width, steps in sorted(state.widths.items())},
        }
    )


async def _forget(request: Request) -> Response:
    server_of(request).bridge.engine.forget(request.path_params["conversation"])
    return Response(status_code=204)


async def _limit_cache_ram(request: Request) -> Response:
    """{"bytes": N}: what conversations out of the cache may take from now on."""
    most = (await read_body(request)).get("bytes")
    if type(most) is not int or most < 0:
        raise BadInput("bytes: a whole number, 0 or more", param="bytes")
    server_of(request).bridge.engine.limit_cache_ram(most)
    return Response(status_code=204)


ROUTES = [
    Route("/health", _health, methods=["GET"]),
    Route("/v1/models", _models, methods=["GET"]),
    Route("/statistics", _statistics, methods=["GET"]),
    Route("/parley/conversations/{conversation:path}", _forget, methods=["DELETE"]),
    Route("/parley/cache-ram", _limit_cache_ram, methods=["PUT"]),
]
