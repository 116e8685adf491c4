"""Live sessions over REST: open one, look at it, end it. Talking is done on its WebSocket (web/sockets/live.py)."""

from __future__ import annotations

from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voice.errors import SessionGone
from voice.protocols.live_config import describe, parse_config
from voice.session.hub import LiveRecord
from web.errors import no_model
from web.guards.authenticate import principal_of
from web.http.body import read_object
from web.services import services_of
from web.sockets.live import PATH

__all__ = ["ROUTES"]


async def _open(request: Request) -> Response:
    """POST /v1/audio/live: {"session_token", "websocket_url", "expires_at"}.

    The URL is a path: whoever asks knows better than the server how it is reached. 503 where no model could answer.
    """
    services = services_of(request)
    principal = principal_of(request)
    config = parse_config(await read_object(request), services.settings.voice)
    if not services.router.ready(config.llm.model):
        raise no_model(config.llm.model)
    token, record = services.hub.create(principal.user, config)
    return JSONResponse(
        {
            "session_token": token,
            "websocket_url": f"{PATH}{token}",
            "expires_at": _iso(record.expires_at),
        }
    )


async def _inspect(request: Request) -> Response:
    """GET /v1/audio/live/{token}: state, configuration, history, usage."""
    record = _own(request)
    history: list[dict[str, str | bool]] = []
    for exchange in record.exchanges:
        history.append({"role": "user", "content": exchange.user})
        history.append({"role": "assistant", "content": exchange.assistant, "interrupted": exchange.interrupted})
    return JSONResponse(
        {
            "session_token": request.path_params["token"],
            "state": record.state,
            "created_at": _iso(record.created_at),
            "expires_at": _iso(record.expires_at),
            "config": describe(record.config),
            "history": history,
            "turns": record.turns,
            "usage": {"tokens_in": record.tokens_in, "tokens_out": record.tokens_out},
        }
    )


async def _end(request: Request) -> Response:
    """DELETE /v1/audio/live/{token}: ends it, and the connection it may have."""
    _own(request)
    await services_of(request).hub.end(request.path_params["token"])
    return JSONResponse({"session_token": request.path_params["token"], "status": "ended"})


def _own(request: Request) -> LiveRecord:
    """The session, if it is the asker's. To others it does not exist: a 403 would say that the token is right."""
    principal = principal_of(request)
    record = services_of(request).hub.get(request.path_params["token"])
    if record.owner != principal.user and principal.tier != "admin":
        raise SessionGone("This session does not exist or has expired")
    return record


def _iso(moment: datetime) -> str:
    return moment.isoformat()


ROUTES = [
    Route("/v1/audio/live", _open, methods=["POST"]),
    Route("/v1/audio/live/{token}", _inspect, methods=["GET"]),
    Route("/v1/audio/live/{token}", _end, methods=["DELETE"]),
]
