"""Keeps web pages away from a worker's port.

It listens on loopback only and asks for no key, but a page in a browser on this machine can reach it: across
sites, or under a name that is made to point here. Such requests carry a foreign Origin or Host.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["LocalOnly"]

_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_REFUSED = {
    "error": {
        "message": "this port answers programs on this machine only",
        "type": "invalid_request_error",
        "param": None,
        "code": "forbidden",
    }
}


class LocalOnly:
    """Middleware. A WebSocket is refused before it is open, which no browser would do for us."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or _is_local(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await JSONResponse(_REFUSED, 403)(scope, receive, send)
        else:
            await receive()  # websocket.connect
            await send({"type": "websocket.close", "code": 1008, "reason": ""})


def _is_local(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    host = headers.get(b"host", b"").decode("latin-1")
    return _name(f"//{host}") in _NAMES and (not origin or _name(origin) in _NAMES)


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
