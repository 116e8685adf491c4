"""Work for a client that may hang up, and server-sent events.

Whatever is made for a client stops when that client is gone: the work runs beside a watch on the connection, and is
cancelled down to the decoder.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing, nullcontext
from functools import partial
from typing import Any, TypeVar

import anyio
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llm.messages import WaitState
from models.errors import ParleyError
from web.errors import ClientGone, body_of, server_ends
from web.guards.errors_to_answers import answer
from web.http.departure import departure_of
from web.http.route_header import route_header

__all__ = ["ByteStream", "EventStream", "LastPiece", "WaitComment", "data_line", "while_connected"]

_log = structlog.get_logger("web")
_Result = TypeVar("_Result")
_KEEP_ALIVE_S = 2.0
"""Some clients wait no longer than a few seconds for the next byte."""
_TELL_S = 1.0
_SEND_TIMEOUT_S = 30.0


async def while_connected(
    receive: Receive,
    work: Callable[[], Awaitable[_Result]],
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
    scope: Scope | None = None,
) -> _Result:
    """Do the work, unless the client goes away first: then it is cancelled, and ClientGone raised.

    The request's body must have been read. What the work raises comes out as it is. `beside` runs as long as the
    work does, and must not raise. With the request's `scope` our own server tells of the departure, which is cheaper.
    """
    departure = departure_of(scope) if scope is not None else None
    if departure is not None and beside is None:
        with anyio.CancelScope() as watched, departure.calls(watched.cancel):
            return await work()
        raise ClientGone
    outcome: list[_Result] = []
    failure: Exception | None = None
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        if departure is None:
            group.start_soon(watch)
        if beside is not None:
            group.start_soon(beside)
        try:
            with nullcontext() if departure is None else departure.calls(group.cancel_scope.cancel):
                outcome.append(await work())
        except Exception as error:  # carried out of the group by hand: there it would become a group of errors
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if not outcome:
        raise ClientGone
    return outcome[0]


def data_line(value: dict[str, Any]) -> bytes:
    """One event: a `data:` line of compact JSON and an empty line."""
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


class LastPiece(bytes):
    """A piece that ends the answer: the client need not wait for what is tidied up behind it."""


class ByteStream(Response):
    """Answers with the pieces of `pieces`, as they come.

    The first piece is awaited before the status goes out, so an error there is an ordinary error answer; a later one
    cuts the body, which is the only sign left. A client that hangs up, or reads nothing for 30 s, ends the iterator
    at once.
    """

    def __init__(self, pieces: AsyncGenerator[bytes, None], media_type: str) -> None:
        super().__init__(media_type=media_type, headers={"x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        line = _Line(send)
        try:
            with line.patience:
                await while_connected(receive, lambda: self._pump(line, scope, receive), self._beside(line), scope)
        except ClientGone:
            _log.info("stream.client_gone")
        except asyncio.CancelledError:  # of the request's own task: the server ends
            if not await self._cut(line):
                raise
        if line.patience.cancelled_caught:
            _log.warning("stream.client_too_slow")

    async def _pump(self, line: _Line, scope: Scope, receive: Receive) -> None:
        async with aclosing(self._pieces) as pieces:
            try:
                first = await anext(pieces)
            except ParleyError as error:
                await self._failed_first(line, error, scope, receive)
                return
            await line.open(self.raw_headers, first)
            try:
                async for piece in pieces:
                    await line.write(piece)
            except ParleyError as error:
                _log.warning("stream.failed", code=error.code)
                await self._broken(line, error)
        if not line.ended:
            await line.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _failed_first(self, line: _Line, error: ParleyError, scope: Scope, receive: Receive) -> None:
        """An ordinary error answer, unless comments have opened the stream already."""
        if await line.refuse(partial(answer(error, scope["path"], route_header(scope)), scope, receive)):
            return
        _log.warning("stream.failed", code=error.code)
        await self._broken(line, error)
        await line.send({"type": "http.response.body", "body": b"", "more_body": False})

    def _beside(self, line: _Line) -> Callable[[], Coroutine[Any, Any, None]]:
        return line.watch

    async def _broken(self, line: _Line, error: ParleyError) -> None:
        raise error

    async def _cut(self, line: _Line) -> bool:
        """Whether the client could be told that there will be no more."""
        return False


class WaitComment:
    """Says in a line of text what a request waits for. `tell` is given to it as `on_wait`."""

    def __init__(self) -> None:
        self.text = ""

    def tell(self, state: WaitState) -> None:
        parts = [f"position {state.position} in the queue" if state.position else "starting"]
        if state.loading:
            done = "" if state.progress is None else f" {state.progress:.0%}"
            parts.append(f"loading {state.model}{done}")
        # A model's name is a file's name, and a line break in it would be a line of its own here.
        self.text = " ".join(", ".join(parts).split())


class EventStream(ByteStream):
    """The pieces are whole server-sent events. An error on the way becomes a last `data: {"error":...}` event, as
    with OpenAI. While nothing comes, a comment every 2 s keeps clients and proxies from hanging up. With `waits`, a
    request that has waited for a second is told why in comments, also before its first event.
    """

    def __init__(self, events: AsyncGenerator[bytes, None], waits: WaitComment | None = None) -> None:
        super().__init__(events, "text/event-stream")
        self.headers["cache-control"] = "no-cache"
        self._waits = waits or WaitComment()

    def _beside(self, line: _Line) -> Callable[[], Coroutine[Any, Any, None]]:
        return partial(line.watch, self.raw_headers, self._waits)

    async def _broken(self, line: _Line, error: ParleyError) -> None:
        await line.write(data_line(body_of(error)), self.raw_headers)

    async def _cut(self, line: _Line) -> bool:
        if not line.is_open or line.ended:
            return False
        await line.write(LastPiece(data_line(body_of(server_ends()))))
        return True


class _Line:
    """The open answer: whole pieces, one after the other, each within its time.

    A timer for each piece would cost more than the piece. So a look at the clock now and then, by `watch`, tells a
    client that reads nothing, and cancels `patience`, which is around all that is done for it.
    """

    def __init__(self, send: Send) -> None:
        self.send = send
        self.patience = anyio.CancelScope()
        self._lock = anyio.Lock(fast_acquire=True)  # else every piece would wait for a turn of the loop
        self.ended = False
        self.is_open = False
        self._told: list[tuple[bytes, bytes]] = []
        """Headers that the client has."""
        self._refused = False
        self._written = 0
        self._sending = 0
        """Pieces that are being sent: 0, 1, or 2 with a comment."""

    async def refuse(self, answer: Callable[[Send], Awaitable[None]]) -> bool:
        """Send another answer in place of this one; False if this one is open already."""
        async with self._lock:
            if self.is_open:
                return False
            self._refused = True
            await answer(self.send)
            return True

    async def open(self, headers: list[tuple[bytes, bytes]], first: bytes) -> None:
        await self.write(first, headers)

    async def write(self, data: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        """With `headers` it opens the answer; those that come after a comment has opened it are told in comments."""
        self._sending += 1
        try:
            self.ended = isinstance(data, LastPiece)
            if headers is not None:
                async with self._lock:
                    if self._refused:
                        return
                    if not self.is_open:
                        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
                        self.is_open, self._told = True, list(headers)
                late = [header for header in headers if header not in self._told]
                self._told += late
                data = b"".join(b": %s: %s\n\n" % header for header in late) + data
            await self.send({"type": "http.response.body", "body": data, "more_body": not self.ended})
        finally:
            self._sending -= 1
        self._written += 1

    async def watch(self, headers: list[tuple[bytes, bytes]] | None = None, waits: WaitComment | None = None) -> None:
        """Until the client has taken nothing for 30 s. With `waits` also comments: what the request waits for, when
        that changes, until its first piece; later, that we live.
        """
        told, comments, quiet_s, stuck_s = "", 0, 0.0, 0.0
        pause_s = min(_TELL_S, _KEEP_ALIVE_S, _SEND_TIMEOUT_S)
        while stuck_s < _SEND_TIMEOUT_S:
            seen = self._written
            await anyio.sleep(pause_s)
            still = seen == self._written
            stuck_s = stuck_s + pause_s if still and self._sending else 0.0
            quiet_s = quiet_s + pause_s if still else 0.0
            if waits is None or self._sending or self.ended:
                continue
            with anyio.move_on_after(_SEND_TIMEOUT_S) as sent:
                if self._written == comments and waits.text != told:
                    told, comments = waits.text, comments + 1
                    await self.write(f": {told}\n\n".encode(), headers)
                elif self.is_open and quiet_s >= _KEEP_ALIVE_S:
                    quiet_s, comments = 0.0, comments + 1
                    await self.write(b": keep-alive\n\n")
            if sent.cancelled_caught:
                break
        self.patience.cancel()
