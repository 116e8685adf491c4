"""Servers and clients whose machine is gone without a word, for tests: in a network of our own, which is then cut.

Prints `none` where no such network can be made; else `asked`, a line for a kept connection and for a stream that
both died (what was raised), the same for a speech service, and a line for a client of ours that was waiting for its
answer.
"""

from __future__ import annotations

import asyncio
import os
import sys

import aiohttp
import anyio
from aiohttp import web as aio
from starlette.types import Receive, Scope, Send

from llm.remote.upstream import Upstream
from models import dead_peers
from tests.faults import own_network
from tests.faults.own_network import loopback
from voice.errors import TtsFailed
from voice.speech_http import post
from web.http.departure import departure_of
from web.serving import server

_SOON_S = 2
_LONG = aiohttp.ClientTimeout(sock_connect=1, sock_read=600)


async def _whole(request: aio.Request) -> aio.Response:
    return aio.json_response({})


async def _stream(request: aio.Request) -> aio.StreamResponse:
    response = aio.StreamResponse()
    await response.prepare(request)
    await response.write(b"the first word")
    await asyncio.sleep(600)
    return response


async def main() -> None:
    app = aio.Application()
    app.router.add_post("/whole", _whole)
    app.router.add_post("/stream", _stream)
    runner = aio.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await aio.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    connector = aiohttp.TCPConnector(socket_factory=dead_peers.probed_socket)
    async with aiohttp.ClientSession(connector=connector) as http:
        asked = Upstream(http, asks_again=True)

        async def ask(path: str) -> None:
            async with asked.request("POST", url + path, {}, b"{}", _LONG) as answer:
                async for _ in answer.pieces():
                    if path == "/stream":
                        loopback(up=False)

        await ask("/whole")
        print("asked", flush=True)
        loopback(up=False)

        async def speak(path: str) -> None:
            async with post(http, url + path, TtsFailed, hint="", timeout_s=600, body=lambda: {"json": {}}) as answer:
                async for _ in answer.content.iter_any():
                    loopback(up=False)

        for failing in (ask("/whole"), ask("/stream"), speak("/stream")):
            try:
                await failing
            except Exception as error:
                print(type(error).__name__, error, flush=True)
            loopback(up=True)
    await _client_gone()


async def _client_gone() -> None:
    """It waits, and nothing is sent to it meanwhile."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        departure = departure_of(scope)
        assert departure is not None
        gone = asyncio.Event()
        with departure.calls(gone.set):
            loopback(up=False)
            await gone.wait()
        print("client gone", flush=True)
        os._exit(0)

    listener = server.listen("127.0.0.1", 0)
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve, app, listener)
        _, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")


if __name__ == "__main__":
    if own_network.make():
        dead_peers.SERVER_DEAD_S = server.CLIENT_DEAD_S = _SOON_S
        asyncio.run(main())
    sys.stdout.write("none\n")
