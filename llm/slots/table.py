"""What the slot scheduler knows of each slot, and the memory that is free for more models. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from llm.memory.cards import Cards, added, spread, total_cards
from llm.slots.events import Ask, Fail, FailReason, LimitCacheRam, Need, SlotEffect, SlotPhase, Stop, StopReason
from llm.slots.eviction import Occupant

__all__ = ["Room", "SlotRecord", "SlotTable"]


@dataclass(slots=True)
class SlotRecord:
    number: int
    phase: SlotPhase = "empty"
    model: str = ""
    need: Need = Need()
    how: object = None
    orders: tuple[int, ...] = ()
    """Those that are told if it comes to nothing."""
    trial: bool = False
    used_bytes: int = 0
    cache_ram_bytes: int = 0
    """Bytes that it may take beside its need, for conversations out of the cache."""
    cards: Cards = ()
    """Of each GPU: as planned, and as measured when that is known."""
    pinned: bool = False
    kept: bool = False
    """Somebody asked for the load itself: it is not abandoned when no request waits for it."""
    drain: StopReason | None = None
    failing: bool = False
    fault: bool = False
    since: float = 0.0
    last_used: float = 0.0
    running: dict[int, tuple[Ask, float]] = field(default_factory=dict)

    @property
    def live(self) -> bool:
        return self.phase in ("loading", "ready", "down")

    @property
    def idle(self) -> bool:
        """Its model may be unloaded now."""
        return self.phase == "ready" and not self.running and not self.pinned

    @property
    def bytes(self) -> int:
        return max(self.need.bytes + self.cache_ram_bytes, self.used_bytes)

    def idle_s(self, now: float) -> float:
        return 0.0 if self.running or self.phase != "ready" else now - self.last_used

    def occupant(self, now: float) -> Occupant:
        return Occupant(self.number, self.bytes, self.idle_s(now), self.need.load_s, self.cards)


@dataclass(slots=True)
class Room:
    """Free now, and coming from slots that are being emptied."""

    bytes: int
    slots: list[SlotRecord]
    coming_bytes: int
    coming_slots: int
    cards: Cards = ()
    coming_cards: Cards = ()

    def claim(self, need: Need, chosen: Iterable[Occupant] = ()) -> None:
        """What was found for one model is not found again for the next. `chosen` are emptied for it."""
        for occupant in chosen:
            self.coming_bytes += occupant.bytes
            self.coming_slots += 1
            self.coming_cards = added(self.coming_cards, occupant.cards)
        if need.gpu_bytes and self.cards:
            taken = spread(need.gpu_bytes, need.shares, added(self.cards, self.coming_cards))
            self.cards = added(self.cards, taken[: len(self.cards)], -1)
        self.bytes -= need.bytes
        if self.bytes < 0:
            self.coming_bytes += self.bytes
            self.bytes = 0
        if self.slots:
            self.slots.pop(0)
        else:
            self.coming_slots -= 1


class SlotTable:
    """All slots. `headroom_bytes` and `cards` may be given to new models now."""

    def __init__(self, count: int) -> None:
        self._slots = {number: SlotRecord(number) for number in range(1, count + 1)}
        self.headroom_bytes = 0
        self.cards: Cards = ()
        self.gave_way: dict[str, float] = {}
        """Models that were unloaded for others, and when."""

    def __iter__(self) -> Iterator[SlotRecord]:
        return iter(self._slots.values())

    def __getitem__(self, number: int) -> SlotRecord:
        return self._slots[number]

    def with_model(self, model: str) -> list[SlotRecord]:
        """Where it is or will be."""
        return [slot for slot in self if slot.live and slot.model == model]

    def room(self) -> Room:
        stopping = [slot for slot in self if slot.phase == "stopping"]
        return Room(
            self.headroom_bytes,
            [slot for slot in self if slot.phase == "empty"],
            sum(slot.bytes for slot in stopping),
            sum(not slot.fault for slot in stopping),
            self.cards,
            total_cards(slot.cards for slot in stopping),
        )

    def put(self, record: SlotRecord) -> None:
        self._slots[record.number] = record

    def stop(self, slot: SlotRecord, why: StopReason, now: float) -> list[SlotEffect]:
        """Who ordered a load that is not finished is told."""
        slot.phase, slot.since, slot.drain = "stopping", now, None
        if why == "evicted":
            self.gave_way[slot.model] = now
        reason: FailReason = "load_failed" if why == "failed" else "unloaded"
        told = [Fail(order, reason) for order in slot.orders]
        slot.orders = ()
        return [*told, Stop(slot.number, why)]

    def evict(self, chosen: Iterable[Occupant], now: float) -> list[SlotEffect]:
        return [effect for occupant in chosen for effect in self.stop(self[occupant.slot], "evicted", now)]

    def reclaim(
        self, missing: int, slots: Iterable[SlotRecord] | None = None, room: Room | None = None
    ) -> list[LimitCacheRam]:
        """So much less cache RAM for the models, as far as it goes; for pinned ones last."""
        effects: list[LimitCacheRam] = []
        for slot in sorted(self if slots is None else slots, key=lambda slot: (slot.pinned, -slot.cache_ram_bytes)):
            less = min(missing, slot.cache_ram_bytes) if slot.live else 0
            if less <= 0:
                continue
            slot.cache_ram_bytes -= less
            missing -= less
            self.headroom_bytes += less
            if room is not None:
                room.bytes += less
            effects.append(LimitCacheRam(slot.number, slot.cache_ram_bytes))
        return effects
