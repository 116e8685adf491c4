"""`x-parley-route`: which backend, model and slot answered a request, or who was asked in vain. On errors, too.

For admins only: the names of servers are nobody else's business.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import Scope

from llm.routing.route_trace import RouteTrace
from web.guards.authenticate import principal_of

__all__ = ["RouteHeader", "route_header"]

_NAME = "x-parley-route"
_KEPT = "parley_route"


class RouteHeader:
    """To be given as `on_route`. Puts the way of a request into `headers`, and beside the request for its errors."""

    def __init__(self, request: Request) -> None:
        self._shown = principal_of(request).tier == "admin"
        self._scope = request.scope
        self.headers = MutableHeaders()

    def __call__(self, trace: RouteTrace) -> None:
        if self._shown:
            line = trace.line()
            self.headers[_NAME] = line
            self._scope.setdefault("state", {})[_KEPT] = line


def route_header(scope: Scope) -> dict[str, str]:
    """For an answer that is made elsewhere."""
    line = scope.get("state", {}).get(_KEPT)
    return {_NAME: line} if line else {}
