"""WS /v1/realtime: the OpenAI Realtime API. What is said on it is up to voice/protocols/realtime.py.

The key comes as Bearer, or (browsers cannot set headers) in the subprotocol `openai-insecure-api-key.<key>`; it may
be an ephemeral one. Query: `model`, or `intent=transcription`; `record=true` agrees to a recording.
"""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from functools import partial

import anyio
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from models.errors import BadInput, ParleyError
from voice.errors import SessionGone
from voice.parts import OPENAI
from voice.protocols.realtime import RealtimeCodec
from voice.protocols.realtime_config import RealtimeSession
from voice.protocols.realtime_voices import Voices
from web.client_secrets import ClientSecret
from web.errors import NotFound, no_model
from web.guards.authenticate import principal_of
from web.http.channel import WebSocketChannel, converse
from web.realtime_model import model_of
from web.services import Services, services_of

__all__ = ["PATH", "ROUTES"]

PATH = "/v1/realtime"
_BETA = "openai-beta.realtime-v1"
_VOICES_S = 1.0


async def _talk(socket: WebSocket) -> None:
    """Refused (401, 403, 404, 503) before the connection is accepted, so that clients see a status with a reason."""
    services, offered = services_of(socket), _offered(socket)
    if "call_id" in socket.query_params:
        raise NotFound("there are no calls here: connect without call_id", param="call_id")
    beta = _BETA in offered or socket.headers.get("openai-beta", "").strip() == "realtime=v1"
    session = _session(socket, services)
    config = session.config(model_of(session.fields.get("model", ""), services), services.settings.voice)
    if session.kind == "realtime" and not services.router.ready(config.llm.model):
        raise no_model(config.llm.model)
    lasts_s = services.settings.voice.realtime.session_minutes * 60
    token, record = services.hub.create(principal_of(socket).user, config)
    try:
        # The key must not be sent back; a browser wants one of those it offered.
        chosen = next((name for name in ("realtime", _BETA) if name in offered), None)
        try:
            await socket.accept(subprotocol=chosen)
        except OSError:
            return  # gone already
        codec = partial(
            RealtimeCodec,
            session=session,
            settings=services.settings.voice,
            session_id=f"sess_{secrets.token_hex(12)}",
            expires_at=int(services.clock.wall().timestamp() + lasts_s),
            new_id=_new_id,
            beta=beta,
            voices=await _voices(services),
        )
        channel = WebSocketChannel(socket, services.settings.server.send_timeout_s)
        with anyio.move_on_after(lasts_s) as lifetime:
            await converse(services, token, channel, codec)
        if lifetime.cancelled_caught:
            await _expire(channel, services.settings.voice.realtime.session_minutes)
    finally:
        with suppress(SessionGone):  # its record expired meanwhile
            await services.hub.end(token)


async def _expire(channel: WebSocketChannel, minutes: float) -> None:
    error = {
        "type": "invalid_request_error",
        "code": "session_expired",
        "message": f"Your session hit the maximum duration of {minutes:g} minutes.",
        "param": None,
        "event_id": None,
    }
    try:
        await channel.send(json.dumps({"type": "error", "event_id": _new_id("event"), "error": error}))
    except anyio.BrokenResourceError:
        return
    await channel.close(1001, "session expired")


def _session(socket: WebSocket, services: Services) -> RealtimeSession:
    """What the connection begins with: what the ephemeral key was made for, or the defaults for the query.

    Raises BadInput.
    """
    session = _asked_for(socket, services)
    record = socket.query_params.get("record")
    if record is None:
        return session
    if record not in ("true", "false"):
        raise BadInput("record is true or false", param="record", hint="true agrees to a recording of the session")
    return session.recorded(record == "true")


def _asked_for(socket: WebSocket, services: Services) -> RealtimeSession:
    settings = services.settings.voice
    secret = socket.scope.get("state", {}).get("client_secret")
    asked = socket.query_params.get("model", "")
    if isinstance(secret, ClientSecret):
        session = RealtimeSession(secret.session)
        if asked and session.kind == "realtime":
            return RealtimeSession({**session.fields, "model": asked})
        return session
    kind = "transcription" if socket.query_params.get("intent") == "transcription" else "realtime"
    return RealtimeSession.new(kind, asked or "default", settings)  # type: ignore[arg-type]


async def _voices(services: Services) -> Voices:
    """Those of the engine that is installed; a service that speaks for us tells of none, a worker in trouble too."""
    if services.settings.voice.tts.engine == OPENAI:
        return Voices()
    with anyio.move_on_after(_VOICES_S), suppress(ParleyError):
        return Voices(voice.id for voice in await services.parts.tts.voices())
    return Voices()


def _offered(socket: WebSocket) -> list[str]:
    return [str(name) for name in socket.scope.get("subprotocols", ())]


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(10)}"


ROUTES = [WebSocketRoute(PATH, _talk)]
