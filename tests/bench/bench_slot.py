"""The language-model slot over its socket: tokens/s at 1, 4 and 8 requests, prompts, and what the KV cache saves."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median

import aiohttp

from tests.bench.random_llama import write_random_llama
from tests.bench.report import Options, Section, Table
from tests.llm.worker_process import RunningWorker, model_path, running_worker

__all__ = ["run"]

CLIENTS = (1, 4, 8)


def run(options: Options) -> Section:
    rows: list[tuple[object, ...]] = []
    turns: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "random.gguf"
        parameters = write_random_llama(large, model_path(), width=768, layers=12, inner=3072, heads=12)
        for name, path in (("parley-mini", model_path()), (f"random llama, {parameters / 1e6:.0f} M, f16", large)):
            with running_worker("--ctx-size", "1024", model=path) as worker:
                speeds, prompt, fresh, cached = asyncio.run(_measure(worker, options))
            rows.append((name, *(f"{speed:.0f}" for speed in speeds), f"{prompt:.0f}"))
            turns.append((name, f"{1000 * fresh:.0f}", f"{1000 * cached:.0f}"))
    return Section(
        "The slot",
        "A worker process answers over HTTP on loopback; client and worker share the machine. Tokens/s: the sum over "
        "all requests, each with a prompt of 16 tokens and 96 tokens of reply, sampled with the defaults. The second "
        "model has random weights and shows what size costs.",
        (
            Table(("tokens/s", *(f"{n} request{'s' * (n > 1)}" for n in CLIENTS), "prompt"), tuple(rows)),
            Table(
                ("first token of a turn, ms (median)", "600 new tokens", "the same, 590 of them kept"), tuple(turns)
            ),
        ),
    )


async def _measure(worker: RunningWorker, options: Options) -> tuple[list[float], float, float, float]:
    """(tokens/s for each of CLIENTS, prompt tokens/s, seconds to the first token fresh, and cached)."""
    repeats = 1 if options.quick else 5
    bias = worker.never_ending()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300)) as http:

        async def reply(tokens: list[int], count: int, conversation: str | None = None) -> dict[str, float]:
            body = {"prompt": tokens, "n_predict": count, "logit_bias": bias, "parley_conversation": conversation}
            async with http.post(f"{worker.url}/completion", json=body) as answer:
                result: dict[str, float] = await answer.json()
                assert answer.status == 200, result
                return result

        number = 0

        def prompt(length: int) -> list[int]:
            nonlocal number
            number += 1
            return [100 + (number * 7919 + n * 104729) % 3000 for n in range(length)]

        await reply(prompt(64), 8)
        speeds = []
        for clients in CLIENTS:
            found = []
            for _ in range(repeats):
                start = time.perf_counter()
                results = await asyncio.gather(*(reply(prompt(16), 96) for _ in range(clients)))
                written = sum(result["tokens_predicted"] for result in results)
                found.append(written / (time.perf_counter() - start))
            speeds.append(median(found))
        fresh, cached = [], []
        for turn in range(repeats + 1):
            tokens = prompt(600)
            start = time.perf_counter()
            await reply(tokens, 1, f"turn-{turn}")
            middle = time.perf_counter()
            result = await reply([*tokens[:590], *prompt(10)], 1, f"turn-{turn}")
            assert result["tokens_cached"] == 590
            fresh.append(middle - start)
            cached.append(time.perf_counter() - middle)
        return speeds, 600 / median(fresh), median(fresh), median(cached)
