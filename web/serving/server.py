"""The HTTP server: uvicorn, as one structured task among others.

uvicorn wants to own the process: it takes the signals, exits when a port is taken, and logs paths (in ours stand
credentials). Here it gets an open socket, no signals and no access log, and ends when its task is cancelled.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import anyio
import structlog
import uvicorn
from anyio.abc import TaskStatus
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from models.dead_peers import probe
from models.errors import ParleyError
from web.errors import TooManyConnections
from web.guards.errors_to_answers import answer
from web.http.departure import EXTENSION, Departure
from web.http.unacknowledged import EXTENSION as UNACKNOWLEDGED
from web.http.unacknowledged import unacknowledged
from web.serving.gathered_writes import GatheredWrites
from web.serving.open_files import MOST_CONNECTIONS, connections_at_once

__all__ = ["AddressTaken", "address_of", "listen", "serve"]

_log = structlog.get_logger("web")

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""Larger WebSocket messages are refused by the server itself (1009). Sessions have lower limits and say why."""

READ_BYTES = 8 * 1024
"""Of a WebSocket, at a time. So many bytes may hold a thousand frames, which take milliseconds; a quarter of a
megabyte of them, which comes in one piece, takes a tenth of a second in which nobody else is served."""

MAX_HEAD_BYTES = 512 * 1024
"""Of the line and headers of a request, and whatever came in one piece with them."""

_LISTEN_HINTS = {
    errno.EADDRINUSE: "another program (another Parley?) has the port; `--port` takes a different one",
    errno.EADDRNOTAVAIL: "this machine has no such address; `--host 0.0.0.0` listens on all that it has",
    errno.EACCES: "ports below 1024 are for root only; `--port 4000` is not",
}
HEAD_WITHIN_S = 60.0
"""Whoever connects and sends no whole head of a request within this time is disconnected."""
FULL_HEAD_WITHIN_S = 1.0
"""The same, of connections beyond those that are taken."""
CLIENT_DEAD_S = 60
"""A client that acknowledges nothing for so long is gone, and what it asked for is cancelled."""
_FULL_TOLD_EVERY_S = 60.0
_END_WITHIN_S = 1.0
"""Answers that are still being written at the end may take this long; then they are cut."""


class AddressTaken(ParleyError):
    """The address cannot be listened on."""

    code = "port_taken"


