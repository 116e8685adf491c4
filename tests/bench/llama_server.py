"""llama.cpp's own server in a process of its own, from the xllamacpp wheel: `python -m tests.bench.llama_server MODEL
PORT CONTEXT PARALLEL`. Settings that are not named are its own defaults; the context is for each of its slots.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.ports import free_port

__all__ = ["available", "llama_server"]

_ROOT = Path(__file__).resolve().parent.parent.parent


def available() -> bool:
    return find_spec("xllamacpp") is not None


@contextmanager
def llama_server(model: Path, context: int, parallel: int) -> Iterator[str]:
    """Its base URL."""
    port = free_port()
    argv = [sys.executable, "-m", "tests.bench.llama_server", str(model), str(port), str(context), str(parallel)]
    process = subprocess.Popen(argv, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
                    if answer.status == 200:
                        break
            except (OSError, urllib.error.URLError):
                pass
            assert process.poll() is None and time.monotonic() < deadline, "llama.cpp's server did not start"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _serve(model: str, port: int, context: int, parallel: int) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = parallel
    params.n_ctx = context * parallel
    params.warmup = True
    server = xllamacpp.Server(params)
    assert server.listening_address
    threading.Event().wait()


if __name__ == "__main__":
    _serve(sys.argv[1], *(int(argument) for argument in sys.argv[2:5]))
