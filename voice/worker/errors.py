"""A worker's errors on the wire: OpenAI's error object and a status, from one table."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from models.errors import ParleyError

__all__ = ["error_body", "on_bug", "on_http_exception", "on_parley_error", "status_of"]

_STATUS = {
    "invalid_request": 400,
    "invalid_audio": 400,
    "message_too_large": 413,
    "engine_busy": 503,
    "model_not_installed": 503,
    "model_unreadable": 500,
}


def status_of(error: ParleyError) -> int:
    """Errors the table does not know are the engine's: 503 when trying again may help, else 500."""
    return _STATUS.get(error.code, 503 if error.retryable else 500)


def error_body(error: ParleyError) -> dict[str, Any]:
    kind = "invalid_request_error" if status_of(error) < 500 else "server_error"
    return {
        "error": {
            "message": str(error),
            "type": kind,
            "param": error.param,
            "code": error.code,
        }
    }


async def on_parley_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ParleyError)
    headers = {"retry-after": "1"} if error.retryable else None
    return JSONResponse(error_body(error), status_of(error), headers)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses (unknown path, wrong method, broken form), in the same form as the rest."""
    assert isinstance(error, HTTPException)
    unknown = error.status_code in (404, 405)
    body = {
        "message": f"{request.method} {request.url.path} is not served by this worker" if unknown else error.detail,
        "type": "invalid_request_error",
        "param": None,
        "code": "not_found" if unknown else "invalid_request",
    }
    return JSONResponse({"error": body}, error.status_code)


async def on_bug(request: Request, error: Exception) -> Response:
    """An exception nobody expected: logged by the server with its traceback, said here without details."""
    body = {"message": "the worker has a bug; its log says more", "type": "server_error", "param": None}
    return JSONResponse({"error": body | {"code": "internal_error"}}, 500)
