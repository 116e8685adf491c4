"""Errors of the web layer, and the one table that says how each is told.

ParleyError
|- WebError
   |- Unauthorized     no key, or one that is not ours (401)
   |- Forbidden        known, and not allowed; also a foreign Origin or Host (403)
   |- NotFound         no such path or thing (404)
   |- MethodNotAllowed the path exists, the method does not (405)
   |- BodyTimeout      the request's body did not arrive in time (408)
   |- BodyTooLarge     more bytes than the server takes (413)
   |- NotSupported     a part of OpenAI's API that this server has not (400)
   |- NotReady         a part that the request needs is not there yet (503)
   |- TooManyConnections  more than the server takes at once (503)

An error is told in up to three ways: by an HTTP status, an OpenAI error object and a WebSocket close code. OpenAI's
object has always the four keys message, type, param and code; `hint` is ours. The pairs of status and type are those
of OpenAI's own service, so that its SDKs raise the exception class a caller expects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.errors import ParleyError

__all__ = [
    "BodyTimeout",
    "BodyTooLarge",
    "ClientGone",
    "ErrorCodes",
    "Forbidden",
    "MethodNotAllowed",
    "NotFound",
    "NotReady",
    "NotSupported",
    "SlotChanged",
    "TooManyConnections",
    "Unauthorized",
    "WebError",
    "body_of",
    "close_code",
    "codes_of",
    "headers_of",
    "no_model",
    "server_ends",
]


class ClientGone(Exception):
    """The client closed the connection before it had its answer. No error, and nobody is there to be told."""


class WebError(ParleyError):
    code = "web_error"


class Unauthorized(WebError):
    code = "invalid_api_key"
    default_hint = "send `Authorization: Bearer sk-...`; `parley keys reset` makes a new admin key"


class Forbidden(WebError):
    code = "forbidden"


class SlotChanged(WebError):
    code = "slot_changed"
    default_hint = "GET /admin/api/slots shows what the slots hold"


class NotFound(WebError):
    code = "not_found"


class MethodNotAllowed(WebError):
    code = "method_not_allowed"


class BodyTimeout(WebError):
    code = "request_timeout"
    retryable = True


class BodyTooLarge(WebError):
    code = "request_too_large"


class NotSupported(WebError):
    code = "not_supported"


class NotReady(WebError):
    code = "not_ready"
    retryable = True
    default_hint = "GET /health shows which part is still starting; `parley doctor` says what to do"


class TooManyConnections(WebError):
    code = "overloaded"
    retryable = True
    default_hint = "try again; whoever keeps connections that are not in use should close them"


def no_model(name: str) -> NotReady:
    """A session cannot be opened, for nobody could answer in it as the model of that name ("": the default one)."""
    if name:
        hint = "GET /v1/models lists what there is; GET /health says whether one is starting"
        return NotReady(f"no language model called {name[:100]!r} can answer now", hint=hint)
    hint = "GET /health says whether one is starting; `parley doctor` says how to get one"
    return NotReady("no language model can answer now", hint=hint)


def server_ends() -> NotReady:
    """What was under way is cut off."""
    return NotReady("the server is ending", hint="ask again in a moment: it may be starting anew")


@dataclass(frozen=True, slots=True)
class ErrorCodes:
    """HTTP status, OpenAI error type, WebSocket close code (RFC 6455 7.4; 4000 and up are ours)."""

    status: int
    type: str
    close: int


_REQUEST = "invalid_request_error"
_SERVER = "server_error"

TABLE: Mapping[str, ErrorCodes] = {
    # models
    "internal_error": ErrorCodes(500, _SERVER, 1011),
    "invalid_request": ErrorCodes(400, _REQUEST, 1008),
    "invalid_settings": ErrorCodes(500, _SERVER, 1011),
    "part_broken": ErrorCodes(500, _SERVER, 1011),
    "model_error": ErrorCodes(500, _SERVER, 1011),
    "model_not_found": ErrorCodes(404, _REQUEST, 1008),
    "model_unreadable": ErrorCodes(500, _SERVER, 1011),
    "download_failed": ErrorCodes(502, _SERVER, 1013),
    "download_refused": ErrorCodes(502, _SERVER, 1011),
    "checksum_wrong": ErrorCodes(502, _SERVER, 1013),
    "disk_full": ErrorCodes(507, _SERVER, 1011),
    # llm
    "llm_error": ErrorCodes(500, _SERVER, 1011),
    "backend_unreachable": ErrorCodes(503, _SERVER, 1013),
    "backend_failed": ErrorCodes(502, _SERVER, 1011),
    "no_such_endpoint": ErrorCodes(502, _SERVER, 1011),
    "tool_not_called": ErrorCodes(502, _SERVER, 1011),
    "port_taken": ErrorCodes(503, _SERVER, 1013),
    "worker_died": ErrorCodes(503, _SERVER, 1013),
    "overloaded": ErrorCodes(503, _SERVER, 1013),
    "rate_limit_exceeded": ErrorCodes(429, "rate_limit_error", 1013),
    "insufficient_quota": ErrorCodes(429, "insufficient_quota", 1011),
    "model_too_large": ErrorCodes(507, _SERVER, 1011),
    "load_replaced": ErrorCodes(409, _REQUEST, 1008),
    "model_loading": ErrorCodes(503, _SERVER, 1013),
    "context_length_exceeded": ErrorCodes(400, _REQUEST, 1008),
    "previous_response_not_found": ErrorCodes(400, _REQUEST, 1008),
    # voice
    "voice_error": ErrorCodes(500, _SERVER, 1011),
    "invalid_message": ErrorCodes(400, _REQUEST, 1008),
    "nothing_to_resume": ErrorCodes(409, _REQUEST, 1008),
    "message_too_large": ErrorCodes(413, _REQUEST, 1009),
    "session_not_found": ErrorCodes(404, _REQUEST, 4004),
    "bad_recording": ErrorCodes(400, _REQUEST, 1008),
    "client_too_slow": ErrorCodes(408, _REQUEST, 1008),
    "session_busy": ErrorCodes(409, _REQUEST, 4009),
    "invalid_audio": ErrorCodes(400, _REQUEST, 1008),
    "speech_engine_error": ErrorCodes(500, _SERVER, 1011),
    "stt_failed": ErrorCodes(503, _SERVER, 1013),
    "tts_failed": ErrorCodes(503, _SERVER, 1013),
    "model_not_installed": ErrorCodes(503, _SERVER, 1013),
    "tool_failed": ErrorCodes(502, _SERVER, 1011),
    "engine_busy": ErrorCodes(503, _SERVER, 1013),
    "too_many_sessions": ErrorCodes(503, _SERVER, 1013),
    # web
    "web_error": ErrorCodes(500, _SERVER, 1011),
    "invalid_api_key": ErrorCodes(401, _REQUEST, 4001),
    "forbidden": ErrorCodes(403, _REQUEST, 4003),
    "slot_changed": ErrorCodes(409, _REQUEST, 1008),
    "not_found": ErrorCodes(404, _REQUEST, 4004),
    "method_not_allowed": ErrorCodes(405, _REQUEST, 1008),
    "request_timeout": ErrorCodes(408, _REQUEST, 1008),
    "request_too_large": ErrorCodes(413, _REQUEST, 1009),
    "not_supported": ErrorCodes(400, _REQUEST, 1008),
    "not_ready": ErrorCodes(503, _SERVER, 1013),
    # commands: shown on a terminal, here for completeness
    "server_unreachable": ErrorCodes(503, _SERVER, 1013),
    "server_refused": ErrorCodes(502, _SERVER, 1011),
    "no_sound_device": ErrorCodes(503, _SERVER, 1013),
}


def codes_of(code: str) -> ErrorCodes:
    """How an error is told. A code without a row is a fault of ours and looks like one."""
    return TABLE.get(code, TABLE["internal_error"])


def close_code(error: ParleyError) -> int:
    return codes_of(error.code).close


def body_of(error: ParleyError, *, detail: bool = False) -> dict[str, Any]:
    """The JSON body of an error. With `detail`, also the key that clients of the live REST API read."""
    fields = {
        "message": error.message,
        "type": codes_of(error.code).type,
        "param": error.param,
        "code": error.code,
    }
    if error.hint:
        fields["hint"] = error.hint
    return {"detail": str(error), "error": fields} if detail else {"error": fields}


def headers_of(error: ParleyError) -> dict[str, str]:
    """Response headers that belong to the error: when to come again, how to sign in."""
    status = codes_of(error.code).status
    if status == 401:
        return {"www-authenticate": "Bearer"}
    if status in (429, 503) and error.retryable:
        return {"retry-after": str(getattr(error, "retry_after_s", 2))}
    return {}
