"""Starts the scripted service as a process and talks to its control paths. Synchronous: tests, fixtures, bench."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parley_process import end_with_parent
from tests.ports import free_port

__all__ = ["ScriptedProcess", "running_scripted"]

_ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class ScriptedProcess:
    port: int

    @property
    def base_url(self) -> str:
        """What goes into `base_url` settings."""
        return f"http://127.0.0.1:{self.port}/v1"

    def parley_config(self, extra: str = "") -> str:
        """A parley.toml whose three speech stages are this service."""
        return f"""
[[backends]]
name = "scripted"
type = "openai"
base_url = "{self.base_url}"

[voice.stt]
engine = "openai"
base_url = "{self.base_url}"
model = "whisper-1"

[voice.tts]
engine = "openai"
base_url = "{self.base_url}"
model = "tts-1"

[voice.llm]
model = "scripted/any"
{extra}
"""

    def requests(self, stage: str | None = None) -> list[dict[str, Any]]:
        """The notes of script.Record, oldest first."""
        found: list[dict[str, Any]] = self._call("GET", "/requests")
        return [record for record in found if stage in (None, record["stage"])]

    def script(self, **changes: Any) -> None:
        """Change fields of script.Script. Raises urllib.error.HTTPError when one is wrong."""
        self._call("POST", "/script", changes)

    def reset(self) -> None:
        self._call("POST", "/reset", {})

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=data,
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())


@contextmanager
def running_scripted(**delays: float) -> Iterator[ScriptedProcess]:
    """The service on a free port until the block ends. `delays` are the float fields of script.Script."""
    port = free_port()
    arguments = [part for name, value in delays.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.scripted", "--port", str(port), *arguments],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=end_with_parent if sys.platform == "linux" else None,
    )
    try:
        _wait(process, f"http://127.0.0.1:{port}/health")
        yield ScriptedProcess(port)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the scripted service ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the scripted service did not answer within 20 s")
