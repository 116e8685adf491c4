"""Streams to clients that wait, hang up or do not read, on a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import aiohttp
import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm.errors import BackendFailed, Overloaded
from llm.messages import WaitState
from tests.web.served_here import client_of, serving
from web.errors import ClientGone
from web.guards.errors_to_answers import ErrorsToAnswers
from web.http import sse
from web.http.sse import ByteStream, EventStream, WaitComment, data_line, while_connected

Events = Callable[[], AsyncGenerator[bytes, None]]


def _app(events: Events, make: Callable[[AsyncGenerator[bytes, None]], Response] = EventStream) -> Any:
    async def endpoint(request: Request) -> Response:
        return make(events())

    return ErrorsToAnswers(Starlette(routes=[Route("/", endpoint)]))


async def test_events_and_comments_while_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_KEEP_ALIVE_S", 0.05)
    enough = anyio.Event()

    async def events() -> AsyncGenerator[bytes, None]:
        yield data_line({"n": 1, "text": "ä\n"})
        await enough.wait()
        yield data_line({"n": 2})

    begun_s, read = anyio.current_time(), b""
    async with client_of(_app(events)) as client, client.get("/") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        async for piece in response.content.iter_any():
            read += piece
            if read.count(b": keep-alive") >= 3:
                enough.set()
        lines = read.decode().split("\n\n")
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert data == [{"n": 1, "text": "ä\n"}, {"n": 2}]
    assert 3 <= lines.count(": keep-alive") <= (anyio.current_time() - begun_s) / 0.05
    assert lines[0].startswith("data: ") and lines[-1] == ""


async def test_an_error_before_the_first_event_is_a_status() -> None:
    async def events() -> AsyncGenerator[bytes, None]:
        raise BackendFailed("nobody there")
        yield b""

    async with client_of(_app(events)) as client, client.get("/") as response:
        assert response.status == 502
        assert (await response.json())["error"]["code"] == "backend_failed"


async def test_an_error_on_the_way_is_the_last_event() -> None:
    async def events() -> AsyncGenerator[bytes, None]:
        yield data_line({"n": 1})
        raise BackendFailed("broke")

    async with client_of(_app(events)) as client, client.get("/") as response:
        *_, last, end = (await response.read()).decode().split("\n\n")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "backend_failed" and end == ""


async def test_an_error_on_the_way_cuts_bytes_short() -> None:
    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"one"
        raise BackendFailed("broke")

    app = _app(pieces, lambda found: ByteStream(found, "audio/wav"))
    async with client_of(app) as client, client.get("/") as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_hanging_up_ends_the_iterator() -> None:
    ended = anyio.Event()

    async def events() -> AsyncGenerator[bytes, None]:
        try:
            yield data_line({"n": 1})
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with client_of(_app(events)) as client:
        response = await client.get("/")
        await response.content.readline()
        response.close()
        with anyio.fail_after(60):
            await ended.wait()


async def test_hanging_up_before_the_first_event_ends_the_iterator() -> None:
    begun, ended = anyio.Event(), anyio.Event()

    async def events() -> AsyncGenerator[bytes, None]:
        try:
            begun.set()
            await anyio.sleep_forever()
            yield b""
        finally:
            ended.set()

    async with client_of(_app(events)) as client:
        asking = asyncio.create_task(client.get("/"))
        await begun.wait()
        asking.cancel()
        with anyio.fail_after(60):
            await ended.wait()
        await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.parametrize("begun", [True, False])
async def test_a_server_that_ends_says_so_to_who_waits(begun: bool) -> None:
    """In a last event, or in an ordinary error answer where there was none yet."""
    asked = anyio.Event()
    sent: list[Any] = []

    async def events() -> AsyncGenerator[bytes, None]:
        if begun:
            yield data_line({"n": 1})
        asked.set()
        await anyio.sleep_forever()
        yield b""

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await anyio.sleep_forever()

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    asking = asyncio.create_task(_app(events)(scope, receive, send))
    await asked.wait()
    asking.cancel()  # as the server does with a request at its end
    await asking
    assert (sent[0]["type"], sent[0]["status"]) == ("http.response.start", 200 if begun else 503)
    last = sent[-1]
    assert b"is ending" in last["body"] and not last.get("more_body") and last["body"].startswith(b"data: ") == begun


async def test_a_client_that_does_not_read_ends_the_iterator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_SEND_TIMEOUT_S", 0.3)
    ended = anyio.Event()

    async def events() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"data: " + b"x" * 65536 + b"\n\n"
        finally:
            ended.set()

    async with serving(_app(events)) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with anyio.fail_after(60):
            await ended.wait()
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_work_for_a_client_that_stays_and_one_that_goes() -> None:
    at_work, gone = anyio.Event(), anyio.Event()

    async def endpoint(request: Request) -> Response:
        async def work() -> int:
            if request.query_params["s"] == "1000":
                at_work.set()
            await anyio.sleep(float(request.query_params["s"]))
            return 7

        try:
            return JSONResponse(await while_connected(request.receive, work))
        except ClientGone:
            gone.set()
            raise

    async with client_of(ErrorsToAnswers(Starlette(routes=[Route("/", endpoint)]))) as client:
        async with client.get("/?s=0.01") as response:
            assert await response.json() == 7
        asking = asyncio.create_task(client.get("/?s=1000"))
        await at_work.wait()
        asking.cancel()
        with anyio.fail_after(60):
            await gone.wait()
        await asyncio.gather(asking, return_exceptions=True)


class _Queue:
    """A request that stands in line until the test lets it go on."""

    def __init__(self, then: Exception | None = None) -> None:
        self.waits = WaitComment()
        self.next = anyio.Event()
        self._then = then

    async def events(self) -> AsyncGenerator[bytes, None]:
        self.waits.tell(WaitState("m\n\ndata: forged", 2, loading=True, progress=0.5))
        await self.next.wait()
        if self._then is not None:
            raise self._then
        yield data_line({"n": 1})

    def app(self) -> Any:
        return _app(self.events, lambda events: EventStream(events, self.waits))


async def test_a_request_that_waits_is_told_why_before_its_first_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_TELL_S", 0.02)
    queue = _Queue()
    async with client_of(queue.app()) as client, client.get("/") as response:
        first = await response.content.readline()
        assert first == b": position 2 in the queue, loading m data: forged 50%\n"
        queue.waits.tell(WaitState("m", 1))
        assert await response.content.readline() == b"\n"
        assert await response.content.readline() == b": position 1 in the queue\n"
        queue.next.set()
        assert (await response.read()).strip() == b'data: {"n":1}'


@pytest.mark.parametrize("then", [None, Overloaded("full")])
async def test_a_header_that_comes_after_comments_is_a_comment(
    monkeypatch: pytest.MonkeyPatch, then: Exception | None
) -> None:
    monkeypatch.setattr(sse, "_TELL_S", 0.02)
    queue, streams = _Queue(then), []

    def stream(events: AsyncGenerator[bytes, None]) -> EventStream:
        streams.append(EventStream(events, queue.waits))
        return streams[-1]

    async with client_of(_app(queue.events, stream)) as client, client.get("/") as response:
        await response.content.readline()
        streams[0].headers["x-parley-route"] = "gpu/m; passed=cloud"
        queue.next.set()
        events = (await response.read()).decode().strip().split("\n\n")
    assert events[0] == ": x-parley-route: gpu/m; passed=cloud"
    assert len(events) == 2 and events[1].startswith("data: ")


async def test_a_request_that_waits_long_hears_of_it_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some clients wait no longer for a byte, though the same is waited for all the while."""
    assert sse._KEEP_ALIVE_S <= 2
    monkeypatch.setattr(sse, "_TELL_S", 0.02)
    monkeypatch.setattr(sse, "_KEEP_ALIVE_S", 0.02)
    queue = _Queue()
    async with client_of(queue.app()) as client, client.get("/") as response:
        lines = [await response.content.readline() for _ in range(6)]
        queue.next.set()
        assert (await response.read()).endswith(b'data: {"n":1}\n\n')
    assert lines[0].startswith(b": position 2") and lines[2:] == [b": keep-alive\n", b"\n"] * 2


async def test_an_error_after_comments_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_TELL_S", 0.02)
    queue = _Queue(Overloaded("full"))
    async with client_of(queue.app()) as client, client.get("/") as response:
        await response.content.readline()
        queue.next.set()
        event = (await response.read()).decode().strip()
    assert json.loads(event.removeprefix("data: "))["error"]["code"] == "overloaded"


async def test_an_error_before_any_comment_is_an_answer_and_says_when_to_come_again() -> None:
    queue = _Queue(Overloaded("full", retry_after_s=9))
    queue.next.set()
    async with client_of(queue.app()) as client, client.get("/") as response:
        assert response.status == 503 and response.headers["retry-after"] == "9"
        assert (await response.json())["error"]["code"] == "overloaded"
