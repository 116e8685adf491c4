"""The memory of the GPUs: how a model is divided over them, and what each slot has taken of it. Pure.

Bytes throughout. `cards` has a number for each GPU, in the driver's order; () where none is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import zip_longest

__all__ = ["CardUse", "Cards", "Division", "added", "card_shortage", "spread", "total_cards"]

Cards = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Division:
    """Of what a model takes: `host` in the machine's memory, `gpu` on the cards together. `shares`: how much of `gpu`
    goes to each card; () for an engine that divides it by what is free on each.
    """

    host: int
    gpu: int = 0
    shares: tuple[float, ...] = ()


def added(one: Cards, other: Cards, sign: int = 1) -> Cards:
    return tuple(a + sign * b for a, b in zip_longest(one, other, fillvalue=0))


def total_cards(held: Iterable[Cards]) -> Cards:
    return reduce(added, held, ())


def spread(gpu: int, shares: Sequence[float], free: Cards) -> Cards:
    """What each card gets. By shares; else in proportion to what is free; else, with nothing free, on the first."""
    if not free and not shares:
        return ()
    if any(shares):
        whole = sum(shares)
        parts = [int(gpu * share / whole) for share in shares]
        return tuple(parts + [0] * (len(free) - len(parts)))
    room = [max(0, bytes_) for bytes_ in free]
    if not sum(room):
        return (gpu, *(0 for _ in free[1:]))
    parts = [gpu * one // sum(room) for one in room]
    parts[room.index(max(room))] += gpu - sum(parts)
    return tuple(parts)


def card_shortage(gpu: int, shares: Sequence[float], free: Cards) -> int:
    """How much is missing, over all cards; 0: it fits. Where no card is seen nothing is said to be missing."""
    if not gpu or not free:
        return 0
    if not any(shares):
        return max(0, gpu - sum(max(0, bytes_) for bytes_ in free))
    wanted = spread(gpu, shares, free)
    return sum(max(0, want - max(0, have)) for want, have in zip_longest(wanted, free, fillvalue=0))


@dataclass(slots=True)
class _Load:
    planned: Cards
    before: Cards
    alone: bool
    used: Cards | None = None
    measured: bool = False


class CardUse:
    """What each slot holds of the cards. By its processes where the driver tells; else by how much less was free
    after its load than before, if nothing else was loaded or unloaded meanwhile; else what was planned.
    """

    def __init__(self) -> None:
        self._loads: dict[int, _Load] = {}
        self._free: Cards = ()
        self._told: dict[int, Cards] = {}

    def started(self, slot: int, planned: Cards) -> None:
        """Its load begins now."""
        if not any(planned):
            self._loads[slot] = _Load(planned, self._free, False, planned)
            return
        alone = self._disturb()
        self._loads[slot] = _Load(planned, self._free, alone)

    def stopped(self, slot: int) -> None:
        gone = self._loads.pop(slot, None)
        if gone is not None and any(gone.used or gone.planned):
            self._disturb()

    def measured(self, free: Cards, told: dict[int, Cards], ready: frozenset[int]) -> None:
        """`told`: what the driver says of the processes of a slot, where it does. `ready`: slots that are loaded."""
        self._free = free
        for slot, load in self._loads.items():
            if any(known := told.get(slot, ())):
                load.measured = True
                if slot in ready:
                    load.used = known
            elif slot in ready and load.used is None:
                load.measured = load.alone and len(load.before) == len(free)
                load.used = self._drop(load) if load.measured else load.planned
        self._told = told

    def used(self, slot: int) -> Cards | None:
        """None: it is not loaded yet."""
        load = self._loads.get(slot)
        return load.used if load is not None else None

    def known(self, slot: int) -> int | None:
        """Bytes on all cards that were measured, not only planned."""
        load = self._loads.get(slot)
        return sum(load.used) if load is not None and load.measured and load.used is not None else None

    @property
    def headroom(self) -> Cards:
        """Free on each card, less what loads that have begun are still going to take."""
        left = self._free
        for slot, load in self._loads.items():
            if load.used is None:
                seen = self._told.get(slot, ()) or (self._drop(load) if load.alone else ())
                coming = tuple(max(0, plan - now) for plan, now in zip_longest(load.planned, seen, fillvalue=0))
                left = added(left, coming[: len(left)], -1)
        return left

    def _disturb(self) -> bool:
        """What is free changes for another reason than the loads that go on. Whether there are none."""
        going = [load for load in self._loads.values() if load.used is None]
        for load in going:
            load.alone = False
        return not going

    def _drop(self, load: _Load) -> Cards:
        return tuple(max(0, before - now) for before, now in zip(load.before, self._free, strict=False))
