"""POST /v1/realtime/client_secrets: ephemeral keys for browsers. And their two forms of the beta.

The key opens `WS /v1/realtime` until it expires, with the session it was made for, and nothing else.
"""

from __future__ import annotations

import json
import secrets
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from models.errors import BadInput
from voice.protocols.realtime_beta import from_beta, to_beta
from voice.protocols.realtime_config import RealtimeSession
from voice.protocols.realtime_errors import RealtimeError
from web.guards.authenticate import principal_of
from web.http.body import parse, read_object
from web.realtime_model import model_of
from web.services import services_of

__all__ = ["ROUTES"]


class _Expiry(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=10, le=7200)] = 600


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    expires_after: _Expiry = _Expiry()
    session: dict[str, Any] = {}


class _BetaSecret(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    expires_after: _Expiry | None = None


class _BetaBody(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    client_secret: _BetaSecret


def _as_defaults(given: Any) -> Any:
    """Null means the default, of `expires_after` and in it. What a session does not name is another matter."""
    if not isinstance(given, dict):
        return given
    shown = {name: value for name, value in given.items() if value is not None}
    if isinstance(shown.get("expires_after"), dict):
        expiry = {name: value for name, value in shown["expires_after"].items() if value is not None}
        shown["expires_after"] = expiry
    return shown


async def _client_secret(request: Request) -> Response:
    """{"value": "ek_...", "expires_at", "session"}."""
    body = parse(_Body, _as_defaults(await read_object(request)))
    value, expires_at, session = _make(request, body.session, body.expires_after.seconds)
    return JSONResponse({"value": value, "expires_at": expires_at, "session": session})


async def _beta_session(request: Request) -> Response:
    """The beta's POST /v1/realtime/sessions: the flat session object with the key in it. The key lives a minute."""
    return await _beta(request, {"type": "realtime"}, "realtime.session")


async def _beta_transcription(request: Request) -> Response:
    """The beta's POST /v1/realtime/transcription_sessions."""
    return await _beta(request, {"type": "transcription"}, "realtime.transcription_session")


async def _beta(request: Request, kind: dict[str, str], name: str) -> Response:
    body = await read_object(request)
    asked = body.pop("client_secret", None)
    given = parse(_BetaBody, {"client_secret": {} if asked is None else _as_defaults(asked)}).client_secret
    seconds = 60 if given.expires_after is None else given.expires_after.seconds
    value, expires_at, session = _make(request, {**body, **kind}, seconds)
    secret = {"value": value, "expires_at": expires_at}
    return JSONResponse({**to_beta(session), "object": name, "client_secret": secret})


def _make(request: Request, asked: dict[str, Any], seconds: int) -> tuple[str, int, dict[str, Any]]:
    services = services_of(request)
    settings = services.settings.voice
    try:
        json.dumps(asked, allow_nan=False)
    except ValueError:  # 1e999 is read as infinity, and the session is written again to whoever uses the secret
        raise BadInput("the session has a number that is too large", param="session") from None
    wanted = from_beta(asked)
    kind = wanted.get("type", "realtime")
    if kind not in ("realtime", "transcription"):
        raise BadInput("session.type is realtime or transcription", param="session.type")
    model = wanted.get("model") or "default"
    try:
        session = RealtimeSession.new(kind, model if isinstance(model, str) else "default", settings)
        session = session.changed(wanted, settings)
        if kind == "realtime":
            model_of(session.fields["model"], services)
    except RealtimeError as error:
        raise BadInput(error.message, param=error.param, hint=error.hint) from None
    value, made = services.client_secrets.make(principal_of(request).user, session.fields, seconds)
    shown = {
        "object": "realtime.session" if kind == "realtime" else "realtime.transcription_session",
        "id": f"sess_{secrets.token_hex(12)}",
        "expires_at": made.expires_at,
        **session.fields,
    }
    return value, made.expires_at, shown


ROUTES = [
    Route("/v1/realtime/client_secrets", _client_secret, methods=["POST"]),
    Route("/v1/realtime/sessions", _beta_session, methods=["POST"]),
    Route("/v1/realtime/transcription_sessions", _beta_transcription, methods=["POST"]),
]
