"""A real speech worker in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ports import free_port

__all__ = ["SpeechWorker", "running_worker"]

_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class SpeechWorker:
    base_url: str
    process: subprocess.Popen[bytes]

    async def address(self) -> str:
        """What `WorkerProcess.ensure_ready` gives."""
        return self.base_url

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.base_url + "/health", timeout=5) as answer:
            return dict(json.loads(answer.read()))


@contextmanager
def running_worker(kind: str, engine: str, model: Path | None = None, *options: str) -> Iterator[SpeechWorker]:
    """Until the block ends; then it is told to end and has to."""
    port = free_port()
    command = [sys.executable, "-m", "voice.worker", "--kind", kind, "--engine", engine, "--port", str(port)]
    command += ["--threads", "1", *(["--model", str(model)] if model else []), *options]
    process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.DEVNULL)
    worker = SpeechWorker(f"http://127.0.0.1:{port}", process)
    try:
        _wait(worker)
        yield worker
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the worker did not end within 60 s of SIGTERM") from None


def _wait(worker: SpeechWorker) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if worker.process.poll() is not None:
            raise RuntimeError(f"the worker ended with {worker.process.returncode}")
        try:
            if worker.health()["status"] == "ok":
                return
        except (OSError, urllib.error.HTTPError):
            time.sleep(0.05)
    raise RuntimeError("the worker was not ready within 120 s")
