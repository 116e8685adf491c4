"""The memory sum: caches of different architectures, by hand; what was learned; what the machine has."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest

from llm.cores import cores
from llm.memory.fit import largest_context, predict
from llm.memory.learned import Learned, model_key
from llm.memory.machine import gpus, host_memory, usage_of
from llm.memory.slot_memory import SlotMemory
from llm.settings import EngineSettings
from llm.workers.projectors import find_projector
from models.formats.gguf import GgufHeader, GgufTensor, read_header
from models.store import BUNDLED

GIB = 1 << 30
ENGINE = EngineSettings(ctx_size=1024, parallel=1, voice_places=0)


def header(architecture: str = "llama", tensors: dict[str, tuple[int, ...]] | None = None, **keys: Any) -> GgufHeader:
    """`keys` with "__" for a dot: attention__head_count=8."""
    metadata = {"general.architecture": architecture, f"{architecture}.context_length": 8192}
    metadata |= {f"{architecture}.{key.replace('__', '.')}": value for key, value in keys.items()}
    found = tuple(GgufTensor(name, shape, 1, 0) for name, shape in (tensors or {}).items())
    return GgufHeader(3, metadata, {"tokenizer.ggml.tokens": 32_000}, found, 2 * GIB)


GROUPED = {"blk.0.attn_k.weight": (4096, 1024), "blk.0.attn_v.weight": (4096, 1024)}


@pytest.mark.parametrize(
    ("file", "kv_per_token", "attention", "recurrent"),
    [
        pytest.param(header(tensors=GROUPED, block_count=1), 2 * 2048, 1, 0, id="grouped queries"),
        pytest.param(
            header(block_count=2, embedding_length=64, attention__head_count=8, attention__head_count_kv=2),
            2 * 2 * (2 * 8 * 2),
            2,
            0,
            id="metadata alone",
        ),
        pytest.param(
            header(block_count=2, embedding_length=64, attention__head_count=8, attention__head_count_kv=(8, 0)),
            2 * 8 * 8 * 2,
            1,
            0,
            id="heads by layer",
        ),
        pytest.param(
            header(
                "deepseek2", {"blk.0.attn_kv_a_mqa.weight": (5120, 576)}, block_count=1, attention__kv_lora_rank=512
            ),
            2 * (576 + 512),
            1,
            0,
            id="latent attention",
        ),
        pytest.param(
            header(
                "jamba",
                {**GROUPED, "blk.1.ssm_in.weight": (4096, 16384)},
                block_count=2,
                ssm__inner_size=8192,
                ssm__state_size=16,
                ssm__conv_kernel=4,
            ),
            2 * 2048,
            1,
            1,
            id="hybrid",
        ),
        pytest.param(
            header(
                tensors={**GROUPED, "blk.1.attn_k.weight": (4096, 1024), "blk.1.attn_v.weight": (4096, 1024)},
                block_count=2,
                attention__shared_kv_layers=1,
            ),
            2 * 2048,
            1,
            0,
            id="shared cache",
        ),
    ],
)
def test_the_cache_by_architecture(file: GgufHeader, kv_per_token: float, attention: int, recurrent: int) -> None:
    fit = predict(file, ENGINE, 64 * GIB)
    assert (fit.kv_per_token, fit.attention_layers, fit.recurrent_layers) == (kv_per_token, attention, recurrent)
    assert fit.kv == kv_per_token * fit.cells and fit.cells == 1024
    assert fit.weights == 2 * GIB and fit.total > fit.weights + fit.kv
    assert (fit.state > 0) == (recurrent > 0)


def test_a_recurrent_state_by_hand() -> None:
    mamba = header(
        "mamba", {"blk.0.ssm_in.weight": (768, 3072)}, block_count=1, ssm__inner_size=1536, ssm__state_size=16,
        ssm__conv_kernel=4,
    )  # fmt: skip
    fit = predict(mamba, ENGINE, 64 * GIB)
    assert fit.kv == 0
    assert fit.state == fit.sequences * 4 * (3 * (1536 + 0) + 16 * 1536)


def test_what_settings_do_to_the_sum() -> None:
    file = header(tensors=GROUPED, block_count=1, embedding_length=4096, attention__head_count=32)
    plain = predict(file, ENGINE, 64 * GIB)
    quantised = predict(file, EngineSettings(1024, 1, 0, kv_cache_type="q8_0"), 64 * GIB)
    assert quantised.kv == pytest.approx(plain.kv * 34 / 64)
    half = predict(file, EngineSettings(1024, 1, 0, kv_cache_type_v="q8_0"), 64 * GIB)
    assert quantised.kv < half.kv < plain.kv
    slow = predict(file, EngineSettings(1024, 1, 0, flash_attention=False), 64 * GIB)
    assert slow.compute >= plain.compute + 4 * 512 * 1024 * 32
    assert predict(file, EngineSettings(1024, 1, 0, ubatch=64), 64 * GIB).compute < plain.compute


def test_the_largest_context_fits_and_the_next_does_not() -> None:
    file = header(tensors=GROUPED, block_count=1, embedding_length=4096, attention__head_count=32)
    free = predict(file, EngineSettings(4096, 1, 0, kv_budget_mib=1), 64 * GIB).total
    assert largest_context(file, ENGINE, 64 * GIB, free) == 4096
    assert largest_context(file, ENGINE, 64 * GIB, free - 1) == 4096 - 256
    assert largest_context(file, ENGINE, 64 * GIB, 64 * GIB) == 8192  # what it was trained on
    assert largest_context(file, ENGINE, 64 * GIB, GIB) == 0


def test_the_bundled_model_by_hand() -> None:
    """6 layers of 256 + 256 in f16; ten conversations of 1024 tokens."""
    fit = predict(read_header(BUNDLED / "parley-mini.gguf"), EngineSettings(), 64 * GIB)
    assert (fit.kv_per_token, fit.cells, fit.context) == (6 * 512 * 2, 10 * 1024, 1024)
    assert fit.cache_ram == fit.kv, "beside the cache as much again"
    assert (
        predict(read_header(BUNDLED / "parley-mini.gguf"), EngineSettings(cache_ram_mib=6), 64 * GIB).cache_ram
        == 6 << 20
    )


# ---- learned -----------------------------------------------------------------------------------------------------


def test_measurements_correct_the_next_sum_and_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    learned = Learned(path)
    assert learned.ratio("m") == 1.0 and learned.load_s("m", 10**9) == pytest.approx(3.0)
    learned.used("m", 100, 150)
    learned.used("m", 100, 120)  # less than was seen: the most counts
    learned.loaded("m", 7.5)
    learned.save()
    again = Learned(path)
    assert again.ratio("m") == 1.5 and again.load_s("m", 0) == 7.5
    assert again.ratio("never seen") == 1.5  # this machine takes more than the sums say
    again.used("m", 1000, 800)  # loaded otherwise: measured anew
    assert again.ratio("m") == 0.8 and again.ratio("never seen") == 1.0
    again.used("odd", 1, 10**12)
    assert again.ratio("odd") == 4.0


@pytest.mark.parametrize("text", ["", "[1]", '{"m": 3}', '{"m": {"predicted_bytes": "x"}}', "\x00"])
def test_a_damaged_file_counts_for_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "measured.json"
    path.write_text(text, encoding="utf-8")
    learned = Learned(path)
    assert learned.ratio("m") == 1.0
    learned.used("m", 1, 2)
    learned.save()
    assert json.loads(path.read_text(encoding="utf-8"))["m"]["used_bytes"] == 2


def test_a_disk_that_takes_nothing_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    learned = Learned(tmp_path / "file" / "measured.json")
    learned.used("m", 1, 2)
    learned.save()
    assert learned.ratio("m") == 2.0


def test_it_forgets_the_oldest(tmp_path: Path) -> None:
    learned = Learned(tmp_path / "measured.json")
    for number in range(600):
        learned.used(f"m{number}", 1, 2)
    learned.save()
    kept = json.loads((tmp_path / "measured.json").read_text(encoding="utf-8"))
    assert len(kept) == 500 and "m599" in kept and "m0" not in kept
    assert model_key(Path("a/b.gguf"), 5) == "b.gguf:5"


# ---- the machine -------------------------------------------------------------------------------------------------


def machine() -> Any:
    return SimpleNamespace(total=64 * GIB, available=40 * GIB)


def test_a_containers_limit_counts_as_the_machine(tmp_path: Path) -> None:
    assert host_memory(tmp_path, machine).total == 64 * GIB
    (tmp_path / "memory.max").write_text("max\n", encoding="ascii")
    assert host_memory(tmp_path, machine).available == 40 * GIB
    (tmp_path / "memory.max").write_text(f"{8 * GIB}\n", encoding="ascii")
    (tmp_path / "memory.current").write_text(f"{6 * GIB}\n", encoding="ascii")
    (tmp_path / "memory.stat").write_text(f"anon 1\nactive_file {GIB}\ninactive_file {2 * GIB}\n", encoding="ascii")
    found = host_memory(tmp_path, machine)
    assert (found.total, found.available) == (8 * GIB, 5 * GIB)  # cached files give way


def test_the_older_kind_of_container(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text(str(4 * GIB), encoding="ascii")
    (folder / "memory.usage_in_bytes").write_text(str(3 * GIB), encoding="ascii")
    (folder / "memory.stat").write_text(f"cache 5\ntotal_inactive_file {GIB}\n", encoding="ascii")
    assert host_memory(tmp_path, machine).available == 2 * GIB
    (folder / "memory.limit_in_bytes").write_text(str(2**63 - 4096), encoding="ascii")
    assert host_memory(tmp_path, machine).total == 64 * GIB


def test_limits_of_a_service_within_the_tree(tmp_path: Path) -> None:
    """A service of systemd sees the whole tree; its own group and each above it may have a limit."""
    belongs = tmp_path / "membership"
    belongs.write_text("4:cpu,memory:/older/app\n0::/system.slice/app.service\n", encoding="ascii")

    def limit(group: str, name: str, most: int, used_name: str, used: int) -> None:
        (tmp_path / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / group / name).write_text(str(most), encoding="ascii")
        (tmp_path / group / used_name).write_text(str(used), encoding="ascii")

    limit("system.slice/app.service", "memory.max", 8 * GIB, "memory.current", GIB)
    assert host_memory(tmp_path, machine, belongs).available == 7 * GIB
    limit("system.slice/app.service", "memory.high", 6 * GIB, "memory.current", GIB)  # slowed down beyond it
    assert host_memory(tmp_path, machine, belongs).total == 6 * GIB
    limit("system.slice", "memory.max", 12 * GIB, "memory.current", 9 * GIB)  # others in it took most
    found = host_memory(tmp_path, machine, belongs)
    assert (found.total, found.available) == (6 * GIB, 3 * GIB)
    limit("memory/older/app", "memory.limit_in_bytes", 2 * GIB, "memory.usage_in_bytes", GIB)
    found = host_memory(tmp_path, machine, belongs)
    assert (found.total, found.available) == (2 * GIB, GIB)
    belongs.write_text("4:memory:/../other\n", encoding="ascii")  # not to be seen from here
    assert host_memory(tmp_path, machine, belongs).total == 64 * GIB


def test_a_cpu_quota_counts_as_so_many_cores(tmp_path: Path) -> None:
    belongs = tmp_path / "membership"
    belongs.write_text("3:cpu,cpuacct:/older\n0::/app.service\n", encoding="ascii")
    mine = cores(tmp_path, belongs)
    assert mine >= 1
    for group in ("app.service", "cpu/older"):
        (tmp_path / group).mkdir(parents=True)
    (tmp_path / "app.service/cpu.max").write_text("max 100000\n", encoding="ascii")
    (tmp_path / "cpu/older/cpu.cfs_quota_us").write_text("-1\n", encoding="ascii")
    (tmp_path / "cpu/older/cpu.cfs_period_us").write_text("100000\n", encoding="ascii")
    assert cores(tmp_path, belongs) == mine
    (tmp_path / "cpu/older/cpu.cfs_quota_us").write_text("40000\n", encoding="ascii")
    assert cores(tmp_path, belongs) == 1
    (tmp_path / "cpu/older/cpu.cfs_quota_us").write_text("-1\n", encoding="ascii")
    (tmp_path / "app.service/cpu.max").write_text("110000 100000\n", encoding="ascii")
    assert cores(tmp_path, belongs) == 1


def test_what_a_process_takes() -> None:
    mine = usage_of(psutil.Process().pid)
    assert mine is not None and mine.resident >= mine.private > 0
    assert usage_of(2**22 - 1) is None


class ScriptedNvml(ModuleType):
    """pynvml as its documentation has it: two cards, one process of ours."""

    class NVMLError(Exception):
        pass

    def __init__(self, pid: int, broken: bool = False) -> None:
        super().__init__("pynvml")
        self.pid, self.broken = pid, broken

    def nvmlInit(self) -> None:
        if self.broken:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlShutdown(self) -> None: ...

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:
        return b"Card" if handle else "Card"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(total=8 * GIB, free=(handle + 1) * GIB, used=0)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:
        if handle:
            raise self.NVMLError("Not Supported")
        return [SimpleNamespace(pid=self.pid, usedGpuMemory=3 * GIB), SimpleNamespace(pid=1, usedGpuMemory=None)]


def test_cards_are_read_where_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    pid = psutil.Process().pid
    monkeypatch.setitem(sys.modules, "pynvml", ScriptedNvml(pid, broken=True))
    assert gpus() == ()
    monkeypatch.setitem(sys.modules, "pynvml", ScriptedNvml(pid))
    first, second = gpus()
    assert (first.name, first.free, first.by_pid[pid]) == ("Card", GIB, 3 * GIB) and second.by_pid == {}
    memory = SlotMemory()
    memory.account(memory.measure({1: None}), frozenset())
    assert memory.headroom == memory.host.available - max(256 << 20, memory.host.total // 20)
    assert memory.card_headroom == (GIB, 2 * GIB) and memory.sizes == (8 * GIB, 8 * GIB)
    assert memory.measure({1: pid})[1].cards == (3 * GIB, 0)
    monkeypatch.setitem(sys.modules, "pynvml", ScriptedNvml(pid, broken=True))  # for a moment
    memory.measure({})
    assert memory.sizes == (8 * GIB, 8 * GIB)
    monkeypatch.setitem(sys.modules, "pynvml", ScriptedNvml(0))
    assert memory.measure({1: pid})[1].cards == (0, 0)


def test_the_projector_beside_a_model(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    assert find_projector(model, "") is None
    model.touch()
    (tmp_path / "m-mmproj-f16.gguf").touch()
    assert find_projector(model, "") == tmp_path / "m-mmproj-f16.gguf"
    (tmp_path / "other-mmproj.gguf").touch()
    assert find_projector(model, "") is None  # which of the two?
    assert find_projector(model, "/x/y.gguf") == Path("/x/y.gguf")


def test_what_is_learned_while_it_is_saved_and_looked_up(tmp_path: Path) -> None:
    """The file is written, and loads are planned, in threads, while the event loop goes on measuring."""
    learned = Learned(tmp_path / "measured.json")
    for number in range(400):
        learned.used(f"model-{number}:1", 100, 150)
    every_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(2) as threads:
            saving = threads.submit(lambda: [learned.save() for _ in range(100)])
            planning = threads.submit(lambda: [learned.ratio("unknown:1") for _ in range(100)])
            for number in count():
                learned.loaded(f"model-{number % 450}:1", 1.0)
                if saving.done() and planning.done():
                    break
            saving.result()
            assert set(planning.result()) == {1.5}
    finally:
        sys.setswitchinterval(every_s)
    learned.save()
    assert Learned(tmp_path / "measured.json").load_s(f"model-{number % 450}:1", 0) == 1.0
