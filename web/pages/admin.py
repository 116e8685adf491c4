"""The admin page: GET /admin/. What it shows and does are the REST endpoints under /admin/api/ and /v1/stats/."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from web.errors import Forbidden
from web.guards.authenticate import principal_of

__all__ = ["ROUTES"]

_HTML = Path(__file__).resolve().parent.parent / "static" / "admin" / "index.html"


async def _page(request: Request) -> Response:
    """GET /admin/: the page itself, for admins. Its parts come from /static/admin/ and need no key."""
    if principal_of(request).tier != "admin":
        raise Forbidden("only an admin may see this page")
    return FileResponse(_HTML, media_type="text/html")


async def _without_slash(request: Request) -> Response:
    return RedirectResponse("/admin/", 308)


ROUTES = [
    Route("/admin/", _page, methods=["GET"]),
    Route("/admin", _without_slash, methods=["GET"]),
]
