"""Several streams of events as one, for what a client asks for in a single request."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import anyio
from anyio.streams.memory import MemoryObjectSendStream

__all__ = ["side_by_side"]

_Item = TypeVar("_Item")
_AHEAD = 16
"""Items that may wait for the reader; then the streams wait."""


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


async def side_by_side(streams: Sequence[AsyncGenerator[_Item, None]], at_once: int) -> AsyncGenerator[_Item, None]:
    """What they give, as it comes. They begin in their order, and no more than `at_once` run at a time. The first
    error ends all of them and is raised.
    """
    failed: _Failed | None = None
    send, receive = anyio.create_memory_object_stream[_Item | _Failed](_AHEAD)
    waiting = iter(streams)

    async def run(into: MemoryObjectSendStream[_Item | _Failed]) -> None:
        async with into:
            for stream in waiting:
                try:
                    async with aclosing(stream) as items:
                        async for item in items:
                            await into.send(item)
                except Exception as error:  # raised by the reader: here it would cancel the reader wherever it waits
                    await into.send(_Failed(error))
                    return

    async with anyio.create_task_group() as group, receive:
        for _ in streams[:at_once]:
            group.start_soon(run, send.clone())
        send.close()
        try:
            async for item in receive:
                if isinstance(item, _Failed):
                    failed = item
                    break
                yield item
        except GeneratorExit:  # closed by the reader; the group would make it a group of errors
            pass
        group.cancel_scope.cancel()
    if failed is not None:
        raise failed.error
