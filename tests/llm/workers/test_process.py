"""The supervisor against real child processes."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
import psutil
import pytest

from llm.errors import PortTaken, WorkerDied
from llm.workers.process import WorkerProcess, WorkerSpec, WorkerState
from llm.workers.restart import Restart
from models.clock import SystemClock
from tests.ports import free_port

SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from llm.workers import lifeline
lifeline.hold()
class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *_):
        print("asked", flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""


@asynccontextmanager
async def supervised(argv: tuple[str, ...], port: int, **more: float) -> AsyncIterator[WorkerProcess]:
    async with aiohttp.ClientSession() as http, anyio.create_task_group() as group:
        worker = WorkerProcess(WorkerSpec("w", argv, port, **more), SystemClock(), http, Restart(first_s=0.01))  # type: ignore[arg-type]
        await group.start(worker.run)
        yield worker
        group.cancel_scope.cancel()


async def test_it_starts_is_killed_and_comes_back_and_leaves_nothing() -> None:
    port = free_port()
    async with supervised((sys.executable, "-c", SERVER, str(port)), port) as worker:
        assert await worker.ensure_ready(20.0) == f"http://127.0.0.1:{port}"
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        with anyio.fail_after(60):
            while worker.restarts < 1:
                await anyio.sleep(0.01)
        await worker.ensure_ready(20.0)
        second = worker.pid
        assert second is not None and second != first
        assert "asked" in worker.log_tail()
    assert worker.state is WorkerState.STOPPED
    assert not psutil.pid_exists(first) and not psutil.pid_exists(second)


async def test_a_child_that_cannot_start_shows_its_last_words() -> None:
    port = free_port()
    script = "import sys; print('no such model: x.gguf', file=sys.stderr); sys.exit(3)"
    async with supervised((sys.executable, "-c", script), port) as worker:
        with pytest.raises(WorkerDied, match="exit code 3") as caught:
            await worker.ensure_ready(30.0)
    assert "no such model: x.gguf" in caught.value.hint
    assert caught.value.retryable


async def test_what_an_earlier_life_died_of_is_no_reason_for_the_next(tmp_path: Path) -> None:
    mark = tmp_path / "first"
    script = (
        "import os, pathlib, signal, sys; mark = pathlib.Path(sys.argv[1])\n"
        "if not mark.exists(): mark.touch(); sys.exit('it ends too early')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    async with supervised((sys.executable, "-c", script, str(mark)), free_port()) as worker:
        with pytest.raises(WorkerDied, match="SIGKILL") as caught:
            await worker.ensure_ready(60.0)
        assert "too early" not in caught.value.hint and "it ends too early" in worker.log_tail()


async def test_a_missing_program_is_an_error_and_no_crash() -> None:
    async with supervised(("/nonexistent/program",), free_port()) as worker:
        with pytest.raises(WorkerDied, match="could not be started"):
            await worker.ensure_ready(30.0)


async def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        async with supervised((sys.executable, "-c", SERVER, str(port)), port) as worker:
            with pytest.raises(PortTaken, match=str(port)) as caught:
                await worker.ensure_ready(30.0)
    assert "PARLEY_SLOT_PORT_BASE" in caught.value.hint


async def test_a_child_that_never_answers_is_killed_and_said_so() -> None:
    script = "import time; time.sleep(600)"
    async with supervised((sys.executable, "-c", script), free_port(), start_timeout_s=0.3) as worker:
        with pytest.raises(WorkerDied) as caught:
            await worker.ensure_ready(30.0)
    assert "not ready within 0.3 s" in caught.value.hint


async def test_a_child_that_ignores_sigterm_is_killed_with_its_children() -> None:
    port = free_port()
    script = (
        "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "print('grandchild', child.pid, flush=True);" + SERVER.replace("lifeline.hold()", "pass")
    )
    async with supervised((sys.executable, "-c", script, str(port)), port) as worker:
        await worker.ensure_ready(20.0)
        pid = worker.pid
        grandchild = int(next(line for line in worker.log_tail() if "grandchild" in line).split()[1])
    assert pid is not None and not psutil.pid_exists(pid)
    with anyio.fail_after(60):
        while psutil.pid_exists(grandchild) and psutil.Process(grandchild).status() != psutil.STATUS_ZOMBIE:
            await anyio.sleep(0.02)


@pytest.mark.parametrize(
    "stopped", [False, pytest.param(True, marks=pytest.mark.skipif(sys.platform != "linux", reason="prctl"))]
)
async def test_a_worker_ends_when_its_supervisor_is_killed(stopped: bool) -> None:
    """Also one that is stopped and can do nothing for it."""
    port = free_port()
    supervisor = f"""
import sys, anyio, aiohttp
from llm.workers.process import WorkerProcess, WorkerSpec
from models.clock import SystemClock
from tests.ports import free_port
async def main():
    async with aiohttp.ClientSession() as http, anyio.create_task_group() as group:
        spec = WorkerSpec("w", (sys.executable, "-c", {SERVER!r}, "{port}"), {port})
        worker = WorkerProcess(spec, SystemClock(), http)
        await group.start(worker.run)
        await worker.ensure_ready(20.0)
        print(worker.pid, flush=True)
        await anyio.sleep(600)
anyio.run(main)
"""
    parent = await anyio.open_process((sys.executable, "-c", supervisor))
    assert parent.stdout is not None
    pid = 0
    with anyio.fail_after(60):
        async for data in parent.stdout:
            words = data.decode().split()
            if words and words[-1].isdigit():
                pid = int(words[-1])
                break
    assert psutil.pid_exists(pid)
    if stopped:
        os.kill(pid, signal.SIGSTOP)
    parent.kill()
    await parent.wait()
    await parent.aclose()
    with anyio.fail_after(60):
        while psutil.pid_exists(pid):
            await anyio.sleep(0.02)
