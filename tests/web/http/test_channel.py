"""The channel between a session and its socket, on a real server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import anyio
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from tests.web.raw_socket import frame, open_raw, read_to_end
from tests.web.served_here import serving
from web.http.channel import WebSocketChannel

Use = Callable[[WebSocketChannel], Awaitable[None]]


def _app(use: Use, done: anyio.Event) -> Starlette:
    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        try:
            await use(WebSocketChannel(socket, send_timeout_s=0.3))
        finally:
            done.set()

    return Starlette(routes=[WebSocketRoute("/ws", endpoint)])


async def test_a_client_that_does_not_read_is_cut() -> None:
    sent = 0

    async def pour(channel: WebSocketChannel) -> None:
        nonlocal sent
        with pytest.raises(anyio.BrokenResourceError):
            while True:
                await channel.send(b"\0" * 65536)
                sent += 1
        with pytest.raises(anyio.BrokenResourceError):
            await channel.send("more")
        with pytest.raises(anyio.EndOfStream):
            await channel.receive()
        await channel.close(1000, "")

    done = anyio.Event()
    async with serving(_app(pour, done)) as url:
        raw = await open_raw(url, "/ws", receive_buffer=4096)
        with anyio.fail_after(60):
            await done.wait()
        # Cut, and not waiting politely behind megabytes that nobody reads.
        assert len(await read_to_end(raw)) < (sent + 1) * 65536
        raw.close()


async def test_frames_arrive_in_order_and_kind() -> None:
    heard: list[str | bytes] = []

    async def listen(channel: WebSocketChannel) -> None:
        with pytest.raises(anyio.EndOfStream):
            while True:
                heard.append(await channel.receive())
        with pytest.raises(anyio.EndOfStream):
            await channel.receive()

    done = anyio.Event()
    async with serving(_app(listen, done)) as url:
        raw = await open_raw(url, "/ws")
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(raw, frame(b"one") + frame(b"\1\0", 2) + frame(b"", 1) + frame(b"", 2))
        await loop.sock_sendall(raw, frame("drei €".encode()))
        await loop.sock_sendall(raw, frame(b"", 8))
        with anyio.fail_after(60):
            await done.wait()
        raw.close()
    assert heard == ["one", b"\1\0", "", b"", "drei €"]


async def test_a_vanished_client_is_noticed_by_the_sender() -> None:
    async def pour(channel: WebSocketChannel) -> None:
        with pytest.raises(anyio.BrokenResourceError):
            while True:
                await channel.send("tick")
                await anyio.sleep(0.01)

    done = anyio.Event()
    async with serving(_app(pour, done)) as url:
        (await open_raw(url, "/ws")).close()
        with anyio.fail_after(60):
            await done.wait()


async def test_a_long_reason_is_cut_to_what_a_close_frame_holds() -> None:
    async def leave(channel: WebSocketChannel) -> None:
        await channel.close(4004, "ü" * 200)
        await channel.close(4009, "again")

    done = anyio.Event()
    async with serving(_app(leave, done)) as url:
        raw = await open_raw(url, "/ws")
        loop = asyncio.get_running_loop()
        data = await asyncio.wait_for(loop.sock_recv(raw, 4096), 60)
        assert data[0] == 0x88 and data[1] <= 125 and data[2:4] == (4004).to_bytes(2, "big")
        assert data[4:].decode() == "ü" * 61
        raw.close()
        await done.wait()


async def test_the_end_of_the_server_closes_with_1012() -> None:
    async def wait(channel: WebSocketChannel) -> None:
        with pytest.raises(anyio.EndOfStream):
            await channel.receive()

    done = anyio.Event()
    async with serving(_app(wait, done)) as url:
        raw = await open_raw(url, "/ws")
    assert (await read_to_end(raw))[2:4] == (1012).to_bytes(2, "big")
    assert done.is_set()
    raw.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what waits")
async def test_a_flood_of_pings_that_nobody_reads_the_answers_of_is_not_kept() -> None:
    waiting = -1

    async def listen(channel: WebSocketChannel) -> None:
        nonlocal waiting
        assert await channel.receive() == "that was all"
        arrived = channel.arrived()
        assert arrived is not None
        waiting = channel.written - arrived

    done = anyio.Event()
    async with serving(_app(listen, done)) as url:
        raw = await open_raw(url, "/ws", receive_buffer=4096)
        loop = asyncio.get_running_loop()
        flood = frame(b"x" * 125, 9) * 1000
        for _ in range(150):
            await loop.sock_sendall(raw, flood)
        await loop.sock_sendall(raw, frame(b"that was all"))
        with anyio.fail_after(60):
            await done.wait()
        raw.close()
    assert 0 < waiting < 150 * len(flood) / 2


async def test_a_message_of_many_small_pieces_is_whole_and_others_are_served_meanwhile() -> None:
    heard: list[str | bytes] = []
    pieces, turns, over = 200_000, 0, anyio.Event()

    async def listen(channel: WebSocketChannel) -> None:
        heard.append(await channel.receive())
        heard.append(await channel.receive())
        over.set()

    async with serving(_app(listen, anyio.Event())) as url, anyio.create_task_group() as tasks:
        raw = await open_raw(url, "/ws")
        small = b"\x00\x81\0\0\0\0a" * pieces
        loop = asyncio.get_running_loop()
        first, last = b"\x01\x81\0\0\0\0b", b"\x80\x81\0\0\0\0c"
        tasks.start_soon(loop.sock_sendall, raw, first + small + last + frame(b"\1\0", 2))
        with anyio.fail_after(60):
            while not over.is_set():
                turns += 1
                await asyncio.sleep(0)
        raw.close()
    assert heard == ["b" + "a" * pieces + "c", b"\1\0"]
    assert turns > 100
