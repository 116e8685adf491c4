"""The short way to an endpoint that many requests a second go to.

Starlette tries one route after the other and puts three wrappers around each endpoint. An endpoint that is a `Direct`
is found by its path alone, behind the same guards, and called as it is. On any other way (another method, a slash
too many) Starlette answers as ever: it has the route, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Direct", "DirectRoutes"]


class Direct:
    """`answer` raises ParleyError and nothing of Starlette's own."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)


class DirectRoutes:
    """The innermost guard."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self.direct: dict[tuple[str, str], ASGIApp] = {
            (method, route.path): route.app
            for route in routes
            if isinstance(route, Route) and isinstance(route.app, Direct)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.direct.get((scope.get("method", ""), scope["path"]), self.app)
        await endpoint(scope, receive, send)
