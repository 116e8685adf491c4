"""Measures the memory that slots live from. Blocking: called in a thread."""

from __future__ import annotations

from collections.abc import Mapping

from llm.memory.machine import Gpu, HostMemory, Usage, gpus, host_memory, usage_of

__all__ = ["SlotMemory"]

LEAST_FLOOR_BYTES = 256 << 20
OURS_BYTES = 64 << 20
"""A worker that holds so much of a GPU computes there; less is the driver's own share."""


class SlotMemory:
    def __init__(self, floor_bytes: int = 0) -> None:
        self.host = HostMemory(0, 0)
        self.gpus: tuple[Gpu, ...] = ()
        self._floor_bytes = floor_bytes
        self._on_gpu = False
        self._has_gpus = True

    def measure(self, pids: Mapping[int, int | None]) -> dict[int, Usage]:
        """What each slot's process takes; those that are gone are left out."""
        self.host = host_memory()
        if self._has_gpus:
            self.gpus = gpus()
            self._has_gpus = bool(self.gpus)
        ours = {pid for pid in pids.values() if pid is not None}
        self._on_gpu |= any(gpu.by_pid.get(pid, 0) > OURS_BYTES for gpu in self.gpus for pid in ours)
        found = {number: usage_of(pid) for number, pid in pids.items() if pid is not None}
        return {number: usage for number, usage in found.items() if usage is not None}

    @property
    def headroom(self) -> int:
        """Bytes that models may still take: the host's, or the GPUs' once a worker was seen to compute there, if
        they have less.
        """
        floor = self._floor_bytes or max(LEAST_FLOOR_BYTES, self.host.total // 20)
        free = self.host.available - floor
        return min(free, sum(gpu.free for gpu in self.gpus)) if self._on_gpu else free
