"""No body larger than the server wants to hold."""

from __future__ import annotations

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.errors import BodyTooLarge
from web.guards.raw_headers import header_of

__all__ = ["BodyLimit"]


class BodyLimit:
    """Raises BodyTooLarge: at once where Content-Length says so, else as soon as the bytes are there."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = header_of(scope, b"content-length") or ""
        if length.isdecimal() and (len(length) > 15 or int(length) > self.max_bytes):
            await _linger(receive, self.max_bytes)
            raise self._error()
        seen = 0

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self.max_bytes:
                    await _linger(receive, self.max_bytes)
                    raise self._error()
            return message

        await self.app(scope, receive_counted, send)

    def _error(self) -> BodyTooLarge:
        return BodyTooLarge(
            f"the body is larger than {self.max_bytes} bytes", hint="raise `max_body_mb` in [server] of parley.toml"
        )


async def _linger(receive: Receive, max_bytes: int) -> None:
    """Read on for a while and forget it: a client that is still writing would get a reset instead of the answer."""
    left = 4 * max_bytes
    with anyio.move_on_after(2.0):
        while left > 0:
            message = await receive()
            left -= len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body", False):
                return
