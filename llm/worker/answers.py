"""HTTP of the worker: bodies in, answers and event streams out, errors as OpenAI's error objects."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm.convert.chat import error_object
from llm.errors import ContextTooLong, Overloaded, UnknownModel, WorkerDied
from models.errors import BadInput, ParleyError

__all__ = [
    "BodyTooLarge",
    "EventStream",
    "JsonAnswer",
    "Loading",
    "error_answer",
    "event",
    "read_body",
    "unless_gone",
]

MAX_BODY_BYTES = 64 << 20
MAX_DROPPED_BYTES = 64 << 20
KEEP_ALIVE_S = 2.0
"""A stream without data writes a comment this often, so that no client or proxy closes it."""
RETRY_AFTER_S = 2

_Result = TypeVar("_Result")
_json = json.JSONEncoder(separators=(",", ":")).encode


class BodyTooLarge(ParleyError):
    code = "request_too_large"


class Loading(ParleyError):
    code = "model_loading"
    retryable = True
    default_hint = "GET /health shows its progress"


_STATUS: tuple[tuple[type[ParleyError], int], ...] = (
    (BadInput, 400),
    (ContextTooLong, 400),
    (UnknownModel, 404),
    (BodyTooLarge, 413),
    (Overloaded, 503),
    (Loading, 503),
    (WorkerDied, 503),
)


class JsonAnswer(Response):
    """JSON in ASCII: a lone surrogate that a client sent and we quote cannot break the answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return _json(content).encode("ascii")


def error_answer(error: ParleyError) -> JsonAnswer:
    status = next((number for kind, number in _STATUS if isinstance(error, kind)), 500)
    kind = "invalid_request_error" if status < 500 else "server_error"
    headers = {"retry-after": str(RETRY_AFTER_S)} if status == 503 else None
    return JsonAnswer(error_object(error, kind), status, headers=headers)


async def read_body(request: Request) -> Mapping[str, Any]:
    """The JSON object of a request. Raises BadInput, BodyTooLarge.

    A client hears of the refusal only when it may finish sending, so the rest is read and dropped, within reason.
    """
    data = bytearray()
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size <= MAX_BODY_BYTES:
            data += piece
        elif size > MAX_BODY_BYTES + MAX_DROPPED_BYTES:
            break
    if size > MAX_BODY_BYTES:
        raise BodyTooLarge(f"the request is larger than {MAX_BODY_BYTES >> 20} MiB")
    return _object(bytes(data))


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(data)
    except RecursionError:
        raise BadInput("the request body is nested too deeply") from None
    except ValueError as error:  # also bytes that are no UTF-8
        raise BadInput(f"the request body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadInput("the request body must be a JSON object")
    return body


def event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + _json(data).encode("ascii") + b"\n\n"


async def unless_gone(receive: Receive, work: Callable[[], Awaitable[_Result]]) -> _Result | None:
    """The result of `work`; None if the client hung up first, and then the work was cancelled."""
    result: list[_Result] = []
    errors: list[Exception] = []
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        group.start_soon(watch)
        try:
            result.append(await work())
        except Exception as error:  # raised below: a task group would wrap it
            errors.append(error)
        group.cancel_scope.cancel()
    if errors:
        raise errors[0]
    return result[0] if result else None


class EventStream(Response):
    """Server-sent events from an async generator of bytes, which is closed when the client is gone.

    What fails before the first event is an ordinary error answer with its status. If nothing comes for
    KEEP_ALIVE_S the stream begins with a comment, and from then on errors come as its last event.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await unless_gone(receive, lambda: self._write(scope, receive, send))

    async def _write(self, scope: Scope, receive: Receive, send: Send) -> None:
        line = _Line(send, self.raw_headers)
        async with anyio.create_task_group() as group:
            group.start_soon(line.keep_alive)
            try:
                async with aclosing(self._events) as events:
                    async for piece in events:
                        await line.write(piece)
            except ParleyError as error:
                if not line.begun:
                    await error_answer(error)(scope, receive, send)
                    return
                await line.write(event(error_object(error, "server_error")))
            finally:
                group.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Line:
    """The open answer. Each write is a whole event or comment."""

    def __init__(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        self.begun = False
        self._send = send
        self._headers = headers
        self._writes = 0

    async def write(self, data: bytes) -> None:
        self._writes += 1
        if not self.begun:
            self.begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def keep_alive(self) -> None:
        while True:
            before = self._writes
            await anyio.sleep(KEEP_ALIVE_S)
            if self._writes == before:
                await self.write(b": keep-alive\n\n")
