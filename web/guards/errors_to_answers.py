"""The one place where an exception becomes an answer."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import BadInput, ParleyError
from web.errors import ClientGone, MethodNotAllowed, NotFound, body_of, close_code, codes_of, headers_of, server_ends
from web.exhaustion import exhausted
from web.http.route_header import route_header

__all__ = ["ErrorsToAnswers", "answer", "on_http_exception"]

_log = structlog.get_logger("web")
_CLIENT_CLOSED = 499
"""nginx's status for it. It goes nowhere, but into the logs of what stands between."""


def answer(error: ParleyError, path: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The HTTP response for an error. Older clients of the live API read `detail`, so its paths have it too."""
    return JSONResponse(
        body_of(error, detail=path.startswith("/v1/audio/live")),
        status_code=codes_of(error.code).status,
        headers={**headers_of(error), **(headers or {})},
    )


async def on_http_exception(request: Request, exc: Exception) -> Response:
    """Starlette's own refusals (no such path, wrong method, a body it cannot parse) in our form."""
    assert isinstance(exc, HTTPException)
    path = request.url.path
    error: ParleyError
    if exc.status_code == 404:
        error = NotFound(f"there is nothing at {path[:200]}")
    elif exc.status_code == 405:
        error = MethodNotAllowed(f"{request.method} is not possible at {path[:200]}")
    else:
        error = BadInput(exc.detail)
    return answer(error, path, dict(exc.headers or {}))


class ErrorsToAnswers:
    """Outermost but for the request id. A ParleyError is answered by the table in web/errors.py; anything else is
    a fault of ours: logged with its trace, answered with 500 and the request's id, never with its text. Who is cut
    off by the end of the server is told so.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] in ("http.response.start", "websocket.accept")
            await send(message)

        try:
            await self.app(scope, receive, send_watched)
        except ClientGone:
            _log.info("request.client_gone")
            if not started:
                await Response(status_code=_CLIENT_CLOSED)(scope, receive, send)
        except ParleyError as error:
            await self._answer(error, started, scope, receive, send)
        except asyncio.CancelledError:
            # The server's end: nobody else cancels a request's own task.
            if scope["type"] != "http":
                raise
            await self._answer(server_ends(), started, scope, receive, send)
        except Exception as error:
            told: ParleyError | None = exhausted(error)
            if told is None:
                _log.exception("request.failed", path_length=len(scope["path"]))
                name = scope.get("state", {}).get("request_id", "")
                told = ParleyError("something broke on our side", hint=f"the server's log has it under {name}")
            else:
                _log.warning("request.refused", why=told.message, hint=told.hint)
            await self._answer(told, started, scope, receive, send)

    async def _answer(self, error: ParleyError, started: bool, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if started:
                # The status is gone out; an unfinished body is the only sign left.
                _log.warning("response.cut", code=error.code)
                return
            await answer(error, scope["path"], route_header(scope))(scope, receive, send)
        elif started:
            close: dict[str, Any] = {"type": "websocket.close", "code": close_code(error)}
            await send({**close, "reason": error.message[:120]})
        else:
            response = answer(error, scope["path"])
            response.headers["connection"] = "close"
            await response(scope, receive, send)
