"""The language-model slot over its socket, beside llama.cpp's own server with the same file: speed, first tokens."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from tests.bench.llama_server import available, llama_server
from tests.bench.random_llama import write_random_llama
from tests.bench.report import ROOT, Options, Section, Table
from tests.bench.slot_clients import first_tokens, speeds, voice_beside_batch
from tests.llm.quantised_model import quantise
from tests.llm.worker_process import model_path, running_worker

__all__ = ["run"]

CLIENTS = (1, 4, 8)
CONTEXT = 1024
SHORT = 512
"""The context of the smallest models; stories260K was trained on no more."""
TINY_REPEATS = 15
OURS, PEER = "a Parley slot", "llama.cpp's server"


def run(options: Options) -> Section:
    rows: list[tuple[object, ...]] = []
    turns: list[tuple[object, ...]] = []
    voice: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "random.gguf"
        parameters = write_random_llama(large, model_path(), width=768, layers=12, inner=3072, heads=12)
        small = Path(folder) / "tiny.gguf"
        count = write_random_llama(small, model_path(), width=64, layers=5, inner=176, heads=8)
        size = f"random llama, {parameters / 1e6:.0f} M"
        quantised = quantise(large, Path(folder) / "quantised.gguf", "q4_K_M")
        tiny = [(f"random llama, {count / 1e6:.1f} M, f16", small), *_tiny_models()]
        models = (("parley-mini", model_path(), 15), (f"{size}, f16", large, 5))
        others = [(f"{size}, q4_K_M", quantised, CONTEXT, 7), *((*each, SHORT, TINY_REPEATS) for each in tiny)]
        for model, path, most in models:
            repeats = 1 if options.quick else most
            with ExitStack() as stack:
                servers = _both(stack, path, CONTEXT)
                found = [asyncio.run(speeds(servers, clients, repeats)) for clients in CLIENTS]
                streamed = [asyncio.run(speeds(servers, clients, repeats, stream=True)) for clients in CLIENTS]
                first = asyncio.run(first_tokens(servers, repeats + 1))
                alone, beside = asyncio.run(voice_beside_batch(servers[OURS], 3 * repeats))
            rows += _speed_rows(model, found) + _speed_rows(f"{model}, streamed", streamed)
            for name in servers:
                fresh, kept = median(first[name].fresh), median(first[name].kept)
                turns.append((f"{model}: {name}", f"{1000 * fresh:.0f}", f"{1000 * kept:.0f}", f"{kept / fresh:.2f}"))
            quiet, busy = median(alone), median(beside)
            voice.append((model, f"{1000 * quiet:.0f}", f"{1000 * busy:.0f}", f"{busy / quiet:.2f}"))
        for model, path, context, most in others:
            repeats = 1 if options.quick else most
            with ExitStack() as stack:
                servers = _both(stack, path, context)
                for name, stream in ((model, False), (f"{model}, streamed", True)):
                    found = [asyncio.run(speeds(servers, clients, repeats, stream)) for clients in CLIENTS]
                    rows += _speed_rows(name, found)
    without = "" if available() else " llama.cpp's server was not measured: it needs the extra `bench`."
    return Section(
        "The slot",
        "A worker process answers over HTTP on loopback; clients and servers share the machine. Tokens/s is the "
        "sum of "
        "all requests. Each has a prompt of 16 tokens and a reply of 96 tokens, sampled with the defaults, in one "
        "piece or, where the table says so, streamed token by token. The second model has random weights and shows "
        "what size costs, in f16 and quantised as most people's models are. The smallest ones, with up to a million "
        "parameters, show what a token costs besides the model. llama.cpp's own server (from the xllamacpp wheel, "
        "with its defaults and 8 slots of the same context) runs in the same minutes with the same file. The two "
        "take turns, and the ratio is the median of the rounds' ratios. Threads of both spin while they wait for "
        "each other; those of a slot do not while other programs compute."
        f"{without}",
        (
            Table(("tokens/s", *(f"{n} request{'s' * (n > 1)}" for n in CLIENTS)), tuple(rows)),
            Table(("first token, ms (median)", "600 new tokens", "the next turn, 10 more", "ratio"), tuple(turns)),
            Table(
                ("first token of a voice turn, ms (median)", "alone", "8 batch clients beside it", "ratio"),
                tuple(voice),
            ),
        ),
    )


def _both(stack: ExitStack, model: Path, context: int) -> dict[str, str]:
    """Base URLs, by name."""
    worker = stack.enter_context(running_worker("--ctx-size", str(context), model=model))
    servers = {OURS: worker.url}
    if available():
        servers[PEER] = stack.enter_context(llama_server(model, context, parallel=8))
    return servers


def _tiny_models() -> list[tuple[str, Path]]:
    """Those of the test data, where there are some."""
    folder = Path(os.environ.get("PARLEY_TEST_MODELS", ROOT.parent / "shared" / "testdata")) / "llm"
    names = {"llama-2-tiny-random": "llama-2-tiny-random, 0.5 M", "stories260K-f32": "stories260K, 0.3 M"}
    found = ((name, folder / f"{file}.gguf") for file, name in names.items())
    return [(name, path) for name, path in found if path.is_file()]


def _speed_rows(model: str, found: list[dict[str, list[float]]]) -> list[tuple[object, ...]]:
    """`found`: tokens/s by server, for each of CLIENTS."""
    rows: list[tuple[object, ...]] = [
        (f"{model}: {name}", *(f"{median(speed[name]):.0f}" for speed in found)) for name in found[0]
    ]
    if len(found[0]) > 1:
        rows.append((f"{model}: ratio", *(_ratio(speed[OURS], speed[PEER]) for speed in found)))
    return rows


def _ratio(ours: list[float], peer: list[float]) -> str:
    return f"{median(mine / other for mine, other in zip(ours, peer, strict=True)):.2f}"
