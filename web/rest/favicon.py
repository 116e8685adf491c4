"""GET /favicon.ico: browsers ask for it by this name whatever a page says."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

__all__ = ["PUBLIC", "ROUTES"]

PUBLIC = ("/favicon.ico",)


async def _icon(request: Request) -> Response:
    return RedirectResponse("/static/live/icon.svg", 308)


ROUTES = [Route("/favicon.ico", _icon, methods=["GET"])]
