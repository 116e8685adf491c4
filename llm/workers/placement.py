"""Where workers run. Everything above asks a Placement for a Worker and never learns on which machine it is.

`LocalProcesses` starts child processes here. Another placement (an actor on another machine) is a class with these
two protocols' methods; slots, voice and web need no change for it.
"""

from __future__ import annotations

from typing import Protocol

import aiohttp
from anyio.abc import TaskStatus

from llm.errors import LlmError
from llm.workers.process import WorkerProcess, WorkerSpec, WorkerState
from models.clock import Clock

__all__ = ["LocalProcesses", "Placement", "Worker"]


class Worker(Protocol):
    """One worker, supervised while `run` runs. Everything may be called at any time from the same event loop."""

    spec: WorkerSpec
    state: WorkerState
    pid: int | None
    """On this machine, None where it has none here."""
    progress: float | None
    """0..1 while the model loads, None where the worker does not say."""
    cache_ram_bytes: int
    """What its conversations out of the cache took when it was asked last, a few seconds ago."""

    @property
    def base_url(self) -> str: ...

    @property
    def restarts(self) -> int: ...

    @property
    def hopeless(self) -> LlmError | None:
        """Why it does not start, after several attempts; the attempts go on."""
        ...

    async def run(self, *, task_status: TaskStatus[None] = ...) -> None:
        """Keep it up until cancelled; then end it and everything it started."""
        ...

    async def ensure_ready(self, timeout_s: float) -> str:
        """Its base URL once it answers. Raises WorkerDied, PortTaken."""
        ...

    async def changed(self) -> None:
        """Return at its next change of state."""
        ...

    def log_tail(self, n: int = 20) -> tuple[str, ...]: ...

    def last_words(self, n: int = 1) -> tuple[str, ...]: ...

    def tail_hint(self) -> str: ...


class Placement(Protocol):
    def place(self, spec: WorkerSpec) -> Worker:
        """A worker that is not running yet."""
        ...


class LocalProcesses:
    """Child processes on 127.0.0.1."""

    def __init__(self, clock: Clock, http: aiohttp.ClientSession) -> None:
        self._clock = clock
        self._http = http

    def place(self, spec: WorkerSpec) -> Worker:
        return WorkerProcess(spec, self._clock, self._http)
