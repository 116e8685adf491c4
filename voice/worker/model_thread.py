"""One thread that owns one loaded engine; everybody else asks it to run jobs.

Fairness: a stream has at most one job in the queue, because it awaits each before it asks for the next; so the
queue, first in first out, goes round robin over the streams. Live jobs (somebody is speaking or listening) go
before batch jobs (an uploaded file), which therefore come in pieces of some seconds of audio. What nobody waits for
comes when there is nothing else.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from voice.errors import SpeechEngineError

__all__ = ["BATCH", "LIVE", "SPARE", "EngineBusy", "ModelThread"]

T = TypeVar("T")
LIVE, BATCH, SPARE = 0, 1, 2
_LAST = 3
MAX_WAITING = 512
"""More jobs than this many streams could have: something is wrong, so new ones fail at once."""


class EngineBusy(SpeechEngineError):
    code = "engine_busy"
    retryable = True
    default_hint = "too many requests at once; try again in a moment"


class ModelThread:
    """Call `start()` once. The thread is a daemon: a native call that never returns cannot keep the process alive."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.PriorityQueue[tuple[int, int, Callable[[], Any], Future[Any]]] = queue.PriorityQueue()
        self._order = itertools.count()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End once the jobs that are there are done; does not wait for it."""
        self._put(_end, _LAST)

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return self._jobs.qsize()

    async def run(self, call: Callable[[], T], priority: int = LIVE) -> T:
        """Run `call` in the thread and return what it returns, or raise what it raises.

        Cancel-safe: a job that has not begun is dropped; one that has runs to its end and its result is lost.
        Raises EngineBusy when too many jobs wait.
        """
        if self._jobs.qsize() >= MAX_WAITING:
            raise EngineBusy("the engine has more work than it can take")
        return await asyncio.wrap_future(self._put(call, priority))

    def post(self, call: Callable[[], object]) -> None:
        """Run `call` after what its stream asked for before, whatever becomes of the caller (closing things)."""
        self._put(call, LIVE)

    def _put(self, call: Callable[[], T], priority: int) -> Future[T]:
        future: Future[T] = Future()
        self._jobs.put((priority, next(self._order), call, future))
        return future

    def _work(self) -> None:
        while True:
            _, _, call, future = self._jobs.get()
            if not future.set_running_or_notify_cancel():
                continue
            if call is _end:
                future.set_result(None)
                return
            try:
                result = call()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            del call, future  # a waiting thread must not keep the last stream alive


def _end() -> None:
    """The job that is no job: it ends the thread."""
