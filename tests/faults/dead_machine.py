"""A server whose machine is gone without a word, for tests: asked in a network of our own, which is then cut.

Prints `none` where no such network can be made; else `asked`, and a line for a kept connection and for a stream that
both died: what was raised.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import struct
import sys

import aiohttp
from aiohttp import web

from llm.remote import upstream
from llm.remote.upstream import Upstream

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # sched.h
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1  # linux/sockios.h, net/if.h
_SOON = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 2000}
_LONG = aiohttp.ClientTimeout(sock_connect=1, sock_read=600)


def _network() -> bool:
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWUSER | _CLONE_NEWNET
    if ctypes.CDLL(None).unshare(flags):
        return False
    try:
        _loopback(up=True)
    except OSError:
        return False
    return True


def _loopback(*, up: bool) -> None:
    import fcntl

    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP if up else 0))


async def _whole(request: web.Request) -> web.Response:
    return web.json_response({})


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"the first word")
    await asyncio.sleep(600)
    return response


async def main() -> None:
    app = web.Application()
    app.router.add_post("/whole", _whole)
    app.router.add_post("/stream", _stream)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as http:
        server = Upstream(http, asks_again=True)

        async def ask(path: str) -> None:
            async with server.request("POST", url + path, {}, b"{}", _LONG) as answer:
                async for _ in answer.pieces():
                    if path == "/stream":
                        _loopback(up=False)

        await ask("/whole")
        print("asked", flush=True)
        _loopback(up=False)
        for path in ("/whole", "/stream"):
            try:
                await ask(path)
            except Exception as error:
                print(type(error).__name__, error, flush=True)
            _loopback(up=True)
    os._exit(0)


if __name__ == "__main__":
    if _network():
        upstream._PROBES = _SOON
        asyncio.run(main())
    sys.stdout.write("none\n")
