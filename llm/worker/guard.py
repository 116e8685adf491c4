"""Keeps web pages away from the worker's port.

It listens on loopback only and asks for no key, but a page in a browser on this machine can reach it: across
sites, or under a name that is made to point here. Such requests carry a foreign Origin or Host.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from llm.worker.answers import JsonAnswer

__all__ = ["LocalOnly"]

_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


class LocalOnly:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            origin = headers.get(b"origin", b"").decode("latin-1")
            host = headers.get(b"host", b"").decode("latin-1")
            if _name(f"//{host}") not in _NAMES or (origin and _name(origin) not in _NAMES):
                wrong = {"message": "this port answers programs on this machine only", "code": "forbidden"}
                body = {"error": {**wrong, "type": "invalid_request_error", "param": None}}
                await JsonAnswer(body, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
