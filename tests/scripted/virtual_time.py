"""An event loop whose clock jumps: an hour of conversation passes in milliseconds, the same way every time.

When every task waits, time leaps to the next deadline instead of sleeping. Code that takes its time from the loop
(anyio.sleep, deadlines, `loop.time`) or from a `models.clock.Clock` lives in that time without knowing. Real sockets
and threads have no place here: their answers come in real time, which the loop would leap over. It therefore waits
for real while a thread of its own executor is at work, and only then.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from anyio._backends._asyncio import WorkerThread

__all__ = ["Deadlock", "VirtualClock", "run"]

T = TypeVar("T")
_START = datetime(2026, 1, 1, tzinfo=UTC)


class Deadlock(AssertionError):
    """Every task waits for something that no timer will bring, or the limit has passed."""


class VirtualClock:
    """A `models.clock.Clock` that shows the loop's time, from 0."""

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop

    def now(self) -> float:
        return self._loop.time()

    def wall(self) -> datetime:
        return _START + timedelta(seconds=self._loop.time())


class _Leaping(selectors.DefaultSelector):
    """Asked to wait, it looks whether something is ready and else moves the clock."""

    loop: _Loop

    def select(self, timeout: float | None = None) -> list[Any]:
        # Asked before looking: what a thread finished in between is then seen as ready.
        threads_at_work = self.loop.threads_at_work()
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if threads_at_work:
            return super().select(0.001)
        if timeout is None:
            raise Deadlock("every task waits and no timer is set")
        self.loop.leap(timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, limit_s: float) -> None:
        self._virtual_s = 0.0
        self._limit_s = limit_s
        self._in_threads = 0
        selector = _Leaping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self._virtual_s

    def leap(self, seconds: float) -> None:
        # The loop asks for the time to its next deadline; a hair more, so that rounding cannot leave it waiting.
        self._virtual_s += seconds + 1e-9
        if self._virtual_s > self._limit_s:
            raise Deadlock(f"still not done after {self._limit_s} virtual seconds")

    def threads_at_work(self) -> bool:
        return self._in_threads > 0 or any(
            thread.loop is self and thread.queue.unfinished_tasks > 0
            for thread in threading.enumerate()
            if isinstance(thread, WorkerThread)
        )

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        self._in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._left_thread)
        return future

    def _left_thread(self, _: Any) -> None:
        self._in_threads -= 1


def run(main: Callable[[VirtualClock], Awaitable[T]], limit_s: float = 86400.0) -> T:
    """Run `main` to its end in virtual time. Raises Deadlock, and whatever `main` raises."""

    async def started() -> T:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, _Loop)
        return await main(VirtualClock(loop))

    with asyncio.Runner(loop_factory=lambda: _Loop(limit_s)) as runner:
        return runner.run(started())
