"""Who answers requests that name no model, for admins: looking at it, choosing it, going back to the settings."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm.errors import UnknownModel
from llm.routing.router import Choice, Strategy
from llm.routing.routing_choice import Standing
from models.errors import BadInput
from web.errors import Forbidden
from web.guards.authenticate import principal_of
from web.http.body import parse, read_object
from web.services import Services, services_of

__all__ = ["ROUTES"]

_SHOWN = 10
_Name = Annotated[str, Field(max_length=1000)]


class _Choice(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(strict=True, extra="forbid")

    default_model: _Name | None = None
    """As in [llm] default_model: "" for whoever is ready, a backend, "backend/model", a model, an alias."""
    selection_strategy: _Name | None = None


async def _routing(request: Request) -> Response:
    """GET /admin/api/routing: {"default_model": {"value", "configured", "source"}, "selection_strategy", "asked"}.

    `source`: "chosen" here, "settings" for parley.toml, or "default". `asked`: who would be asked now, the first
    first. `voice_model`: what voice sessions ask for instead, if [voice.llm] names one.
    """
    return JSONResponse(_body(_for_admin(request)))


async def _choose(request: Request) -> Response:
    """PUT /admin/api/routing {"default_model"?, "selection_strategy"?}: from the next request on, and kept over
    restarts until parley.toml says something else than it does now.
    """
    services = _for_admin(request)
    body = parse(_Choice, await read_object(request))
    if body.default_model is None and body.selection_strategy is None:
        raise BadInput("there is nothing to choose", hint="default_model, selection_strategy or both")
    await services.routing.choose(body.default_model, body.selection_strategy)
    return JSONResponse(_body(services))


async def _forget(request: Request) -> Response:
    """DELETE /admin/api/routing: as parley.toml says."""
    services = _for_admin(request)
    await services.routing.forget()
    return JSONResponse(_body(services))


def _body(services: Services) -> dict[str, Any]:
    settings, standing = services.settings, services.routing.standing
    asked: tuple[Choice, ...] = ()
    problem: dict[str, str] | None = None
    try:
        asked = services.router.choices()
    except UnknownModel as error:
        problem = {"code": error.code, "message": error.message, "hint": error.hint}
    path = settings.config_path
    return {
        "default_model": _row(standing["default_model"], ""),
        "selection_strategy": {
            **_row(standing["selection_strategy"], "failover"),
            "choices": list(get_args(Strategy)),
        },
        "asked": [{"backend": choice.backend, "model": choice.model} for choice in asked[:_SHOWN]],
        "problem": problem,
        "aliases": dict(settings.llm.aliases),
        "voice_model": settings.voice.llm.model,
        "settings_file": None if path is None else str(path),
    }


def _row(standing: Standing, default: str) -> dict[str, str]:
    source = "chosen" if standing.chosen else "default" if standing.configured == default else "settings"
    return {"value": standing.value, "configured": standing.configured, "source": source}


def _for_admin(request: Request) -> Services:
    if principal_of(request).tier != "admin":
        raise Forbidden("only an admin may do this")
    return services_of(request)


ROUTES = [
    Route("/admin/api/routing", _routing, methods=["GET"]),
    Route("/admin/api/routing", _choose, methods=["PUT"]),
    Route("/admin/api/routing", _forget, methods=["DELETE"]),
]
