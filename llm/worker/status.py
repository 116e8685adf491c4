"""What the worker is and does: GET /health, /v1/models, /slots, /statistics; DELETE /parley/conversations/{id}."""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm.worker.answers import JsonAnswer
from llm.worker.server import server_of

__all__ = ["ROUTES", "conversation_mark"]


async def _health(request: Request) -> Response:
    """200 when a request would be answered at once, 503 while the model is being loaded."""
    server = server_of(request)
    if not server.ready:
        return JsonAnswer({"status": "loading", "model": server.name, "progress": round(server.progress, 3)}, 503)
    return JsonAnswer({"status": "ok", "model": server.name})


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
        },
    }
    return JsonAnswer({"object": "list", "data": [model]})


async def _slots(request: Request) -> Response:
    """Every KV sequence: whether a request holds it, how many tokens it keeps, for which conversation."""
    bridge = server_of(request).bridge
    state = await bridge.state()
    return JsonAnswer(
        [
            {
                "id": row.id,
                "is_processing": row.busy,
                "n_ctx": bridge.engine.card.context,
                "n_tokens": row.tokens,
                "conversation": None if row.conversation is None else conversation_mark(row.conversation),
            }
            for row in state.sequences
        ]
    )


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


def conversation_mark(conversation: str) -> str:
    """A conversation's name may be what opens its live session, so only its mark is shown."""
    return hashlib.sha256(conversation.encode("utf-8", "replace")).hexdigest()[:12]


ROUTES = [
    Route("/health", _health, methods=["GET"]),
    Route("/v1/models", _models, methods=["GET"]),
    Route("/slots", _slots, methods=["GET"]),
    Route("/statistics", _statistics, methods=["GET"]),
    Route("/parley/conversations/{conversation:path}", _forget, methods=["DELETE"]),
]
