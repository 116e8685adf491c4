"""Engines that are servers of their own, with a scripted vLLM: its documented command line, /health, OpenAI's API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from llm.engine import EngineConfig
from llm.engines import mlx_vlm, vllm
from llm.settings import EngineSettings
from llm.workers import lifeline
from models.clock import SystemClock
from tests.llm.tiny_folder import make_folder
from tests.llm.worker_process import RunningWorker
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import json, subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

assert sys.argv[1] == "serve", sys.argv
options = dict(zip(sys.argv[3::2], sys.argv[4::2]))
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # as its engine core


class Handler(BaseHTTPRequestHandler):
    def answer(self, body, status=200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.answer({"argv": sys.argv[1:], "helper": helper.pid, "id": options["--served-model-name"]})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.answer({"model": asked["model"]}, 200 if asked["model"] == options["--served-model-name"] else 404)

    def log_message(self, *args):
        pass


HTTPServer((options["--host"], int(options["--port"])), Handler).serve_forever()
"""


@pytest.fixture
def scripted_vllm(tmp_path: Path) -> Iterator[Callable[..., RunningWorker]]:
    package = tmp_path / "library" / "vllm" / "entrypoints" / "cli"
    package.mkdir(parents=True)
    (package / "main.py").write_text(SCRIPT)
    model = make_folder(tmp_path / "tiny")
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> RunningWorker:
        port = free_port()
        argv = [sys.executable, "-m", "llm.worker", "--engine", "vllm", "--model", str(model), "--port", str(port)]
        path = os.pathsep.join([str(tmp_path / "library"), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "PYTHONPATH": path, lifeline.ENV: "1"}
        process = subprocess.Popen(
            [*argv, *arguments], cwd=ROOT, env=env, stdin=subprocess.PIPE, start_new_session=True
        )
        started.append(process)
        running = RunningWorker(port, process)
        running.until_ready()
        return running

    yield start
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
        end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """As the supervisor ends a worker that does not answer (llm/workers/process.py)."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_settings_reach_it_and_requests_too(scripted_vllm: Callable[..., RunningWorker]) -> None:
    worker = scripted_vllm("--name", "m", "--tensor-parallel", "2", "--gpu-memory-share", "0.5", "--ctx-size", "4096")
    argv = worker.ask("/health").body["argv"]
    told = dict(zip(argv[2::2], argv[3::2], strict=False))
    assert told["--tensor-parallel-size"] == "2" and told["--gpu-memory-utilization"] == "0.5"
    assert told["--max-model-len"] == "4096" and told["--max-num-seqs"] == "10" and told["--host"] == "127.0.0.1"
    assert worker.ask("/v1/chat/completions", {"model": "m", "messages": []}).status == 200


@pytest.mark.parametrize("how", ["terminated", "supervisor gone", "killed"])
def test_nothing_of_it_outlives_the_worker(scripted_vllm: Callable[..., RunningWorker], how: str) -> None:
    worker = scripted_vllm()
    helper = worker.ask("/health").body["helper"]
    if how == "terminated":
        worker.process.send_signal(signal.SIGTERM)
    elif how == "killed":
        end_group(worker.process)
    else:
        assert worker.process.stdin is not None
        worker.process.stdin.close()
    worker.process.wait(60)
    assert gone(helper)
    with pytest.raises(OSError):
        worker.ask("/health")


def test_the_command_line_of_mlx_vlm(tmp_path: Path) -> None:
    settings = EngineSettings(max_kv_size=2048, parallel=4)
    argv = mlx_vlm.command(EngineConfig(tmp_path / "m", "m", settings, SystemClock()), 4801)
    assert argv[3:] == [
        *(str(tmp_path.resolve()), "--model", "m", "--host", "127.0.0.1", "--port", "4801"),
        *("--max-num-seqs", "6", "--max-kv-size", "2048"),
    ]
    compile(argv[2], "start", "exec")
    assert json.dumps(list(vllm.command(EngineConfig(tmp_path, "m", EngineSettings(load_bits=4), SystemClock()), 1)))
