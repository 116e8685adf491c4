"""Several models in slots: how soon a client that left frees the decoder, what loads and swaps cost, memory sums."""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from statistics import median

import aiohttp
import anyio

from llm.settings import EngineSettings
from tests.bench.random_llama import write_random_llama
from tests.bench.report import Options, Section, Table
from tests.llm.slot_house import SlotHouse, request, slot_house
from tests.llm.worker_process import model_path

__all__ = ["run"]

MIB = 2**20


def run(options: Options) -> Section:
    times, memory = asyncio.run(_measure(options))
    return Section(
        "Several models",
        "Slots with real workers, asked through the router. *Left*: from the moment a client closes the stream of a "
        "running reply until the worker says that it holds no sequence any more, including the round trip of that "
        "question. *Load*: to the first token of a model that is in no slot. *Swap*: the same, if the only slot must "
        "be emptied first. *Memory*: what `parley fit` estimates before it has learned anything, and what the worker "
        "takes after a reply.",
        (
            Table(("what", "median", "longest"), times),
            Table(("model", "settings", "sum, MiB", "taken, MiB", "taken / sum"), memory),
        ),
    )


async def _measure(options: Options) -> tuple[tuple[tuple[object, ...], ...], tuple[tuple[object, ...], ...]]:
    repeats = 5 if options.quick else 30
    bundled = model_path()
    times: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        async with slot_house(Path(folder) / "a", engine=EngineSettings(ctx_size=1024), file=bundled) as house:
            left = [await _left(house) for _ in range(repeats)]
            times.append(_row("client left -> decoder idle", left))
            loads = []
            for _ in range(max(2, repeats // 6)):
                loads.append(await _first_token(house, "b"))
                slot = house.slot("b")
                assert slot is not None
                house.pool.unload(slot.number)
                await house.until(lambda: house.slot("b") is None)
            times.append(_row("load", loads))
        async with slot_house(Path(folder) / "b", slots=1, file=bundled) as house:
            await house.reply(request("a"))
            swaps = [await _first_token(house, name) for name in ("b", "a") * max(1, repeats // 10)]
            times.append(_row("swap", swaps))
        large = Path(folder) / "random.gguf"
        write_random_llama(large, bundled, width=768, layers=12, inner=3072, heads=12)
        memory = [await _memory(Path(folder), *case) for case in _cases(bundled, large)]
    return tuple(times), tuple(memory)


def _cases(bundled: Path, large: Path) -> list[tuple[str, Path, EngineSettings, str]]:
    return [
        ("parley-mini", bundled, EngineSettings(), "defaults"),
        ("random llama, 120 M, f16", large, EngineSettings(ctx_size=1024, parallel=2), "ctx 1024, parallel 2"),
        ("random llama, 120 M, f16", large, EngineSettings(kv_budget_mib=600), "KV budget 600 MiB"),
        (
            "random llama, 120 M, f16",
            large,
            EngineSettings(kv_budget_mib=600, kv_cache_type="q8_0"),
            "the same, q8_0",
        ),
    ]


def _row(what: str, seconds: list[float]) -> tuple[object, ...]:
    return (what, f"{1000 * median(seconds):.0f} ms", f"{1000 * max(seconds):.0f} ms")


async def _left(house: SlotHouse) -> float:
    asked = request("a", tokens=900)
    async with aiohttp.ClientSession() as http:
        async with aclosing(house.router.generate(asked)) as events:
            count = 0
            async for _ in events:
                count += 1
                if count == 5:
                    break
            slot = house.slot("a")
            assert slot is not None
            start = time.perf_counter()
        while True:
            async with http.get(f"{slot.worker.base_url}/statistics") as answer:
                if not (await answer.json())["busy"]:
                    return time.perf_counter() - start
            await anyio.sleep(0.001)


async def _first_token(house: SlotHouse, model: str) -> float:
    start = time.perf_counter()
    async with aclosing(house.router.generate(request(model))) as events:
        async for _ in events:
            return time.perf_counter() - start
    raise AssertionError("no answer")


async def _memory(folder: Path, name: str, file: Path, engine: EngineSettings, settings: str) -> tuple[object, ...]:
    home = Path(tempfile.mkdtemp(dir=folder))
    async with slot_house(home, ("a",), engine=engine, file=file) as house:
        await house.reply(request("a", tokens=32))
        slot = house.slot("a")
        assert slot is not None
        slot.used = type(slot.used)(0, 0)
        await house.until(lambda: slot.used.resident > 0)
        expected, taken = slot.plan.predicted_bytes, slot.used.resident
    return (name, settings, f"{expected / MIB:.0f}", f"{taken / MIB:.0f}", f"{taken / expected:.2f}")
