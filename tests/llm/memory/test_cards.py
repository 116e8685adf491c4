"""The GPUs' memory: how a model is divided over the cards, what each slot has taken, and what that leaves.

The cards are a scripted NVML: no test here has run on a GPU.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.engines import llama_cpp, vllm
from llm.errors import ModelTooLarge
from llm.memory.cards import Cards, CardUse, card_shortage, spread
from llm.memory.fit import FitSum
from llm.memory.learned import Learned
from llm.memory.slot_memory import SlotMemory
from llm.settings import EngineSettings
from llm.slots.events import Ask, Fail, Load, Measured, Need, SlotLimits, Start, Stop, Up
from llm.slots.scheduler import SlotScheduler
from tests.llm.slot_house import request, slot_house

GIB = 1 << 30
FIT = FitSum(
    weights=6 * GIB,
    kv=GIB,
    state=0,
    compute=GIB // 2,
    process=GIB // 4,
    context=4096,
    cells=4096,
    sequences=8,
    kv_per_token=1.0,
    attention_layers=31,
    recurrent_layers=0,
)


class ScriptedNvml(ModuleType):
    """`free` of each card of 24 GiB, and what its processes hold; None: the driver does not tell."""

    class NVMLError(Exception):
        pass

    def __init__(self, *free: int) -> None:
        super().__init__("pynvml")
        self.free = list(free)
        self.processes: dict[int, int | None] = {}

    def nvmlInit(self) -> None: ...

    def nvmlShutdown(self) -> None: ...

    def nvmlDeviceGetCount(self) -> int:
        return len(self.free)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:
        return f"Card {handle}"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(total=24 * GIB, free=self.free[handle])

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self.processes.items() if not handle]


@pytest.fixture
def family() -> Iterator[tuple[int, int]]:
    """A process and its child, as a worker and what vLLM starts."""
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as parent:
        own = psutil.Process(parent.pid)
        while not (children := own.children()):
            pass
        yield parent.pid, children[0].pid
        parent.communicate(b"\n")


@pytest.mark.parametrize("tells", ["the worker's", "its child's", "nothing", "a foreign number"])
def test_what_one_model_leaves_of_a_card(
    monkeypatch: pytest.MonkeyPatch, family: tuple[int, int], tells: str
) -> None:
    """24 GiB before, 16 while it loads with 8 promised and when it is loaded, whoever tells."""
    card = ScriptedNvml(24 * GIB)
    monkeypatch.setitem(sys.modules, "pynvml", card)
    memory = SlotMemory()

    def measured(*ready: int) -> Cards:
        memory.account(memory.measure({1: family[0]}), frozenset(ready))
        return memory.card_headroom

    assert measured() == (24 * GIB,)
    memory.on_cards.started(1, (8 * GIB,))
    assert measured() == (16 * GIB,)
    card.free = [21 * GIB]
    pid = {"the worker's": family[0], "its child's": family[1], "nothing": family[0]}.get(tells, 1)
    card.processes = {pid: None if tells == "nothing" else 3 * GIB}
    assert measured() == (16 * GIB,)
    card.free = [16 * GIB]
    card.processes = {pid: None if tells == "nothing" else 8 * GIB}
    assert measured(1) == (16 * GIB,) and memory.on_cards.known(1) == 8 * GIB
    memory.on_cards.stopped(1)
    card.free = [24 * GIB]
    assert measured() == (24 * GIB,)


def test_two_loads_at_once_are_not_taken_for_each_other() -> None:
    """Where nobody tells whose it is, each counts as planned, and what is free is the driver's word again."""
    use = CardUse()
    use.measured((24,), {}, frozenset())
    use.started(1, (8,))
    use.started(2, (4,))
    use.measured((15,), {}, frozenset({1}))
    assert use.used(1) == (8,) and use.known(1) is None and use.headroom == (11,)
    use.measured((12,), {}, frozenset({1, 2}))
    assert use.headroom == (12,)


def test_a_model_on_the_cpu_is_not_charged_to_a_card() -> None:
    use = CardUse()
    use.measured((24,), {}, frozenset())
    use.started(1, ())
    use.measured((20,), {}, frozenset({1}))  # another program
    assert not use.used(1) and use.headroom == (20,)


def test_what_was_learned_of_the_card_is_not_what_was_learned_of_the_machine(tmp_path: Path) -> None:
    learned = Learned(tmp_path / "measured.json")
    learned.used("m", 2 * GIB, GIB, 8 * GIB, 8 * GIB)
    learned.save()
    again = Learned(tmp_path / "measured.json")
    assert (again.ratio("m"), again.gpu_ratio("m")) == (0.5, 1.0)


