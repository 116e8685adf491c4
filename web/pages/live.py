"""The live page: GET /live, what it needs to know at GET /live/options, and / which leads to it."""

from __future__ import annotations

from pathlib import Path

import structlog
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from voice.errors import TtsFailed
from voice.port import VoiceInfo
from web.guards.authenticate import principal_of
from web.services import services_of

__all__ = ["ROUTES"]

_HTML = Path(__file__).resolve().parent.parent / "static" / "live" / "index.html"
_log = structlog.get_logger("web.pages.live")


async def _page(request: Request) -> Response:
    """GET /live: the page itself. Its parts come from /static/live/ and need no key."""
    return FileResponse(_HTML, media_type="text/html")


async def _options(request: Request) -> Response:
    """GET /live/options: {"voices": [{"id", "name", "language"}], "wake_words": [...], "admin"}.

    `admin`: whether the one who asks may see the admin page.
    A synthesiser that does not answer has no voices to choose from; a turn will say what is wrong with it.
    """
    services = services_of(request)
    voices: tuple[VoiceInfo, ...] = ()
    try:
        voices = await services.parts.tts.voices()
    except TtsFailed as error:
        _log.warning("live.no_voices", code=error.code)
    return JSONResponse(
        {
            "voices": [{"id": voice.id, "name": voice.name, "language": voice.language} for voice in voices],
            "wake_words": list(services.ears.known_words()),
            "admin": principal_of(request).tier == "admin",
        }
    )


async def _root(request: Request) -> Response:
    return RedirectResponse("/live", 303)


ROUTES = [
    Route("/", _root, methods=["GET"]),
    Route("/live", _page, methods=["GET"]),
    Route("/live/options", _options, methods=["GET"]),
]
