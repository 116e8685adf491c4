"""Measures the memory that slots live from: the machine's, and each GPU's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from llm.memory.cards import Cards, CardUse
from llm.memory.machine import Gpu, HostMemory, Usage, gpus, host_memory, tree_of, usage_of

__all__ = ["SlotMemory"]

LEAST_FLOOR_BYTES = 256 << 20


class SlotMemory:
    """`measure` blocks and is called in a thread; everything else is called from the event loop."""

    def __init__(self, floor_bytes: int = 0) -> None:
        self.host = HostMemory(0, 0)
        self.gpus: tuple[Gpu, ...] = ()
        self.on_cards = CardUse()
        self._floor_bytes = floor_bytes
        self._has_gpus = True

    def measure(self, pids: Mapping[int, int | None]) -> dict[int, Usage]:
        """What each slot's processes take; those that are gone are left out."""
        self.host = host_memory()
        if self._has_gpus:
            there = gpus()
            if there or not self.gpus:  # cards that were there are: what the driver refuses now it answers later
                self.gpus, self._has_gpus = there, bool(there)
        found: dict[int, Usage] = {}
        for number, pid in pids.items():
            if pid is not None and (usage := usage_of(pid)) is not None:
                tree = tree_of(pid) if self.gpus else ()
                cards = tuple(sum(gpu.by_pid.get(one, 0) for one in tree) for gpu in self.gpus)
                found[number] = replace(usage, cards=cards)
        return found

    def account(self, used: Mapping[int, Usage], ready: frozenset[int]) -> None:
        """After `measure`: what of the cards is whose. `ready`: slots whose model was loaded before that."""
        free = tuple(gpu.free for gpu in self.gpus)
        told = {number: usage.cards for number, usage in used.items() if any(usage.cards)}
        self.on_cards.measured(free, told, ready)

    @property
    def sizes(self) -> Cards:
        """Of the cards."""
        return tuple(gpu.total for gpu in self.gpus)

    @property
    def headroom(self) -> int:
        """Bytes of the machine's memory that models may still take."""
        floor = self._floor_bytes or max(LEAST_FLOOR_BYTES, self.host.total // 20)
        return self.host.available - floor

    @property
    def card_headroom(self) -> Cards:
        """Bytes of each GPU that models may still take. The driver counts what loaded ones have taken."""
        return self.on_cards.headroom
