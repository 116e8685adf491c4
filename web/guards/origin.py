"""Requests that another site makes a browser send are refused.

Two ways in are closed. A page on another origin may open a WebSocket to us, or post a form with our cookie: the
`Origin` header that browsers add must be ours (or on the allow list). And a foreign name may be made to resolve to
127.0.0.1 (DNS rebinding), which makes that page same-origin with us: so a server on loopback answers only to
loopback names in `Host`. Clients that are no browsers send no Origin and are let through.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from models.errors import BadInput
from web.errors import Forbidden
from web.guards.raw_headers import header_of

__all__ = ["OriginGuard", "host_name", "is_loopback"]

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def host_name(value: str) -> str:
    """The name of a Host header without its port, lower case: "[::1]:4000" -> "::1". Empty if it is malformed."""
    try:
        return urlsplit(f"//{value}").hostname or ""
    except ValueError:
        return ""


def is_loopback(name: str) -> bool:
    return name in _LOOPBACK or name.endswith(".localhost") or (name.startswith("127.") and _is_ipv4(name))


class OriginGuard:
    """`check_host`: the server is bound to loopback. `hosts`: further names it answers to there. `origins`: further
    origins ("https://parley.example") that may use it from a browser. Raises Forbidden.
    """

    def __init__(
        self, app: ASGIApp, *, check_host: bool, hosts: tuple[str, ...] = (), origins: tuple[str, ...] = ()
    ) -> None:
        self.app = app
        self.check_host = check_host
        self.hosts = frozenset(host.lower() for host in hosts)
        self.origins = frozenset(origin.rstrip("/").lower() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosts = [value for header, value in scope["headers"] if header == b"host"]
        if len(hosts) > 1:
            raise BadInput("a request has one Host header")  # RFC 9112 3.2
        host = str(hosts[0], "latin-1") if hosts else ""
        name = host_name(host)
        if self.check_host and not is_loopback(name) and name not in self.hosts:
            raise Forbidden(
                f"this server does not answer to the name {name!r}",
                hint="add it to `allowed_hosts` in [server] of parley.toml if it is yours",
            )
        origin = header_of(scope, b"origin")
        if origin is not None and self._must_match(scope) and not self._ours(origin, host):
            raise Forbidden(
                f"requests from pages of {origin[:200]!r} are not taken",
                hint="add the origin to `allowed_origins` in [server] of parley.toml if it is yours",
            )
        await self.app(scope, receive, send)

    @staticmethod
    def _must_match(scope: Scope) -> bool:
        return scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS

    def _ours(self, origin: str, host: str) -> bool:
        if origin.lower() in self.origins:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and bool(host) and parts.netloc.lower() == host.lower()


def _is_ipv4(name: str) -> bool:
    parts = name.split(".")
    return len(parts) == 4 and all(part.isdecimal() and int(part) < 256 for part in parts)
