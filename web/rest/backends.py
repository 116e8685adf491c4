"""GET /admin/api/backends: every server that may answer, and what is known of it. Nobody is asked for it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm.routing.backend_record import BackendView
from models.secrecy import hidden
from web.errors import Forbidden
from web.guards.authenticate import principal_of
from web.services import services_of

__all__ = ["ROUTES"]

_MOST_MODELS = 200
"""Of each backend; some list thousands. `models_total` says how many there are."""


async def _backends(request: Request) -> Response:
    """{"backends": [...]} in the order of the settings, our own slots first, those that are turned off last.

    Addresses come without passwords and keys; `latency_s` is the time to the first token of late.
    """
    if principal_of(request).tier != "admin":
        raise Forbidden("only an admin may read this")
    services = services_of(request)
    rows = [_row(view) for view in services.router.views()]
    rows += [
        {"name": one.name, "type": one.type, "base_url": hidden(one.base_url), "model": one.model, "enabled": False}
        for one in services.settings.llm.backends
        if not one.enabled
    ]
    return JSONResponse({"backends": rows})


def _row(view: BackendView) -> dict[str, Any]:
    config, problem = view.config, view.problem
    return {
        "name": view.name,
        "type": config.type,
        "base_url": hidden(config.base_url),
        "has_key": bool(config.api_key),
        "model": config.model,
        "priority": config.priority,
        "enabled": True,
        "healthy": view.healthy,
        "problem": None
        if problem is None
        else {"code": problem.code, "message": problem.message, "hint": problem.hint},
        "breaker": view.breaker,
        "failures": view.failures,
        "retry_in_s": round(view.retry_in_s, 1),
        "cooling": view.cooling,
        "left_alone": [{"model": model, "retry_in_s": round(left_s, 1)} for model, left_s in view.left_alone],
        "running": view.busy,
        "latency_s": None if view.latency_s is None else round(view.latency_s, 4),
        "models": [{"id": model.id, "context": model.context} for model in view.models[:_MOST_MODELS]],
        "models_total": len(view.models),
    }


ROUTES = [Route("/admin/api/backends", _backends, methods=["GET"])]