class _WebSocket(WebSocketsSansIOProtocol):
    """Hands the application a way to cut a connection whose client reads nothing: a close would wait for it; and
    one to ask what has not arrived there. A client that sends text in another encoding than UTF-8 is told so by 1007;
    that is its fault, and no trace in our log. Pings of a client that reads nothing are not answered: the answers
    would wait here, as many as it sends.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._unread = bytearray()

    def data_received(self, data: bytes) -> None:
        """Not more than `READ_BYTES` in a turn of the event loop, and nothing more comes until all are read."""
        if not self._unread and len(data) <= READ_BYTES:
            super().data_received(data)
            return
        if not self._unread:
            self.loop.call_soon(self._read_on)
        self._unread += data
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _read_on(self) -> None:
        if not self._unread:
            return  # the connection is lost
        piece = bytes(self._unread[:READ_BYTES])
        del self._unread[:READ_BYTES]
        super().data_received(piece)
        if self._unread:
            self.loop.call_soon(self._read_on)
        elif not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        unread, self._unread = bytes(self._unread), bytearray()
        if unread:
            super().data_received(unread)
        super().connection_lost(exc)

    def handle_cont(self, event: Frame) -> None:
        """A list of pieces takes fifty times what is in them, if they are small."""
        first = self.frames[0] if self.frames else b""
        whole = first if isinstance(first, bytearray) else bytearray(first)
        whole += event.data
        self.frames = [whole]  # type: ignore[list-item]
        if event.fin:
            self.send_receive_event_to_app()

    def handle_ping(self) -> None:
        if self.writable.is_set() and not self.transport.is_closing():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # the answer, which is dropped: RFC 6455 5.5.3 wants one to the last ping only

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                _log.warning("websocket.no_utf8")
                self.frames = []
                self.conn.send_close(CloseCode.INVALID_DATA, "text is UTF-8")
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    async def run_asgi(self) -> None:
        extensions: dict[str, Any] = self.scope.setdefault("extensions", {})
        extensions["parley.abort"] = self.transport.abort
        extensions[UNACKNOWLEDGED] = partial(unacknowledged, self.transport)
        await super().run_asgi()

    async def send(self, message: Any) -> None:
        await super().send(message)
        # Else every client that is refused with a reason is logged as an error of ours.
        self.handshake_complete |= self.close_sent


async def _full(scope: Scope, receive: Receive, send: Send) -> None:
    error = TooManyConnections("the server has as many connections as it takes")
    await answer(error, scope["path"], {"connection": "close"})(scope, receive, send)


class _Http(HttpToolsProtocol):
    """Tells the application when the client leaves, writes what belongs together in one piece, takes no endless
    headers (its parser would), nor heads that do not come; and refuses what is asked on connections beyond the limit.
    """

    _told_s: ClassVar[float] = -_FULL_TOLD_EVERY_S

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._most, self.limit_concurrency = self.limit_concurrency or MOST_CONNECTIONS, None
        self._is_full = self._in_head = False
        self._head_due: asyncio.TimerHandle | None = None
        self._departure = Departure()
        self._writes: GatheredWrites | None = None
        self._head_bytes: int | None = 0  # None: in a body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = self._writes = GatheredWrites(transport, self.loop)
        self._is_full = len(self.connections) > self._most
        self._await_head()

    def handle_websocket_upgrade(self) -> None:
        if self._writes is not None:
            self.transport = self._writes.transport
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        if self._writes is not None:
            self._writes.flush()
        super().on_response_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head and self._head_due is None:
            self._await_head()
        if self._head_bytes is None:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n")
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._head_bytes, self._in_head = None, False
        self._forget_head()
        if self._is_full:
            self.app = _full
            self._tell_full()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._head_bytes = 0
        self._departure.whole = True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._departure.whole, self._in_head = False, True
        self.scope.setdefault("extensions", {})[EXTENSION] = self._departure  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget_head()
        self._departure.happened()

    def _should_upgrade(self) -> bool:
        return not self._is_full and super()._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        if not self._is_full:
            super()._unsupported_upgrade_warning()

    def _await_head(self) -> None:
        within_s = FULL_HEAD_WITHIN_S if self._is_full else HEAD_WITHIN_S
        self._head_due = self.loop.call_later(within_s, self._no_head)

    def _forget_head(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _no_head(self) -> None:
        self._head_due = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._await_head()  # it has time until the answer before it is out
            return
        if self._is_full:
            self._tell_full()
        if self._in_head:
            self.transport.write(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n")
        self.transport.close()

    def _tell_full(self) -> None:
        now_s = self.loop.time()
        if now_s < _Http._told_s + _FULL_TOLD_EVERY_S:
            return
        _Http._told_s = now_s
        hint = "see who holds them (`ss -tn`); where the system's limit on open files is low, raise it (`ulimit -n`)"
        _log.warning("server.full", connections=len(self.connections), most=self._most, hint=hint)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises AddressTaken with what to do about it."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
    except OSError as error:
        raise AddressTaken(
            f"cannot listen on {host!r}: {error.strerror or error}", hint="set another --host"
        ) from None
    try:
        # So that a restart need not wait for the old connections' TIME_WAIT to be over.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe(listener, CLIENT_DEAD_S)
        listener.bind(address)
        listener.listen(2048)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise AddressTaken(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint=_LISTEN_HINTS.get(error.errno or 0, "set another --host or --port"),
        ) from None
    return listener


def address_of(listener: socket.socket) -> str:
    """ "http://host:port" as a browser on this machine reaches it."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _nothing() -> None:
    return


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    ending: Callable[[], Awaitable[None]] = _nothing,
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; `started` once connections are taken. Closes the socket.

    At the end `ending` is called, WebSockets are closed with 1012 and open answers get a second.
    """
    server = _Server(
        uvicorn.Config(
            app,
            http=_Http,
            ws=_WebSocket,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            ws_max_size=MAX_FRAME_BYTES,
            ws_ping_interval=20.0,
            ws_ping_timeout=20.0,
            ws_per_message_deflate=False,  # audio does not compress, and each frame would cost time
            limit_concurrency=connections_at_once(),
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_END_WITHIN_S,  # type: ignore[arg-type]
        )
    )
    async with anyio.create_task_group() as group:

        async def run() -> None:
            with anyio.CancelScope(shield=True):
                await server.serve(sockets=[listener])

        group.start_soon(run)
        try:
            await server.up.wait()
            task_status.started()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await ending()
            server.should_exit = True
