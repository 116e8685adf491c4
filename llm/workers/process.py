"""One child process that serves HTTP on a loopback port: start, wait until ready, restart, end, log tail.

Used for LLM slots and, by the voice layer, for recognisers and synthesisers. Only this object knows and
changes the process; others say `ensure_ready()` and never ask first whether they may.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import aiohttp
import anyio
import structlog
from anyio.abc import Process, TaskStatus

from llm.errors import LlmError, PortTaken, WorkerDied
from llm.workers import lifeline
from llm.workers.heartbeat import Heartbeat
from llm.workers.restart import Ended, Ready, Restart, Started
from models.clock import Clock

__all__ = ["WorkerProcess", "WorkerSpec", "WorkerState"]

LOG_LINES = 200
LOG_LINE_CHARS = 2000
HEALTH_EVERY_S = 0.05
END_WITHIN_S = 3.0
"""Between SIGTERM and SIGKILL; the whole server ends within 5 s."""

_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows knows one way only

_SECRETS = ("PARLEY_ADMIN_KEY",)
"""Never handed to a child."""

log = structlog.get_logger(__name__)


class WorkerState(Enum):
    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    """It ended and starts again after a pause."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What to run. `port` is told to the child by `argv`, not by us."""

    name: str
    argv: tuple[str, ...]
    port: int
    env: Mapping[str, str] = field(default_factory=dict)
    start_timeout_s: float = 120.0
    hang_timeout_s: float = 30.0
    """A child that answers nothing for so long is ended and started again; 0: never."""
    port_hint: str = "PARLEY_SLOT_PORT_BASE moves these ports"


