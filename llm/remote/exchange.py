"""One HTTP request and its answer on a connection that is already there.

aiohttp makes the connections, keeps and closes them. What its client does beside that for each request (a task for
the writing, objects for request, response and body) would cost more than everything else the gateway does. So its
client is left out: httptools parses the answer, and this protocol is the transport's while the exchange lasts.
"""

from __future__ import annotations

import asyncio
from typing import cast

import aiohttp
import httptools

__all__ = ["AnswerBroken", "Exchange", "NoAnswer", "SpeaksTls"]

MAX_HEAD_BYTES = 256 << 10
"""Status line and headers of an answer."""
HELD_BYTES = 256 << 10
"""The server is not read from while more than this waits to be taken."""
_BODILESS = (204, 304)
_TLS_ALERT = b"\x15\x03"
"""How a record of TLS begins that tells of an error (RFC 8446, 5.1)."""


class AnswerBroken(aiohttp.ClientError):
    """The connection ended inside an answer, or before it; or what came was no HTTP."""


class NoAnswer(AnswerBroken):
    """The server ended the connection and has said nothing."""


class SpeaksTls(AnswerBroken):
    """The server was asked in plain HTTP, and its answer is an alert of TLS."""


class Exchange(asyncio.Protocol):
    """`ask` once, then `head`, then `read` until it gives b"".

    What came before a fault is given first, the fault then. `keeper` is the protocol that the connection belongs to:
    it hears of the connection's end.
    """

    def __init__(
        self, transport: asyncio.Transport, keeper: asyncio.BaseProtocol, quiet_s: float, until: float
    ) -> None:
        """The server may say nothing for `quiet_s`. All must be over at `until`, in the loop's time."""
        self.headers: dict[bytes, bytes] = {}
        """By name in lower case; of several of a name the last."""
        self.status = 0
        self.begun = False
        """Anything at all has come."""
        self.done = False
        self._transport, self._keeper = transport, keeper
        self._quiet_s, self._until = quiet_s, until
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._loop.time()
        self._timer = self._loop.call_at(min(self._heard_s + quiet_s, until), self._look)
        self._parser = httptools.HttpResponseParser(self)
        # As careless as real servers are; aiohttp and browsers take the same.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._head_bytes = 0
        self._whole_head = False
        self._pieces: list[bytes] = []
        self._held = 0
        self._paused = False
        self._ends_with_connection = False
        self._reusable = False
        self._fault: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        transport.set_protocol(self)

    # ---- for the one who asks ------------------------------------------------------------------------------

    def ask(self, data: bytes) -> None:
        self._transport.write(data)

    async def head(self) -> None:
        """Wait for status and headers. Raises AnswerBroken, TimeoutError."""
        while not self._whole_head:
            if self._fault is not None:
                raise self._fault
            await self._news()

    async def read(self) -> bytes:
        """What has come of the body since, at least a byte; b"" at its end. Raises AnswerBroken, TimeoutError."""
        while not self._pieces:
            if self.done:
                return b""
            if self._fault is not None:
                raise self._fault
            await self._news()
        pieces, self._pieces, self._held = self._pieces, [], 0
        if self._paused and not self.done:
            self._paused = False
            self._heard_s = self._loop.time()
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end(self) -> bool:
        """Give the connection back to its keeper. Whether another request may be sent on it."""
        self._timer.cancel()
        if self._transport.is_closing():
            return False  # our `connection_lost` is still to come, and passes it on
        self._transport.set_protocol(self._keeper)
        return self.done and self._reusable and not self._pieces

    async def _news(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ---- for the transport ---------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self.begun = True
        if self.done:
            self._reusable = False  # more than was asked for
            return
        self._heard_s = self._loop.time()
        if not self._whole_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.done:
                self._reusable = False
            else:
                tls = not self.status and data.startswith(_TLS_ALERT)
                self._fail(SpeaksTls("it speaks TLS") if tls else AnswerBroken(f"no HTTP: {error}"))
                return
        if not self._whole_head and self._head_bytes > MAX_HEAD_BYTES:
            self._fail(AnswerBroken("headers without an end"))
            return
        if self._held > HELD_BYTES and not (self._paused or self.done):
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        if self._ends_with_connection and self._fault is None and error is None:
            self.done = True
        self._reusable = False
        if not self.done and self._fault is None:
            silent = not self.begun and (error is None or isinstance(error, ConnectionError))
            kind = NoAnswer if silent else AnswerBroken
            self._fault = kind("the connection ended" if error is None else type(error).__name__)
            self._fault.__cause__ = error
        self._timer.cancel()
        self._wake()
        cast(asyncio.Protocol, self._keeper).connection_lost(error)

    def _look(self) -> None:
        """Has it been silent for too long? A timer for every piece would cost more than the piece."""
        now = self._loop.time()
        heard_s = now if self._paused else self._heard_s
        due = min(heard_s + self._quiet_s, self._until)
        if due > now:
            self._timer = self._loop.call_at(due, self._look)
        elif not self.done:
            self._fail(TimeoutError("the server was silent" if now < self._until else "it took too long"))

    def _fail(self, fault: Exception) -> None:
        if self._fault is None:
            self._fault = fault
        self._transport.abort()
        self._wake()

    # ---- for the parser ------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if 100 <= self.status < 200:  # 100 Continue, 103 Early Hints: the answer itself comes behind them
            return
        self._whole_head = True
        headers = self.headers
        self._ends_with_connection = (
            b"content-length" not in headers
            and not headers.get(b"transfer-encoding", b"").lower().endswith(b"chunked")
            and self.status not in _BODILESS
        )

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)
        self._held += len(data)

    def on_message_complete(self) -> None:
        if not self._whole_head:
            self.headers.clear()
            return
        self._reusable = self._parser.should_keep_alive()
        self.done = True
