"""A line to a server that can be cut and mended: a TCP relay on a port of its own."""

from __future__ import annotations

import contextlib

import anyio
import anyio.abc

from tests.ports import free_port

__all__ = ["Line"]


class Line:
    """`async with Line(to_port) as line`: `line.port` leads to `to_port` on this machine."""

    def __init__(self, to_port: int) -> None:
        self.port = free_port()
        self._to_port = to_port

    async def __aenter__(self) -> Line:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()
        await self._tasks.__aexit__(None, None, None)

    async def mend(self, *, silent: bool = False) -> None:
        """`silent`: who calls gets through to nobody, and hears nothing."""
        self._silent = silent
        self._listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port)
        self._calls, self._ended = anyio.CancelScope(), anyio.Event()
        self._tasks.start_soon(self._serve, self._listener, self._calls, self._ended)

    async def cut(self) -> None:
        """Nobody gets through any more, and who was talking is cut off."""
        self._calls.cancel()
        await self._ended.wait()
        await self._listener.aclose()

    async def _serve(
        self, listener: anyio.abc.Listener[anyio.abc.SocketStream], scope: anyio.CancelScope, ended: anyio.Event
    ) -> None:
        with scope:
            await listener.serve(self._call)
        ended.set()

    async def _call(self, caller: anyio.abc.SocketStream) -> None:
        if self._silent:
            async with caller:
                await anyio.sleep_forever()
        async with caller, await anyio.connect_tcp("127.0.0.1", self._to_port) as called:
            async with anyio.create_task_group() as ways:
                ways.start_soon(_carry, caller, called)
                ways.start_soon(_carry, called, caller)


async def _carry(source: anyio.abc.SocketStream, sink: anyio.abc.SocketStream) -> None:
    with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for data in source:
            await sink.send(data)
        await sink.send_eof()
