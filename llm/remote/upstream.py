"""HTTP to one server: connections of the shared aiohttp session, requests and answers by `Exchange`."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType
from typing import ClassVar, cast
from weakref import WeakSet

import aiohttp
import anyio.lowlevel
from yarl import URL

from llm.errors import BackendFailed
from llm.remote.backend_http import failure_of
from llm.remote.exchange import AnswerBroken, Exchange
from models.clock import Clock, SystemClock

__all__ = ["Upstream", "UpstreamAnswer"]

STALE_S = 1.0
"""A kept connection that the server has closed shows it within this time; one that is dead, within SERVER_DEAD_S."""
_TRIES = 256
"""Connections that are looked at until one serves: kept ones may have said something, or be as stale as the first."""
_KEPT_HEADS = 64
_INFLATED_BYTES = 64 << 10
"""Of a compressed answer, at once."""
_FREE_BYTES, _MOST_RATIO = 4 << 20, 100
"""Text shrinks to a tenth, and repeated text to a fiftieth. Beyond that, and beyond these bytes, it is an attack."""
_FOREVER = float("inf")


class UpstreamAnswer:
    """Status, headers and body of an answer."""

    __slots__ = ("_exchange", "_pieces", "content_type", "status")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._pieces: _Pieces | None = None
        self.status = exchange.status
        self.content_type = self.header(b"content-type").partition(";")[0].strip().lower()

    def header(self, name: bytes) -> str:
        """The header of that name, which is given in lower case; "" where there is none."""
        return str(self._exchange.headers.get(name, b""), "latin-1")

    @property
    def at_end(self) -> bool:
        return self._exchange.done

    def pieces(self) -> AsyncIterator[bytes]:
        """What has not been taken of the body, as it comes. Raises AnswerBroken, TimeoutError; BackendFailed where it
        is compressed in a way that nobody asked for and that is not known, or that has no end.
        """
        if self._pieces is None:
            coding = self.header(b"content-encoding").strip().lower()
            plain = coding in ("", "identity")
            self._pieces = _Pieces(self._exchange) if plain else _Inflated(self._exchange, coding)
        return self._pieces

    async def opening(self) -> bytes:
        """The first piece of the body, which `pieces` gives again; b"" where there is none. Raises as they do."""
        pieces = cast(_Pieces, self.pieces())
        pieces.ahead = await anext(pieces, b"")
        return pieces.ahead


class Upstream:
    """Requests to one server. No redirect is followed (the key is for this server only), no compression asked for."""

    _kept: ClassVar[WeakSet[object]] = WeakSet()
    """Connections that have served; all servers of a session share its pool."""

    def __init__(self, http: aiohttp.ClientSession, *, asks_again: bool, clock: Clock | None = None) -> None:
        """`asks_again`: send a request once more where a kept connection was closed just as it was used."""
        self.clock = clock or SystemClock()
        self._http = http
        self._asks_again = asks_again
        self._heads: dict[tuple[str, str, str], tuple[aiohttp.ClientRequest, bytes]] = {}

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: bytes,
        timeout: aiohttp.ClientTimeout,
        *,
        any_status: bool = False,
    ) -> _Request:
        """To be entered: gives the answer when its headers are there. Leaving the block before the answer's end
        closes the connection. Raises the typed error of an answer that is no success, unless `any_status` is wanted;
        aiohttp's errors of connecting; AnswerBroken, TimeoutError.
        """
        shape, head = self._head(method, url, headers)
        sent = b"%b%b%d\r\n\r\n%b" % (head, b"Content-Length: ", len(data), data)
        return _Request(self, shape, sent, timeout, any_status)

    async def begin(
        self, shape: aiohttp.ClientRequest, sent: bytes, timeout: aiohttp.ClientTimeout
    ) -> tuple[aiohttp.connector.Connection, Exchange]:
        """An exchange whose head has come."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout.total if timeout.total else _FOREVER
        connector = self._http.connector
        if connector is None:
            raise aiohttp.ClientConnectionError("the session is closed")
        again, anew = self._asks_again, False
        for _ in range(_TRIES):
            connection = await connector.connect(shape, [], timeout)
            keeper, transport = connection.protocol, connection.transport
            kept = keeper in self._kept
            if keeper is None or transport is None or keeper.should_close or (anew and kept):
                connection.close()  # it said something while nobody asked, or another of its age was closed
                continue
            sent_s = loop.time()
            exchange = Exchange(transport, keeper, timeout.sock_read or _FOREVER, until)
            try:
                exchange.ask(sent)
                await exchange.head()
                return connection, exchange
            except AnswerBroken as error:
                self.end(connection, exchange)
                dead = isinstance(error.__cause__, TimeoutError)
                stale = kept and not exchange.begun and (dead or loop.time() < sent_s + STALE_S)
                if not (stale and again):
                    raise
                again, anew = False, True  # once: the request itself may be what the server dies of
            except BaseException:
                self.end(connection, exchange)
                raise
        raise AnswerBroken("no connection stays open")

    def end(self, connection: aiohttp.connector.Connection, exchange: Exchange) -> None:
        keeper = connection.protocol
        if exchange.end() and keeper is not None:
            self._kept.add(keeper)
            connection.release()
        else:
            connection.close()

    def _head(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[aiohttp.ClientRequest, bytes]:
        """aiohttp's request, for its connector and for the headers that follow from the address; and its bytes."""
        key = (method, url, headers.get("Authorization", ""))
        found = self._heads.get(key)
        if found is None:
            shape = aiohttp.ClientRequest(
                method,
                _address(url),
                headers={**headers, "Accept-Encoding": "identity"},
                loop=asyncio.get_running_loop(),
                session=self._http,
            )
            lines = [f"{method} {shape.url.raw_path_qs} HTTP/1.1"]
            lines += [f"{name}: {value}" for name, value in shape.headers.items() if name.lower() != "content-length"]
            if any(letter in line for line in lines for letter in "\r\n\0"):
                raise BackendFailed(
                    "a line break stands in a header", hint="check the api_key of this backend", of_server=True
                )
            found = shape, ("\r\n".join(lines) + "\r\n").encode()
            if len(self._heads) < _KEPT_HEADS:
                self._heads[key] = found
        return found


def _address(url: str) -> URL:
    try:
        found = URL(url)
        if found.scheme in ("http", "https") and found.host:
            return found
    except ValueError:
        pass
    raise BackendFailed(
        f"{url[:200]!r} is not an address", hint="base_url looks like http://127.0.0.1:8080/v1", of_server=True
    )


class _Request:
    __slots__ = ("_any_status", "_begun", "_sent", "_shape", "_timeout", "_upstream")

    def __init__(
        self,
        upstream: Upstream,
        shape: aiohttp.ClientRequest,
        sent: bytes,
        timeout: aiohttp.ClientTimeout,
        any_status: bool,
    ) -> None:
        self._upstream, self._shape, self._sent, self._timeout = upstream, shape, sent, timeout
        self._any_status = any_status
        self._begun: tuple[aiohttp.connector.Connection, Exchange] | None = None

    async def __aenter__(self) -> UpstreamAnswer:
        self._begun = await self._upstream.begin(self._shape, self._sent, self._timeout)
        answer = UpstreamAnswer(self._begun[1])
        if not 200 <= answer.status < 300 and not self._any_status:  # 201: what some frameworks say to every POST
            try:
                raise await failure_of(answer, self._upstream.clock)
            finally:
                self._upstream.end(*self._begun)
        return answer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._begun is not None:
            self._upstream.end(*self._begun)


class _Pieces:
    """An iterator and no generator: one that is left early has nothing to be closed."""

    __slots__ = ("_exchange", "ahead")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.ahead = b""
        """To be given first: somebody has looked at it."""

    def __aiter__(self) -> _Pieces:
        return self

    async def __anext__(self) -> bytes:
        if self.ahead:
            piece, self.ahead = self.ahead, b""
            return piece
        piece = await self._more()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def _more(self) -> bytes:
        """b"" at the end."""
        return await self._exchange.read()


class _Inflated(_Pieces):
    """Of a server that compresses though nobody asked for it: bounded, so that little cannot become a great deal."""

    __slots__ = ("_coding", "_ready", "_taken", "_written", "_zlib")

    def __init__(self, exchange: Exchange, coding: str) -> None:
        super().__init__(exchange)
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise BackendFailed(
                f"the server sent an answer with content-encoding {coding[:40]!r}",
                hint="Parley does not ask for compression; check the proxy in front of that server",
            )
        self._coding = coding
        self._zlib = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        self._taken = self._written = 0
        self._ready: Iterator[bytes] = iter(())

    async def _more(self) -> bytes:
        while True:
            for text in self._ready:
                if text:
                    await anyio.lowlevel.checkpoint()  # much may come of one piece
                    return text
            data = await self._exchange.read()
            if not data:
                if not self._zlib.eof:
                    raise AnswerBroken("a compressed answer ended in the middle")
                return b""
            self._ready = self._inflate(data)

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        if not self._taken and self._coding == "deflate" and data[0] & 0x0F != 8:
            self._zlib = zlib.decompressobj(wbits=-zlib.MAX_WBITS)  # some leave out zlib's frame (RFC 9110 8.4.1.2)
        self._taken += len(data)
        more = True
        while more:
            try:
                text = self._zlib.decompress(data, _INFLATED_BYTES)
            except zlib.error as error:
                raise AnswerBroken(f"not what content-encoding says: {error}") from error
            self._written += len(text)
            if self._written > _FREE_BYTES and self._written > _MOST_RATIO * self._taken:
                raise BackendFailed(
                    "the server sent a compressed answer that grows beyond reason",
                    hint="check the proxy in front of that server",
                )
            yield text
            data = self._zlib.unconsumed_tail
            more = bool(data) or len(text) == _INFLATED_BYTES
