"""Upstream servers that hang, trickle, reset and lie, behind the router: a typed error, or the next server.

Each upstream is a bare socket that answers with the bytes of its row, so that it can say what no HTTP library would.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal

import aiohttp
import anyio
import pytest

from llm.configured_backends import load_backends
from llm.errors import BackendFailed, BackendUnreachable, LlmError, Overloaded
from llm.generate import Router
from llm.messages import GenerateRequest, Message
from llm.port import BackendConfig
from llm.route_trace import RouteTrace
from llm.stream import Finish, Relayed, TextDelta
from models.errors import ParleyError

Relay = Literal["", "stream"]
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def frame(content: str = "", finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": content} if content else {}, "finish_reason": finish}
    return b"data: " + json.dumps({"model": "m", "choices": [choice], **more}).encode() + b"\n\n"


def head(status: str = "200 OK", kind: str = "text/event-stream", **more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


GOOD = head() + frame("good") + frame(finish="stop") + b"data: [DONE]\n\n"
TWO = head() + frame("one ") + frame("two")


class Upstream:
    """Says `data`; then, with `hang`, nothing more. `gone` is set when its client closed the connection."""

    def __init__(self, data: bytes, hang: bool, reset: bool) -> None:
        self.data, self.hang, self.reset = data, hang, reset
        self.asked = 0
        self.gone = asyncio.Event()
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        text = await reader.readuntil(b"\r\n\r\n")
        if text.startswith(b"GET"):
            body = b'{"data":[{"id":"m"}]}'
            writer.write(head(kind="application/json", Content_Length=str(len(body))) + body)
        else:
            self.asked += 1
            length = next(
                int(line[15:]) for line in text.lower().split(b"\r\n") if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
            writer.write(self.data)
            if self.reset:
                await writer.drain()
                writer.transport.abort()
                return
            if self.hang:
                await reader.read()
                self.gone.set()
        writer.close()


@asynccontextmanager
async def upstream(data: bytes, *, hang: bool = False, reset: bool = False) -> AsyncIterator[Upstream]:
    found = Upstream(data, hang, reset)
    server = await asyncio.start_server(found.handle, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield found
    finally:
        server.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def router(http: aiohttp.ClientSession, *urls: str, timeout_s: float = 5.0) -> Router:
    configs = [BackendConfig(f"b{n}", "openai", url, model="m", timeout_s=timeout_s) for n, url in enumerate(urls)]
    backends = load_backends(configs, http)
    return Router(lambda: backends, "")


def request(relay: Relay = "", **more: Any) -> GenerateRequest:
    return GenerateRequest((Message("user", "hello"),), "m", relay=relay, **more)


async def text_of(router: Router, asked: GenerateRequest) -> str:
    said = ""
    async with aclosing(router.generate(asked)) as events:
        async for event in events:
            match event:
                case TextDelta(text=text):
                    said += text
                case Relayed(data=data):
                    for line in data.decode().split("\n\n"):
                        if line:
                            [choice] = json.loads(line.removeprefix("data: "))["choices"]
                            said += choice["delta"].get("content", "")
    assert isinstance(event, Finish)
    return said


BEFORE = {
    "closes at once": (b"", {}),
    "resets at once": (b"", {"reset": True}),
    "hangs before headers": (b"", {"hang": True}),
    "hangs after headers": (head(), {"hang": True}),
    "comments and no more": (head() + b": ping\n\n" * 3, {"hang": True}),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", {}),
    "a page": (head(kind="text/html") + b"<html>hello</html>", {}),
    "JSON that is none": (head(kind="application/json") + b"{", {}),
    "an empty object": (head(kind="application/json") + b"{}", {}),
    "broken frame": (head() + b"data: {]\n\n", {}),
    "a list": (head() + b"data: []\n\n", {}),
    "an error inside 200": (head() + b'data: {"error":{"message":"out of memory"}}\n\n', {}),
    "only a role, then an end": (head() + b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n', {}),
    "a frame without an end": (head() + b"data: {" + b" " * (5 << 20), {}),
    "a length it does not keep": (head(kind="application/json", Content_Length="999") + b"{}", {}),
    "500": (head("500 Oh", "text/plain") + b"oh", {}),
    "429": (head("429 No", "application/json", Retry_After="7") + b'{"error":{"message":"slow down"}}', {}),
    "a redirect": (head("302 Found", Location="http://127.0.0.1:1/"), {}),
}


@pytest.mark.parametrize("relay", ["", "stream"])
@pytest.mark.parametrize("name", BEFORE)
async def test_before_the_first_token_the_next_server_answers(
    http: aiohttp.ClientSession, name: str, relay: Relay
) -> None:
    data, how = BEFORE[name]
    traces: list[RouteTrace] = []
    async with upstream(data, **how) as bad, upstream(GOOD) as good:
        both = router(http, bad.url, good.url, timeout_s=0.3)
        assert await text_of(both, request(relay, on_route=traces.append)) == "good"
    assert (bad.asked, good.asked) == (1, 1)
    assert traces[0].chosen is not None and traces[0].chosen.backend == "b1"
    assert traces[0].line().startswith("b1/m; strategy=failover; passed=b0:")


@pytest.mark.parametrize("relay", ["", "stream"])
@pytest.mark.parametrize("name", BEFORE)
async def test_alone_it_is_a_typed_error_with_a_hint(http: aiohttp.ClientSession, name: str, relay: Relay) -> None:
    data, how = BEFORE[name]
    async with upstream(data, **how) as bad:
        with pytest.raises(LlmError) as caught:
            await text_of(router(http, bad.url, timeout_s=0.3), request(relay))
    assert isinstance(caught.value, BackendFailed | BackendUnreachable | Overloaded)
    assert caught.value.message


@pytest.mark.parametrize("relay", ["", "stream"])
@pytest.mark.parametrize(
    ("data", "how"),
    [
        (TWO, {}),
        (TWO, {"reset": True}),
        (TWO, {"hang": True}),
    ],
)
async def test_after_it_there_is_no_second_voice(
    http: aiohttp.ClientSession, data: bytes, how: dict[str, bool], relay: Relay
) -> None:
    async with upstream(data, **how) as bad, upstream(GOOD) as good:
        with pytest.raises(ParleyError):
            await text_of(router(http, bad.url, good.url, timeout_s=0.3), request(relay))
        assert good.asked == 0


@pytest.mark.parametrize("relay", ["", "stream"])
@pytest.mark.parametrize(
    "data",
    [
        head() + frame("good") + frame(finish="stop"),  # no [DONE]
        head() + frame("good") + frame(finish="stop") + b"data: [DONE]",  # no last line
        head() + (frame("good") + frame(finish="stop")).replace(b"\n", b"\r\n") + b"data: [DONE]\r\n\r\n",
        head() + b": ping\n\nevent: message\n" + frame("good").replace(b"data: ", b"data:") + frame(finish="stop"),
    ],
)
async def test_what_can_be_understood_is(http: aiohttp.ClientSession, data: bytes, relay: Relay) -> None:
    async with upstream(data) as odd:
        assert await text_of(router(http, odd.url), request(relay)) == "good"


@pytest.mark.parametrize("relay", ["", "stream"])
async def test_a_client_that_goes_away_closes_the_socket(http: aiohttp.ClientSession, relay: Relay) -> None:
    async with upstream(TWO, hang=True) as bad:
        async with aclosing(router(http, bad.url).generate(request(relay))) as events:
            async for _ in events:
                break
        with anyio.fail_after(2):
            await bad.gone.wait()


async def test_retry_after_is_kept_to(http: aiohttp.ClientSession) -> None:
    async with upstream(*BEFORE["429"][:1]) as busy:
        one = router(http, busy.url)
        for _ in range(3):
            with pytest.raises(Overloaded) as caught:
                await text_of(one, request())
            assert 1 <= caught.value.retry_after_s <= 7
        assert busy.asked == 1


async def test_a_server_that_fails_again_and_again_is_left_alone(http: aiohttp.ClientSession) -> None:
    async with upstream(BEFORE["500"][0]) as bad, upstream(GOOD) as good:
        both = router(http, bad.url, good.url)
        await both.refresh()
        for _ in range(8):
            assert await text_of(both, request()) == "good"
        assert (bad.asked, good.asked) == (3, 8)


async def test_a_hanging_server_slows_neither_the_model_list_nor_a_request(http: aiohttp.ClientSession) -> None:
    async with upstream(b"", hang=True) as good_list_bad_chat, upstream(GOOD) as good:
        both = router(http, good_list_bad_chat.url, good.url, timeout_s=30.0)
        await both.refresh()
        with anyio.fail_after(2):
            assert len(both.models()) == 2
            assert await text_of(both, GenerateRequest((Message("user", "hi"),), "b1")) == "good"
