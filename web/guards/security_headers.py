"""What a browser may do with our answers. Nothing is ever loaded from another host."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["PAGE_POLICY", "SecurityHeaders"]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Content-Security-Policy of pages. `connect-src 'self'` covers our own WebSocket (CSP level 3)."""

_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with "no-referrer" our own forms would send `Origin: null`
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
}


_ALWAYS_RAW = tuple((name.encode(), value.encode()) for name, value in _ALWAYS.items())
_POLICY = (b"content-security-policy", PAGE_POLICY.encode())
_ASK_AGAIN = (b"cache-control", b"no-cache")
_STORE_NOT = (b"cache-control", b"no-store")


class SecurityHeaders:
    """Sets the headers on every answer; an endpoint's own value stays. Answers of the API are not stored."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = dict(message["headers"])
                more = [pair for pair in _ALWAYS_RAW if pair[0] not in own]
                page = own.get(b"content-type", b"").startswith(b"text/html")
                if page and _POLICY[0] not in own:
                    more.append(_POLICY)
                if _STORE_NOT[0] not in own:
                    # Pages and their parts are asked for again, and answered with 304.
                    more.append(_ASK_AGAIN if page or scope["path"].startswith("/static/") else _STORE_NOT)
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self.app(scope, receive, send_guarded)
