"""Who is asking? Everything needs a key or a signed-in page, but for the paths that say they do not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from models.clock import Clock
from web.errors import Unauthorized
from web.keys import KeyRing
from web.signin import COOKIE, read_cookie

__all__ = ["Authenticate", "Principal", "principal_of"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `user` owns what is made; `via` is how they showed it: key or cookie."""

    user: str
    tier: str
    via: str


def principal_of(connection: HTTPConnection) -> Principal:
    """Who sent this request. Raises Unauthorized on a path that needs nobody and got nobody."""
    principal = connection.scope.get("state", {}).get("principal")
    if principal is None:
        raise Unauthorized("this needs a key")
    assert isinstance(principal, Principal)
    return principal


class Authenticate:
    """Refuses by default. `public` lists what is open: whole paths, and prefixes that end in "/"."""

    def __init__(self, app: ASGIApp, *, keys: KeyRing, clock: Clock, public: Iterable[str]) -> None:
        self.app = app
        self.keys = keys
        self.clock = clock
        self.open_paths = frozenset(path for path in public if path == "/" or not path.endswith("/"))
        self.open_prefixes = tuple(path for path in public if path != "/" and path.endswith("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        principal = self._principal(connection)
        if principal is not None:
            scope.setdefault("state", {})["principal"] = principal
        elif not self._is_open(scope["path"]):
            if scope["type"] == "http" and scope["method"] == "GET" and _is_page_visit(connection.headers):
                await RedirectResponse(f"/signin?next={quote(scope['path'])}", 303)(scope, receive, send)
                return
            raise Unauthorized("this needs a key")
        await self.app(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return path in self.open_paths or path.startswith(self.open_prefixes)

    def _principal(self, connection: HTTPConnection) -> Principal | None:
        """Raises Unauthorized for a key that is not ours, also where none is needed: a typo should be heard of."""
        scheme, _, key = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and key.strip():
            if not self.keys.admits(key.strip()):
                raise Unauthorized("the key is not valid here")
            return Principal("admin", "admin", "key")
        cookie = connection.cookies.get(COOKIE, "")
        now_unix_s = int(self.clock.wall().timestamp())
        if cookie and read_cookie(self.keys.cookie_secret, cookie, now_unix_s) is not None:
            return Principal("admin", "admin", "cookie")
        return None


def _is_page_visit(headers: Headers) -> bool:
    return "text/html" in headers.get("accept", "")
