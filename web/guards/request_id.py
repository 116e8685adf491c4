"""Every request has a name: `x-request-id` on its answer and in its log lines."""

from __future__ import annotations

import re
import secrets

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from web.guards.raw_headers import header_of

__all__ = ["RequestId"]

_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestId:
    """Takes the client's `x-request-id` where it is harmless (64 letters, digits, `._-`), else makes one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = header_of(scope, b"x-request-id") or ""
        name = given if _SAFE.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        scope.setdefault("state", {})["request_id"] = name
        told = (b"x-request-id", name.encode())

        async def send_named(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message["headers"] = [*message.get("headers", ()), told]
            await send(message)

        with bound_contextvars(request_id=name):
            await self.app(scope, receive, send_named)