class WorkerProcess:
    """`run` supervises; everything else may be called at any time from the same event loop."""

    def __init__(
        self, spec: WorkerSpec, clock: Clock, http: aiohttp.ClientSession, restart: Restart | None = None
    ) -> None:
        self.spec = spec
        self.state = WorkerState.STOPPED
        self.pid: int | None = None
        self.progress: float | None = None
        """0..1 while the model loads, where the worker's /health says so."""
        self.cache_ram_bytes = 0
        self._clock = clock
        self._http = http
        self._restart = restart or Restart()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._said = 0
        """Lines of its present life."""
        self._changed = anyio.Event()
        self._last_error: LlmError | None = None
        self._hung_s = 0.0
        self._over = False

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.spec.port}"

    @property
    def restarts(self) -> int:
        return max(0, self._restart.starts - 1)

    @property
    def hopeless(self) -> LlmError | None:
        """The last error, when several starts in a row have failed; the attempts go on."""
        return self._last_error if self._restart.hopeless else None

    async def changed(self) -> None:
        """Return at the next change of state."""
        await self._changed.wait()

    def log_tail(self, n: int = 20) -> tuple[str, ...]:
        """The last `n` lines the child wrote, oldest first, over all its lives."""
        return tuple(self._log)[-n:] if n > 0 else ()

    def last_words(self, n: int = 1) -> tuple[str, ...]:
        """As `log_tail`, of its present life, or of its last where that is over; not of those before."""
        return self.log_tail(min(n, self._said))

    def tail_hint(self) -> str:
        """The child's last words, for the hint of an error."""
        tail = " | ".join(line for line in self.last_words(6) if line.strip())
        return f"last log lines: {tail}" if tail else WorkerDied.default_hint

    async def ensure_ready(self, timeout_s: float) -> str:
        """Wait until the worker answers; returns its base URL.

        1. Ready: at once. 2. Its starts fail again and again: the last error at once, for waiting is useless; so it
        is when nobody starts it any more. 3. Otherwise wait for a change, at most `timeout_s`. Raises WorkerDied or
        PortTaken. Cancel-safe.
        """
        with anyio.move_on_after(timeout_s):
            while True:
                if self.state is WorkerState.READY:  # 1
                    return self.base_url
                if self.hopeless is not None:  # 2
                    raise self.hopeless.with_traceback(None)
                if self._over:
                    raise WorkerDied(f"worker {self.spec.name} was unloaded", hint="try again")
                await self._changed.wait()  # 3
        if self._last_error is not None:
            raise self._last_error.with_traceback(None)
        raise WorkerDied(f"worker {self.spec.name} was not ready within {timeout_s:g} s", hint=self.tail_hint())

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Supervise until cancelled. Reports `started` as soon as supervision stands, not when the child is ready."""
        task_status.started()
        self._over = False
        try:
            while True:
                try:
                    await self._one_life()
                except LlmError as error:
                    self._last_error = error
                    last = next(iter(self.last_words()), "")
                    log.warning(
                        "worker.ended", worker=self.spec.name, port=self.spec.port, reason=error.message, said=last
                    )
                (wait,) = self._restart.step(Ended(), self._clock.now())
                self._become(WorkerState.WAITING)
                await anyio.sleep(wait.seconds)
        finally:
            self._over = True
            self._become(WorkerState.STOPPED)

    async def _one_life(self) -> None:
        """Start the child and stay until it is gone. Always raises: WorkerDied or PortTaken, or cancellation."""
        self.progress, self.cache_ram_bytes = None, 0
        self._hung_s, self._said = 0.0, 0
        self._become(WorkerState.STARTING)
        self._restart.step(Started(), self._clock.now())
        self._check_port()
        try:
            process = await anyio.open_process(
                self.spec.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise WorkerDied(
                f"worker {self.spec.name} could not be started: {error.strerror}", hint=self.spec.argv[0]
            ) from error
        self.pid = process.pid
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._read_log, process)
                group.start_soon(self._watch_health, process)
                code = await process.wait()
                group.cancel_scope.cancel()
        finally:
            self.pid = None
            await self._end(process)
        how = f"ended {_how(code)}" if not self._hung_s else f"gave no answer for {self._hung_s:.0f} s and was ended"
        raise WorkerDied(f"worker {self.spec.name} {how}", hint=self.tail_hint())

    async def _watch_health(self, process: Process) -> None:
        """Set READY at the first 200. A child that is not ready in time is killed, which ends this life."""
        timeout = aiohttp.ClientTimeout(total=2.0)
        with anyio.move_on_after(self.spec.start_timeout_s):
            while True:
                with suppress(aiohttp.ClientError, TimeoutError, ValueError):
                    async with self._http.get(f"{self.base_url}/health", timeout=timeout) as answer:
                        if answer.status == 200:
                            break
                        self.progress = _progress(await answer.json(content_type=None))
                await anyio.sleep(HEALTH_EVERY_S)
            self._restart.step(Ready(), self._clock.now())
            self._last_error = None
            self._become(WorkerState.READY)
            told = log.info if self.restarts else log.debug  # at the start the stages are told on the terminal
            told("worker.ready", worker=self.spec.name, port=self.spec.port, pid=process.pid)
        if self.state is WorkerState.READY:
            await self._watch_heartbeat(process)
            return
        self._keep(f"not ready within {self.spec.start_timeout_s:g} s")
        _signal_group(process.pid, _KILL)

    async def _watch_heartbeat(self, process: Process) -> None:
        """A child that hangs (stopped, or in a loop that lets nobody else run) is killed, which ends this life and
        every request in it.
        """
        if not self.spec.hang_timeout_s:
            return
        heartbeat = Heartbeat(self.spec.hang_timeout_s, self._clock.now())
        timeout = aiohttp.ClientTimeout(total=heartbeat.every_s)
        while True:
            await anyio.sleep(heartbeat.every_s)
            answered = False
            with suppress(aiohttp.ClientError, TimeoutError, ValueError):
                async with self._http.get(f"{self.base_url}/health", timeout=timeout) as answer:
                    answered = True
                    self.cache_ram_bytes = _cache_ram_bytes(await answer.json(content_type=None))
            if heartbeat.step(answered, self._clock.now()):
                self._hung_s = self._clock.now() - heartbeat.silent_since
                log.error("worker.hung", worker=self.spec.name, pid=process.pid, silent_s=round(self._hung_s, 1))
                _signal_group(process.pid, _KILL)
                return

    async def _read_log(self, process: Process) -> None:
        """Keep the last lines. A child that writes without end loses its oldest lines, never blocks."""
        assert process.stdout is not None
        rest = ""
        async for data in process.stdout:
            *lines, rest = (rest + data.decode("utf-8", "replace")).split("\n")
            rest = rest[-LOG_LINE_CHARS:]
            for line in lines:
                self._keep(line[:LOG_LINE_CHARS])
                log.debug("worker.log", worker=self.spec.name, line=line[:LOG_LINE_CHARS])
        if rest:
            self._keep(rest)

    def _keep(self, line: str) -> None:
        self._log.append(line)
        self._said += 1

    async def _end(self, process: Process) -> None:
        """SIGTERM to the group, SIGKILL when it does not obey; then read what it still had to say."""
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                _signal_group(process.pid, signal.SIGTERM)
                with anyio.move_on_after(END_WITHIN_S):
                    await process.wait()
            _signal_group(process.pid, _KILL)
            with anyio.move_on_after(1.0):
                await self._read_log(process)
            with anyio.move_on_after(1.0):
                await process.aclose()

    def _check_port(self) -> None:
        """Ask the kernel whether the port is free, so that the error names the port and not a stack trace."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.spec.port))
            except OSError:
                raise PortTaken(
                    f"port {self.spec.port} for worker {self.spec.name} is in use by another program",
                    hint=self.spec.port_hint,
                ) from None

    def _environment(self) -> dict[str, str]:
        env = {key: value for key, value in os.environ.items() if key not in _SECRETS}
        root = str(Path(__file__).resolve().parent.parent)
        env["PYTHONPATH"] = os.pathsep.join(part for part in (root, env.get("PYTHONPATH", "")) if part)
        env["PYTHONUNBUFFERED"] = "1"
        env[lifeline.ENV] = "1"
        return env | dict(self.spec.env)

    def _become(self, state: WorkerState) -> None:
        """The only place the state changes; wakes everybody who waits in ensure_ready."""
        self.state = state
        changed, self._changed = self._changed, anyio.Event()
        changed.set()


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


def _progress(health: object) -> float | None:
    done = health.get("progress") if isinstance(health, dict) else None
    return min(1.0, max(0.0, float(done))) if isinstance(done, int | float) else None


def _cache_ram_bytes(health: object) -> int:
    told = health.get("cache_ram_bytes") if isinstance(health, dict) else None
    return told if isinstance(told, int) else 0


def _signal_group(pid: int, number: signal.Signals) -> None:
    """The child leads its own session, so its group id is its pid; whoever it started goes with it."""
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "nt":  # no groups there; its children end by their lifeline
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, number)
