"""Work in a thread that ends soon after nobody wants it any more: a thread cannot be cancelled, but it can ask."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import checkpoint_if_cancelled

__all__ = ["run_stoppable"]

_Result = TypeVar("_Result")


async def run_stoppable(
    work: Callable[[Callable[[], bool]], _Result], limiter: anyio.CapacityLimiter | None = None
) -> _Result:
    """What `work` returns or raises. It is given a question to ask now and then: whether it was given up. Cancelled,
    this waits until it has ended."""
    given_up = Event()
    found: list[_Result] = []
    failure: Exception | None = None

    async def watch() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            given_up.set()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        try:
            found.append(await anyio.to_thread.run_sync(work, given_up.is_set, limiter=limiter))
        except Exception as error:  # raised below: here it would become a group of errors
            failure = error
        group.cancel_scope.cancel()
    await checkpoint_if_cancelled()
    if failure is not None:
        raise failure
    return found[0]
