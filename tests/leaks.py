"""What a test leaves behind: asyncio tasks, threads, child processes. Found here, reported by tests/conftest.py."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psutil

# What belongs to a library's connection keep-alive or to a pool that lives as long as the process, not to a test.
_TASKS_OF_SERVERS = ("RequestHandler.start", "_wait_for_close", "Connection.keepalive", "_handle_connection")
_THREADS_OF_POOLS = ("asyncio_", "AnyIO worker thread", "ThreadPoolExecutor", "pytest_timeout", "tqdm", "uvloop")
_PATIENCE_S = 20.0


def without_leaked_tasks(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Wrap a coroutine test: it fails when a task that it started is still there a little after its end."""

    @functools.wraps(test)
    async def checked(*args: Any, **kwargs: Any) -> None:
        before = asyncio.all_tasks()
        await test(*args, **kwargs)
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            left = [task for task in asyncio.all_tasks() - before if not _is_keep_alive(task)]
            if not left:
                return
            if time.monotonic() > deadline:
                raise AssertionError("tasks left running: " + ", ".join(_name(task) for task in left))
            await asyncio.sleep(0.01)

    return checked


def _is_keep_alive(task: asyncio.Task[Any]) -> bool:
    return any(known in _name(task) for known in _TASKS_OF_SERVERS)


def _name(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return f"{getattr(coroutine, '__qualname__', coroutine)} ({task.get_name()})"


class Watch:
    """Threads and direct child processes that appear between its making and `left_behind`."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._children = {child.pid for child in psutil.Process().children()}

    def left_behind(self) -> list[str]:
        """Descriptions of what is still there after a little patience; empty when all is clean."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            found = self._threads_now() + self._children_now()
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.02)

    def _threads_now(self) -> list[str]:
        return [
            f"thread {thread.name}"
            for thread in set(threading.enumerate()) - self._threads
            if thread.is_alive() and not thread.name.startswith(_THREADS_OF_POOLS)
        ]

    def _children_now(self) -> list[str]:
        found = []
        for child in psutil.Process().children():
            if child.pid in self._children:
                continue
            try:
                if child.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"process {child.pid} {' '.join(child.cmdline())[:160]}")
            except psutil.NoSuchProcess:
                continue
        return found
