"""What memory this machine has, how much of it is free, and what a worker takes.

The limit of a container or a service counts as the machine (cgroup 1 and 2). Pages of mapped model files are in
nobody's way until something needs the room, so the system calls them available; here they belong to the worker that
reads them.
GPU memory is read through NVIDIA's management library when the package `nvidia-ml-py` and a driver are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from llm.memory.cards import Cards
from llm.memory.cgroups import MEMBERSHIP, ROOT, groups_of

__all__ = ["Gpu", "HostMemory", "Usage", "gpus", "host_memory", "tree_of", "usage_of"]

_NO_LIMIT = 1 << 60
"""cgroup 1 writes "no limit" as a number near 2**63."""


@dataclass(frozen=True, slots=True)
class HostMemory:
    """Bytes."""

    total: int
    available: int


@dataclass(frozen=True, slots=True)
class Gpu:
    name: str
    total: int
    free: int
    by_pid: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its children hold. `resident` includes pages of mapped files, `private` does not. `cards`:
    of each GPU, 0 where the driver does not say.
    """

    resident: int
    private: int
    cards: Cards = ()


def host_memory(
    root: Path = ROOT, own: Callable[[], Any] = psutil.virtual_memory, membership: Path = MEMBERSHIP
) -> HostMemory:
    """Blocking, well under a millisecond."""
    machine = own()
    total, available = int(machine.total), int(machine.available)
    for group in groups_of("memory", root, membership):
        limits = [_number(group / name) for name in ("memory.max", "memory.high", "memory.limit_in_bytes")]
        limit = min((number for number in limits if number is not None), default=_NO_LIMIT)
        used = _number(group / "memory.current")
        files: tuple[str, ...] = ("active_file", "inactive_file")
        if used is None:
            used = _number(group / "memory.usage_in_bytes")
            files = ("total_active_file", "total_inactive_file")
        if used is not None and limit < min(machine.total, _NO_LIMIT):
            held = max(0, used - _files(group / "memory.stat", files))
            total, available = min(total, limit), max(0, min(available, limit - held))
    return HostMemory(total, available)


def usage_of(pid: int) -> Usage | None:
    """None: it is gone. Blocking."""
    resident = private = 0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                memory = one.memory_info()
                resident += memory.rss
                private += max(0, memory.rss - getattr(memory, "shared", 0))
    return Usage(resident, private) if resident else None


def tree_of(pid: int) -> tuple[int, ...]:
    """The process and its children, theirs too: those of vLLM compute on the cards, not the one we started.
    Blocking.
    """
    try:
        process = psutil.Process(pid)
        return (pid, *(child.pid for child in process.children(recursive=True)))
    except psutil.Error:
        return (pid,)


def gpus() -> tuple[Gpu, ...]:
    """None without the package or a driver. Blocking."""
    try:
        import pynvml
    except ImportError:
        return ()
    found = []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            name = pynvml.nvmlDeviceGetName(handle)
            text = name.decode() if isinstance(name, bytes) else str(name)
            found.append(Gpu(text, int(memory.total), int(memory.free), _by_pid(pynvml, handle)))
    except pynvml.NVMLError:
        return ()
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
    return tuple(found)


def _by_pid(library: Any, handle: Any) -> dict[int, int]:
    """usedGpuMemory is None where the driver does not tell (in containers, under WDDM)."""
    try:
        processes = library.nvmlDeviceGetComputeRunningProcesses(handle)
    except library.NVMLError:
        return {}
    return {process.pid: int(process.usedGpuMemory or 0) for process in processes}


def _number(path: Path) -> int | None:
    """The number in a file of the kernel; None where there is no such file, or "max" in it."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _files(statistics: Path, names: Iterable[str]) -> int:
    try:
        lines = statistics.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    counts = dict(line.split(maxsplit=1) for line in lines if " " in line)
    return sum(int(counts[name]) for name in names if counts.get(name, "").strip().isdecimal())
