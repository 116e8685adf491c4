"""GET /metrics: the figures of the server for Prometheus."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from web.errors import Forbidden, NotFound
from web.guards.authenticate import principal_of
from web.services import services_of

__all__ = ["PUBLIC", "ROUTES"]

PUBLIC = ("/metrics",)
"""Whether it needs a key is a setting, so it is decided here."""


async def _metrics(request: Request) -> Response:
    """`[server] metrics`: "admin" needs an admin key, "open" needs nothing, "off" is 404."""
    services = services_of(request)
    access = services.settings.server.metrics
    if access == "off":
        raise NotFound(
            "there is nothing here", hint='metrics are turned off: [server] metrics = "admin" turns them on'
        )
    if access == "admin" and principal_of(request).tier != "admin":
        raise Forbidden("only an admin may read the metrics", hint='[server] metrics = "open" lets everybody')
    body, content_type = services.metrics.render(request.headers.get("accept", ""))
    return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})


ROUTES = [Route("/metrics", _metrics, methods=["GET"])]
