"""The gateway before a mock upstream, beside a plain reverse proxy and LiteLLM's: what it adds, what it carries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.gateway_mock import FRAMES
from tests.bench.report import ROOT, Options, Section, Table, percentile
from tests.parley_process import ADMIN_KEY, end_with_parent, running_parley
from tests.ports import free_port

__all__ = ["run"]

CLIENTS = (1, 4, 16, 64)
DIRECT, OURS, PLAIN, LITELLM = "the mock itself", "Parley", "plain aiohttp proxy", "LiteLLM proxy"
LITELLM_VARIABLE = "PARLEY_BENCH_LITELLM"


@dataclass(frozen=True, slots=True)
class Cell:
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    first_p50_ms: float
    lost: int
    failed: int


def run(options: Options) -> Section:
    rounds, seconds = (1, 0.8) if options.quick else (4, 0.8)
    found: dict[tuple[str, bool, int], Cell] = {}
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        mock = stack.enter_context(_server(["-m", "tests.bench.gateway_mock"], "/v1/models"))
        config = f'[[backends]]\nname = "mock"\ntype = "openai"\nbase_url = "{mock}/v1"\nmodel = "mock"\n'
        config += "[llm]\nslots = 0\n"
        ours = stack.enter_context(running_parley(Path(folder) / "home", config=config, guard_network=False))
        plain = stack.enter_context(_server(["-m", "tests.bench.gateway_proxy"], "/v1/models", mock))
        servers = {DIRECT: mock, OURS: ours.base_url, PLAIN: plain}
        if command := os.environ.get(LITELLM_VARIABLE):
            servers[LITELLM] = stack.enter_context(_litellm(command, mock, Path(folder)))
        for stream in (False, True):
            for clients in CLIENTS:
                for url in servers.values():
                    _load(url, clients, 0.3, stream)  # connections and caches
                for _ in range(rounds):
                    for name, url in servers.items():
                        cell = _load(url, clients, seconds, stream)
                        found[name, stream, clients] = _better(found.get((name, stream, clients)), cell)
    return _section(list(servers), found)


def _better(one: Cell | None, other: Cell) -> Cell:
    """The quicker of two rounds, with what was lost in both."""
    if one is None:
        return other
    best = max(one, other, key=lambda cell: cell.requests_per_s)
    return replace(best, lost=one.lost + other.lost, failed=one.failed + other.failed)


def _section(names: list[str], found: dict[tuple[str, bool, int], Cell]) -> Section:
    tables = []
    for stream, kind in ((False, "whole answers"), (True, f"streams of {FRAMES} pieces")):
        for title, show in (
            ("requests/s", lambda cell, direct: f"{cell.requests_per_s:.0f}"),
            ("added p50 / p99, ms", _added),
        ):
            rows = [
                (name, *(show(found[name, stream, n], found[DIRECT, stream, n]) for n in CLIENTS))
                for name in names
                if title == "requests/s" or name != DIRECT
            ]
            if title == "requests/s" and LITELLM in names:
                ratios = [
                    found[OURS, stream, n].requests_per_s / max(1e-9, found[LITELLM, stream, n].requests_per_s)
                    for n in CLIENTS
                ]
                rows.append(("Parley / LiteLLM", *(f"{ratio:.1f}" for ratio in ratios)))
            head = (f"{kind}: {title}", *(f"{n} client{'s' * (n > 1)}" for n in CLIENTS))
            tables.append(Table(head, tuple(rows)))
    lost = {name: sum(cell.lost for (who, *_), cell in found.items() if who == name) for name in names}
    failed = {name: sum(cell.failed for (who, *_), cell in found.items() if who == name) for name in names}
    without = "" if LITELLM in names else f" LiteLLM was not measured: {LITELLM_VARIABLE} names no `litellm` command."
    return Section(
        "The gateway",
        "A mock upstream answers at once. In front of it are `parley up` with one `[[backends]]` entry of type "
        "openai, a "
        "reverse proxy of thirty lines, and LiteLLM's proxy (one worker), one process each; they share the machine "
        "with the mock and the client (raw asyncio, kept connections). The servers are measured in turn, in four "
        "rounds of 0.8 s per cell. The quickest round counts, so that other work on the machine does not matter. "
        "Added: median and 99th percentile of whole requests, minus those of the mock alone." + without,
        tuple(tables),
        notes=(
            "frames lost: " + ", ".join(f"{name} {count}" for name, count in lost.items()),
            "requests failed: " + ", ".join(f"{name} {count}" for name, count in failed.items()),
        ),
    )


def _added(cell: Cell, direct: Cell) -> str:
    return f"{cell.p50_ms - direct.p50_ms:.2f} / {cell.p99_ms - direct.p99_ms:.2f}"


def _load(url: str, clients: int, seconds: float, stream: bool) -> Cell:
    arguments = [url, ADMIN_KEY, str(clients), str(seconds), str(int(stream)), str(FRAMES)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.gateway_load", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        timeout=seconds + 60,
        check=True,
    )
    told = json.loads(done.stdout)
    latencies, first = told["latencies_ms"] or [0.0], told["first_ms"] or [0.0]
    return Cell(
        told["requests"] / told["seconds"],
        percentile(latencies, 50),
        percentile(latencies, 99),
        percentile(first, 50),
        told["lost"],
        told["failed"],
    )


@contextmanager
def _server(arguments: list[str], path: str, *more: str) -> Iterator[str]:
    port = free_port()
    with _process([sys.executable, *arguments, str(port), *more], f"http://127.0.0.1:{port}", path) as url:
        yield url


@contextmanager
def _litellm(command: str, upstream: str, folder: Path) -> Iterator[str]:
    config = {
        "model_list": [
            {
                "model_name": "mock",
                "litellm_params": {"model": "openai/mock", "api_base": f"{upstream}/v1", "api_key": "sk-none"},
            }
        ],
        "general_settings": {"master_key": ADMIN_KEY},
    }
    path = folder / "litellm.json"  # JSON is YAML
    path.write_text(json.dumps(config), encoding="utf-8")
    port = free_port()
    full = [command, "--config", str(path), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    with _process(full, f"http://127.0.0.1:{port}", "/health/liveliness") as url:
        yield url


@contextmanager
def _process(command: list[str], url: str, path: str) -> Iterator[str]:
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=end_with_parent if sys.platform == "linux" else None,
    )
    try:
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(url + path, timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"did not start: {command[0]} {command[1]}") from None
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
