"""A real worker process with a real model, for tests: started, asked over its socket, ended."""

from __future__ import annotations

import json
import os
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

import pytest

from models.store import BUNDLED
from tests.ports import free_port

__all__ = ["Answer", "RunningWorker", "model_path", "running_worker"]

_ROOT = Path(__file__).resolve().parent.parent.parent


def model_path() -> Path:
    """The bundled model; a test model where that has not been trained yet."""
    tests = Path(os.environ.get("PARLEY_TEST_MODELS", _ROOT.parent / "shared" / "testdata"))
    for path in (BUNDLED / "parley-mini.gguf", tests / "llm" / "stories260K-plainchat-f32.gguf"):
        if path.is_file():
            return path
    pytest.skip("no language model: neither the bundled one nor one in PARLEY_TEST_MODELS")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class RunningWorker:
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> Answer:
        """A whole exchange, blocking. `body` bytes go as they are, anything else as JSON."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return _answer(answer.status, answer.read(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.read(), dict(error.headers))

    def statistics(self) -> dict[str, Any]:
        statistics: dict[str, Any] = self.ask("/statistics").body
        return statistics

    def token(self, text: str) -> int:
        (token,) = self.ask("/tokenize", {"content": text}).body["tokens"]
        return int(token)

    def never_ending(self) -> dict[str, float]:
        """A logit_bias under which a reply does not end by itself."""
        tokens = self.ask("/tokenize", {"content": "<|im_end|><|endoftext|></s>"}).body["tokens"]
        return {str(token): -100.0 for token in tokens if token < 8}

    def until_ready(self) -> None:
        deadline = time.monotonic() + 120.0
        while True:
            try:
                if self.ask("/health").status == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the worker did not become ready (exit {self.process.poll()})")
            time.sleep(0.02)

    def until(self, check: Any) -> None:
        deadline = time.monotonic() + 60
        while not check():
            if time.monotonic() > deadline:
                raise AssertionError(f"it did not come to that: {self.statistics()}")
            time.sleep(0.005)


def _answer(status: int, data: bytes, headers: dict[str, str]) -> Answer:
    try:
        body = json.loads(data)
    except ValueError:
        body = data
    return Answer(status, body, {name.lower(): value for name, value in headers.items()})


@contextmanager
def running_worker(*arguments: str, model: Path | None = None) -> Iterator[RunningWorker]:
    port = free_port()
    path = str(model or model_path())
    process = subprocess.Popen(
        [sys.executable, "-m", "llm.worker", "--model", path, "--port", str(port), *arguments], cwd=_ROOT
    )
    worker = RunningWorker(port, process)
    try:
        worker.until_ready()
        yield worker
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()
