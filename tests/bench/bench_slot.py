"""The language-model slot over its socket, beside llama.cpp's own server with the same file: speed, first tokens."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from tests.bench.llama_server import available, llama_server
from tests.bench.random_llama import write_random_llama
from tests.bench.report import Options, Section, Table
from tests.bench.slot_clients import first_tokens, speeds, voice_beside_batch
from tests.llm.worker_process import model_path, running_worker

__all__ = ["run"]

CLIENTS = (1, 4, 8)
CONTEXT = 1024
OURS, PEER = "a Parley slot", "llama.cpp's server"


def run(options: Options) -> Section:
    rows: list[tuple[object, ...]] = []
    turns: list[tuple[object, ...]] = []
    voice: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "random.gguf"
        parameters = write_random_llama(large, model_path(), width=768, layers=12, inner=3072, heads=12)
        models = (("parley-mini", model_path(), 15), (f"random llama, {parameters / 1e6:.0f} M, f16", large, 5))
        for model, path, most in models:
            repeats = 1 if options.quick else most
            with ExitStack() as stack:
                worker = stack.enter_context(running_worker("--ctx-size", str(CONTEXT), model=path))
                servers = {OURS: worker.url}
                if available():
                    servers[PEER] = stack.enter_context(llama_server(path, CONTEXT, parallel=8))
                found = [asyncio.run(speeds(servers, clients, repeats)) for clients in CLIENTS]
                first = asyncio.run(first_tokens(servers, repeats + 1))
                alone, beside = asyncio.run(voice_beside_batch(worker.url, 3 * repeats))
            for name in servers:
                rows.append((f"{model}: {name}", *(f"{median(speed[name]):.0f}" for speed in found)))
                fresh, kept = median(first[name].fresh), median(first[name].kept)
                turns.append((f"{model}: {name}", f"{1000 * fresh:.0f}", f"{1000 * kept:.0f}", f"{kept / fresh:.2f}"))
            if len(servers) > 1:
                rows.append((f"{model}: ratio", *(_ratio(speed[OURS], speed[PEER]) for speed in found)))
            quiet, busy = median(alone), median(beside)
            voice.append((model, f"{1000 * quiet:.0f}", f"{1000 * busy:.0f}", f"{busy / quiet:.2f}"))
    without = "" if available() else " llama.cpp's server was not measured: it needs the extra `bench`."
    return Section(
        "The slot",
        "A worker process answers over HTTP on loopback; client and servers share the machine. Tokens/s: the sum of "
        "all requests, each with a prompt of 16 tokens and 96 tokens of reply, sampled with the defaults. The second "
        "model has random weights and shows what size costs. llama.cpp's own server (from the xllamacpp wheel, its "
        "defaults, 8 slots of the same context) runs in the same minutes with the same file; the two take turns, and "
        "the ratio is the median of the rounds' own ratios. A "
        "slot's threads spin while they wait for each other, as those of llama.cpp's server do, but not while others "
        f"compute on the machine.{without}",
        (
            Table(("tokens/s", *(f"{n} request{'s' * (n > 1)}" for n in CLIENTS)), tuple(rows)),
            Table(("first token, ms (median)", "600 new tokens", "the next turn, 10 more", "ratio"), tuple(turns)),
            Table(
                ("first token of a voice turn, ms (median)", "alone", "8 batch clients beside it", "ratio"),
                tuple(voice),
            ),
        ),
    )


def _ratio(ours: list[float], peer: list[float]) -> str:
    return f"{median(mine / other for mine, other in zip(ours, peer, strict=True)):.2f}"
