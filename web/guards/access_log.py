"""One log line a request, without a secret in it; at debug, for it costs as much as a part of the request."""

from __future__ import annotations

import re

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.clock import Clock

__all__ = ["AccessLog", "masked"]

_log = structlog.get_logger("web.access")

# A session token in a path is a credential, and so are keys and sign-in codes. The query is never logged.
_SECRET = re.compile(r"(?<=/)(live-|sk-)[^/]*|(?<=^/signin/)[^/]+")


def masked(path: str) -> str:
    """The path as it may be logged: at most 200 characters, control characters out, credentials cut."""
    shown = _SECRET.sub(lambda found: f"{found[1] or ''}...", path)
    return "".join(letter if letter.isprintable() else "?" for letter in shown[:200])


class AccessLog:
    """Logs method, masked path, status and milliseconds; for a WebSocket when it ends, with its close code."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self.app = app
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = self.clock.now()
        status = 0

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
            elif message["type"] == "websocket.close":
                status = message.get("code", 1000)
            await send(message)

        async def receive_seen() -> Message:
            nonlocal status
            message = await receive()
            if message["type"] == "websocket.disconnect" and not status:
                status = message.get("code", 1005)
            return message

        try:
            await self.app(scope, receive_seen, send_seen)
        finally:
            _log.debug(
                "request",
                method=scope.get("method", "WS"),
                path=masked(scope["path"]),
                status=status,
                ms=round((self.clock.now() - started_s) * 1000, 1),
            )