@given(st.integers(0, 100), st.lists(st.integers(0, 60), min_size=1, max_size=4), st.booleans())
def test_what_is_said_to_fit_is_divided_so_that_it_does(gpu: int, free: list[int], shared: bool) -> None:
    shares = tuple(float(number) for number in range(1, len(free) + 1)) if shared else ()
    parts = spread(gpu, shares, tuple(free))
    assert len(parts) == len(free) and sum(parts) <= gpu
    if gpu and not card_shortage(gpu, shares, tuple(free)):
        assert all(part <= have + 1 for part, have in zip(parts, free, strict=True))


def test_how_llama_cpp_divides_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = (24 * GIB, 24 * GIB)
    assert llama_cpp.divide(FIT, EngineSettings(), cards).gpu == 0  # the installed library is for CPUs
    monkeypatch.setattr(llama_cpp, "ships", lambda *_: True)
    assert llama_cpp.divide(FIT, EngineSettings(), ()).host == FIT.total
    assert llama_cpp.divide(FIT, EngineSettings(n_gpu_layers=0), cards).host == FIT.total
    whole = llama_cpp.divide(FIT, EngineSettings(), cards)
    assert 7 * GIB < whole.gpu < 9 * GIB and whole.host < GIB and whole.shares == ()
    half = llama_cpp.divide(FIT, EngineSettings(n_gpu_layers=16), cards)
    assert 3 * GIB < half.gpu < 5 * GIB and half.host > 3 * GIB
    one = llama_cpp.divide(FIT, EngineSettings(split_mode="none", main_gpu=1), cards)
    assert spread(one.gpu, one.shares, cards) == (0, one.gpu)
    assert llama_cpp.divide(FIT, EngineSettings(tensor_split="3,1"), cards).shares == (3, 1)


def test_vllm_takes_its_share_of_each_of_its_cards() -> None:
    both = vllm.divide(FIT, EngineSettings(tensor_parallel=2, gpu_memory_share=0.5), (24 * GIB,) * 3)
    assert spread(both.gpu, both.shares, (24 * GIB,) * 3) == (12 * GIB, 12 * GIB, 0)
    assert vllm.divide(FIT, EngineSettings(), (24 * GIB,)).gpu == int(0.9 * 24 * GIB)
    missing = vllm.divide(FIT, EngineSettings(tensor_parallel=2), (24 * GIB,))
    assert card_shortage(missing.gpu, missing.shares, (24 * GIB,)) > 0


def test_a_model_that_fits_all_cards_together_and_no_single_one_is_not_promised() -> None:
    scheduler = SlotScheduler(SlotLimits(slots=2))
    scheduler.step(Measured(100, cards=(10, 10)), 0.0)
    undivided = Need(10, gpu_bytes=15, shares=(1.0,))
    assert scheduler.step(Ask(1, "a", need=undivided), 0.0) == [Fail(1, "does_not_fit", 0, 5)]
    assert scheduler.step(Ask(2, "b", need=Need(10, gpu_bytes=15)), 0.0) == [Start(1, "b", None, (8, 7))]
    divided = Need(10, gpu_bytes=15, shares=(3, 1))
    assert scheduler.step(Ask(3, "c", need=divided), 0.0) == [Fail(3, "does_not_fit", 0, 1)]


def test_who_gives_way_for_a_card_holds_something_of_it() -> None:
    scheduler = SlotScheduler(SlotLimits(slots=3))
    scheduler.step(Measured(100, cards=(10,)), 0.0)
    scheduler.step(Load(1, "on the cpu", Need(20)), 0.0)
    scheduler.step(Load(2, "on the card", Need(5, gpu_bytes=8)), 0.0)
    scheduler.step(Up(1), 0.0), scheduler.step(Up(2), 1.0)
    scheduler.step(Measured(75, {}, (2,), {2: (8,)}), 2.0)
    wanted = Ask(9, "next", need=Need(5, gpu_bytes=6))
    assert scheduler.step(wanted, 3.0) == [Stop(2, "evicted")]
    assert scheduler.step(Measured(80, {}, (10,)), 3.0) == [Start(3, "next", None, (6,))]


async def test_a_pool_with_scripted_cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    card = ScriptedNvml(500 << 20, 500 << 20)
    monkeypatch.setitem(sys.modules, "pynvml", card)
    monkeypatch.setattr(llama_cpp, "ships", lambda *_: True)
    async with slot_house(tmp_path) as house:
        await house.until(lambda: house.pool.memory.gpus)
        plan = await house.pool.plan("a", {"split_mode": "none"})
        assert (400 << 20) < plan.need.gpu_bytes < (500 << 20)
        house.pool.load(plan)
        card.free[0] = 40 << 20
        assert await house.reply(request("a"))
        await house.until(lambda: house.pool.memory.on_cards.known(1) is not None)
        assert house.pool.memory.on_cards.known(1) == 460 << 20
        house.pool.pin(1, True)
        with pytest.raises(ModelTooLarge, match="on the GPUs"):
            house.pool.load(await house.pool.plan("b", {"split_mode": "none"}))
        house.pool.load(await house.pool.plan("c", {"n_gpu_layers": 0}))  # the machine's memory is another matter
        assert await house.reply(request("c"))
