"""WS /v1/audio/live/ws/{token}: the live protocol. What is said on it is up to voice/protocols/live.py; sessions are
opened by web/rest/live.py.
"""

from __future__ import annotations

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from web.http.channel import WebSocketChannel, converse
from web.services import services_of

__all__ = ["PATH", "PUBLIC", "ROUTES"]

PATH = "/v1/audio/live/ws/"
PUBLIC = (PATH,)
"""The token in the path is the credential."""


async def _talk(socket: WebSocket) -> None:
    services = services_of(socket)
    # Accepted first: a browser sees the close code of an open connection only.
    try:
        await socket.accept()
    except OSError:
        return  # gone already
    channel = WebSocketChannel(socket, services.settings.server.send_timeout_s)
    resume = socket.query_params.get("resume", "") not in ("", "0", "false")
    await converse(services, socket.path_params["token"], channel, resume=resume)


ROUTES = [WebSocketRoute(PATH + "{token}", _talk)]
