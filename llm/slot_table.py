"""What the slot scheduler knows of each slot, and what is left to give away in one of its passes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from llm.eviction import Occupant
from llm.memory.cards import Cards, added, spread
from llm.slot_events import Ask, Need, SlotPhase, StopReason

__all__ = ["Room", "SlotRecord"]


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
    def bytes(self) -> int:
        return max(self.need.bytes + self.cache_ram_bytes, self.used_bytes)


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
