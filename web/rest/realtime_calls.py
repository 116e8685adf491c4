"""POST /v1/realtime/calls and the beta's POST /v1/realtime: WebRTC, which this server does not speak, and says so."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from web.errors import NotSupported

__all__ = ["ROUTES"]


async def _refuse(request: Request) -> Response:
    raise NotSupported("This server has no WebRTC and no SIP", hint="connect a WebSocket to /v1/realtime")


ROUTES = [
    Route("/v1/realtime", _refuse, methods=["POST"]),
    Route("/v1/realtime/calls", _refuse, methods=["POST"]),
    Route("/v1/realtime/calls/{call}/{action}", _refuse, methods=["POST"]),
]
