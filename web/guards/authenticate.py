"""Who is asking? Everything needs a key or a signed-in page, but for the paths that say they do not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from models.clock import Clock
from web.client_secrets import PREFIX, ClientSecrets
from web.errors import Unauthorized
from web.guards.raw_headers import header_of
from web.keys import KeyRing
from web.signin import COOKIE, read_cookie

__all__ = ["Authenticate", "Principal", "principal_of"]

_REALTIME = "/v1/realtime"
_SUBPROTOCOL = "openai-insecure-api-key."


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `user` owns what is made; `via` is how they showed it: key, cookie or client_secret."""

    user: str
    tier: str
    via: str

    def share(self, end_user: str | None) -> str:
        """Whose fair share of the slots a request uses. With the admin key, which may belong to a program that serves
        many, that is whoever its `user` names; with another key nobody gets more by making names up.
        """
        return f"{self.user}/{end_user[:64]}" if self.tier == "admin" and end_user else self.user


def principal_of(connection: HTTPConnection) -> Principal:
    """Who sent this request. Raises Unauthorized on a path that needs nobody and got nobody."""
    principal = connection.scope.get("state", {}).get("principal")
    if principal is None:
        raise Unauthorized("this needs a key")
    assert isinstance(principal, Principal)
    return principal


_BY_KEY = Principal("admin", "admin", "key")


class Authenticate:
    """Refuses by default. `public` lists what is open: whole paths, and prefixes that end in "/"."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyRing,
        clock: Clock,
        public: Iterable[str],
        client_secrets: ClientSecrets | None = None,
    ) -> None:
        self.app = app
        self.client_secrets = client_secrets
        self.keys = keys
        self.clock = clock
        self.open_paths = frozenset(path for path in public if path == "/" or not path.endswith("/"))
        self.open_prefixes = tuple(path for path in public if path != "/" and path.endswith("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal = self._principal(scope)
        if principal is not None:
            scope.setdefault("state", {})["principal"] = principal
        elif not self._is_open(scope["path"]):
            if scope["type"] == "http" and scope["method"] == "GET" and _is_page_visit(scope):
                await RedirectResponse(f"/signin?next={quote(scope['path'])}", 303)(scope, receive, send)
                return
            raise Unauthorized("this needs a key")
        await self.app(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return path in self.open_paths or path.startswith(self.open_prefixes)

    def _principal(self, scope: Scope) -> Principal | None:
        """Raises Unauthorized for a key that is not ours, also where none is needed: a typo should be heard of."""
        key = _key_of(scope)
        if key.startswith(PREFIX):
            return self._by_client_secret(scope, key)
        if key:
            if not self.keys.admits(key):
                raise Unauthorized("the key is not valid here")
            return _BY_KEY
        cookie = HTTPConnection(scope).cookies.get(COOKIE, "")
        now_unix_s = int(self.clock.wall().timestamp())
        if cookie and read_cookie(self.keys.cookie_secret, cookie, now_unix_s) is not None:
            return Principal("admin", "admin", "cookie")
        return None

    def _by_client_secret(self, scope: Scope, key: str) -> Principal:
        """An ephemeral key opens Realtime sessions and nothing else."""
        secret = self.client_secrets.find(key) if self.client_secrets is not None else None
        if secret is None:
            raise Unauthorized("the client secret is not valid here, or has expired")
        if scope["type"] != "websocket" or scope["path"] != _REALTIME:
            raise Unauthorized("a client secret opens Realtime sessions only")
        scope.setdefault("state", {})["client_secret"] = secret
        return Principal(secret.user, "client_secret", "client_secret")


def _key_of(scope: Scope) -> str:
    """As Bearer; browsers cannot set headers of a WebSocket, and OpenAI's put the key among its subprotocols."""
    scheme, _, key = (header_of(scope, b"authorization") or "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    if scope["type"] == "websocket" and scope["path"] == _REALTIME:
        for name in scope.get("subprotocols", ()):
            if name.startswith(_SUBPROTOCOL):
                return str(name.removeprefix(_SUBPROTOCOL)).strip()
    return ""


def _is_page_visit(scope: Scope) -> bool:
    return "text/html" in (header_of(scope, b"accept") or "")
