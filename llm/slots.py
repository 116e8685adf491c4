"""Which model is in which slot, and which request may go to it now. Pure.

    empty -> loading -> ready -> stopping -> empty          loading, ready -> down -> ready   (its worker died)
                 |                  ^                       stopping -> blocked -> empty      (its port was taken)
                 +------------------+

Requests for one model are collated: they go to its slot while it is there, and another model's load waits for that
slot to fall idle; after `patience_s` a busy slot is given no more requests (it *drains*) and is then swapped. Nothing
that runs is ever ended for a load. Each request that was asked for gets exactly one of Grant, Refuse and Fail, unless
it is Gone before. Of the orders for one slot the latest counts. The shell (pool.py) answers Start with Up or Failed,
and Stop with Emptied. Time is an argument.

Why this file is long: it is one state machine, and each of its events may change what every slot does next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from math import ceil
from typing import assert_never

from llm.eviction import Occupant, victims
from llm.memory.cards import Cards, added, card_shortage, spread, total_cards
from llm.messages import Priority
from llm.slot_events import (
    Ask,
    Down,
    Emptied,
    Fail,
    Failed,
    FailReason,
    Gone,
    Grant,
    LimitCacheRam,
    Load,
    Measured,
    Need,
    Pin,
    Refuse,
    SlotEffect,
    SlotEvent,
    SlotLimits,
    SlotView,
    Start,
    Stop,
    StopReason,
    Unload,
    Up,
)
from llm.slot_queue import Line, Waiting
from llm.slot_table import Room, SlotRecord

__all__ = ["SlotScheduler"]

LONGEST_COOL_DOWN_S = 60.0
LONGEST_RETRY_AFTER_S = 60
MOST_ORDERS = 16
"""For one and the same load, that are told if it fails."""
FIRST_SERVICE_S = 2.0
"""How long a request is taken to hold its place until some have ended."""


class SlotScheduler:
    def __init__(self, limits: SlotLimits) -> None:
        self.limits = limits
        self._slots = {number: SlotRecord(number) for number in range(1, limits.slots + 1)}
        self._line = Line(limits)
        self._asked: dict[str, Ask] = {}  # the last one of each model: how it is loaded where nobody ordered it
        self._orders: list[Load] = []
        self._headroom = 0
        self._cards: Cards = ()
        self._cooling: dict[str, tuple[float, float]] = {}  # model -> (until, how long it was)
        self._gave_way: dict[str, float] = {}  # models that were unloaded for others, and when
        self._service_s = FIRST_SERVICE_S

    # ---- questions -------------------------------------------------------------------------------------------

    def views(self, now: float) -> tuple[SlotView, ...]:
        return tuple(
            SlotView(
                slot.number,
                slot.phase,
                slot.model,
                slot.pinned,
                slot.drain is not None,
                len(slot.running),
                self._line.count(slot.model) if slot.live else 0,
                slot.bytes if slot.phase not in ("empty", "blocked") else 0,
                0.0 if slot.running or slot.phase != "ready" else now - slot.last_used,
            )
            for slot in self._slots.values()
        )

    def position(self, request_id: int) -> int:
        """Place in the line of its model, 1 is the next; 0: it does not wait."""
        return self._line.position(request_id)

    @property
    def waiting(self) -> int:
        return len(self._line)

    def slot_of(self, model: str) -> int | None:
        """Where the model is or will be."""
        return next((slot.number for slot in self._slots.values() if slot.live and slot.model == model), None)

    @property
    def open_orders(self) -> frozenset[int]:
        """Orders for which a Fail may still come."""
        waiting = (order.id for order in self._orders)
        return frozenset([*waiting, *(order for slot in self._slots.values() for order in slot.orders)]) - {0}

    def ordered(self, model: str) -> object:
        """How an order that waits wants the model, or a slot that is loading it has it; None: neither."""
        waiting = [order.how for order in self._orders if order.model == model]
        loading = [slot.how for slot in self._slots.values() if slot.live and slot.model == model]
        return next(iter([*waiting, *loading]), None)

    # ---- events ----------------------------------------------------------------------------------------------

    def step(self, event: SlotEvent, now: float) -> list[SlotEffect]:
        effects: list[SlotEffect] = []
        match event:
            case Ask():
                effects += self._ask(event, now)
            case Gone(request_id):
                effects += self._gone(request_id, now)
            case Load():
                effects += self._load(event)
            case Unload(number, at_once):
                effects += self._unload(self._slots[number], at_once, now)
            case Pin(number, pinned):
                self._slots[number].pinned = pinned
            case Up(number):
                self._up(self._slots[number], now)
            case Down(number):
                self._down(self._slots[number], now)
            case Failed(number, fault):
                effects += self._failed(self._slots[number], fault, now)
            case Emptied(number):
                self._emptied(self._slots[number], now)
            case Measured():
                effects += self._measured(event, now)
            case _:
                assert_never(event)
        return effects + self._settle(now)

    def _ask(self, ask: Ask, now: float) -> list[SlotEffect]:
        self._asked[ask.model] = ask
        slots = [slot for slot in self._slots.values() if slot.live and slot.model == ask.model]
        until, _ = self._cooling.get(ask.model, (0.0, 0.0))
        if (slots and all(slot.failing for slot in slots)) or (not slots and until > now):
            return [Fail(ask.id, "load_failed")]
        if not self._line.has_room(ask):
            position = self._line.count(ask.model) + 1
            return [Refuse(ask.id, position, self._retry_after_s(position, ask.need))]
        self._line.add(ask, now)
        return []

    def _retry_after_s(self, position: int, need: Need) -> int:
        return min(LONGEST_RETRY_AFTER_S, max(1, ceil(position * self._service_s / max(1, need.places))))

    def _gone(self, request_id: int, now: float) -> list[SlotEffect]:
        ask = self._line.remove(request_id)
        if ask is not None:
            return self._abandon(ask.model, now)
        for slot in self._slots.values():
            if (held := slot.running.pop(request_id, None)) is not None:
                slot.last_used = now
                self._service_s += 0.1 * (now - held[1] - self._service_s)
        return []

    def _abandon(self, model: str, now: float) -> list[SlotEffect]:
        """A load that nobody waits for any more is broken off."""
        if self._line.count(model):
            return []
        effects: list[SlotEffect] = []
        for slot in self._slots.values():
            if slot.phase == "loading" and slot.model == model and not (slot.kept or slot.pinned):
                effects += self._stop(slot, "abandoned", now)
        return effects

    def _load(self, order: Load) -> list[SlotEffect]:
        """1. Without a slot it is for the one that has the model, if any. 2. It replaces the order that waits for
        the same slot, or for the same model and any slot. 3. What is there already is kept. 4. Else it gives way.
        5. Orders for any slot are at most as many as there are slots.
        """
        if order.slot is None:  # 1
            there = [s for s in self._slots.values() if s.live and s.model == order.model]
            if there:
                same = next((s for s in there if s.how == order.how), there[0])
                order = replace(order, slot=same.number)
        effects: list[SlotEffect] = list(self._replace_orders(order))  # 2
        self._cooling.pop(order.model, None)
        if order.slot is None:
            if sum(other.slot is None for other in self._orders) >= self.limits.slots:  # 5
                return [*effects, Fail(order.id, "too_many_orders")]
            self._orders.append(order)
            return effects
        slot = self._slots[order.slot]
        known = slot.live and slot.model == order.model
        if known and slot.how == order.how and not (order.anew or slot.failing):  # 3
            slot.drain = None
            slot.kept = True
            slot.pinned |= order.pinned
            if slot.phase == "loading":
                slot.orders = (*slot.orders, order.id)[-MOST_ORDERS:]
            return effects
        self._orders.append(replace(order, pinned=order.pinned or (known and slot.pinned)))
        if slot.live:  # 4
            effects += [Fail(number, "replaced") for number in slot.orders]
            slot.orders = ()
            slot.drain = "asked"
        return effects

    def _replace_orders(self, order: Load) -> list[Fail]:
        old = [
            other
            for other in self._orders
            if other.slot == order.slot and (order.slot is not None or other.model == order.model)
        ]
        for other in old:
            self._orders.remove(other)
        return [Fail(other.id, "replaced") for other in old if other.id]

    def _unload(self, slot: SlotRecord, at_once: bool, now: float) -> list[SlotEffect]:
        if not slot.live:
            return []
        slot.pinned = slot.kept = False
        if at_once or slot.phase != "ready":
            return self._stop(slot, "asked", now)
        slot.drain = "asked"
        return []

    def _up(self, slot: SlotRecord, now: float) -> None:
        if slot.phase in ("loading", "down"):
            slot.phase, slot.since, slot.last_used, slot.failing = "ready", now, now, False
            slot.orders, slot.trial = (), False
            self._cooling.pop(slot.model, None)

    def _down(self, slot: SlotRecord, now: float) -> None:
        if slot.phase == "ready":
            slot.phase, slot.since = "down", now

    def _failed(self, slot: SlotRecord, fault: bool, now: float) -> list[SlotEffect]:
        """1. Another slot can have the model: it moves. 2. A trial goes, and who waits for the model has it loaded as
        before. 3. A pinned one stays and is tried on, but nobody waits for it. 4. Others are given up, and the model
        is left alone for a while.
        """
        if not slot.live or slot.failing:
            return []
        slot.fault = fault
        others = [s for s in self._slots.values() if s is not slot and s.phase == "empty"]
        if fault and others:  # 1
            if slot.pinned or slot.kept:
                first, slot.orders = slot.orders[:1], ()
                again = Load(sum(first), slot.model, slot.need, None, slot.pinned, slot.how, trial=slot.trial)
                self._orders.append(again)
            return self._stop(slot, "failed", now)
        if slot.trial:  # 2
            return self._stop(slot, "failed", now)
        effects = self._fail_all(slot.model, "load_failed")
        if slot.pinned:  # 3
            slot.phase, slot.failing = "down", True
            return effects
        _, last = self._cooling.get(slot.model, (0.0, self.limits.cool_down_s / 2))
        pause = min(LONGEST_COOL_DOWN_S, 2 * last)
        self._cooling[slot.model] = (now + pause, pause)
        return [*effects, *self._stop(slot, "failed", now)]  # 4

    def _emptied(self, slot: SlotRecord, now: float) -> None:
        fault = slot.fault
        self._slots[slot.number] = SlotRecord(slot.number, "blocked" if fault else "empty", since=now)

    def _measured(self, measured: Measured, now: float) -> list[SlotEffect]:
        """Idle models go after their time; when memory is short, the least needed of the idle ones goes. Not when a
        GPU's is: a model that is loaded has all it will ever take of it.
        """
        headroom, used = measured.headroom_bytes, measured.used
        self._headroom, self._cards = headroom, measured.cards
        effects: list[SlotEffect] = []
        for slot in self._slots.values():
            slot.used_bytes = used.get(slot.number, slot.used_bytes if slot.live else 0)
            slot.cards = measured.used_cards.get(slot.number, slot.cards)
            if slot.phase == "blocked" and now - slot.since >= self.limits.blocked_s:
                slot.phase = "empty"
            elif self._is_idle(slot) and 0 < self.limits.idle_unload_s <= now - slot.last_used:
                effects += self._stop(slot, "idle", now)
        short = -(headroom + sum(slot.bytes for slot in self._slots.values() if slot.phase == "stopping"))
        if short > 0:
            reclaimed = self._reclaim(short, self._slots.values())
            effects += reclaimed
            short += headroom - self._headroom
        if short > 0:
            idle = [self._occupant(slot, now) for slot in self._slots.values() if self._is_idle(slot)]
            chosen = victims(idle, min(short, sum(occupant.bytes for occupant in idle)), 0) or ()
            effects += self._evict(chosen, now)
        return effects

    # ---- what follows from it --------------------------------------------------------------------------------

    def _settle(self, now: float) -> list[SlotEffect]:
        effects = self._grants(now)
        for slot in self._slots.values():
            if slot.drain is not None and slot.live and not slot.running:
                effects += self._stop(slot, slot.drain, now)
        return effects + self._placements(now)

    def _grants(self, now: float) -> list[SlotEffect]:
        effects: list[SlotEffect] = []
        users = Counter(ask.user for slot in self._slots.values() for ask, _ in slot.running.values())
        for slot in sorted(self._slots.values(), key=lambda slot: len(slot.running)):
            if slot.phase != "ready" or slot.drain is not None:
                continue
            running = Counter(ask.priority for ask, _ in slot.running.values())
            while (ask := self._line.take(slot.model, running, users, slot.need, now)) is not None:
                slot.running[ask.id] = (ask, now)
                slot.last_used = now
                running[ask.priority] += 1
                users[ask.user] += 1
                effects.append(Grant(ask.id, slot.number))
        return effects

    def _placements(self, now: float) -> list[SlotEffect]:
        """Find a slot for what is wanted and not there: orders first, then the models that are waited for."""
        for slot in self._slots.values():
            if slot.drain == "evicted":  # marked anew below if it is still for something
                slot.drain = None
        stopping = [slot for slot in self._slots.values() if slot.phase == "stopping"]
        room = Room(
            self._headroom,
            [slot for slot in self._slots.values() if slot.phase == "empty"],
            sum(slot.bytes for slot in stopping),
            sum(not slot.fault for slot in stopping),
            self._cards,
            total_cards(slot.cards for slot in stopping),
        )
        effects: list[SlotEffect] = []
        for order in self._orders[:]:
            effects += self._place_order(order, room, now)
        ordered = {order.model for order in self._orders}
        for first in self._in_turn(now):
            model = first.ask.model
            if model in ordered or any(s.live and s.model == model and s.drain is None for s in self._slots.values()):
                continue
            urgent = first.ask.priority is Priority.VOICE or now - first.since >= self.limits.patience_s
            asked = self._asked[model]
            wish = Load(0, model, asked.need, None, asked.pinned, asked.how)
            effects += self._place(wish, room, urgent, now)
        return effects

    def _in_turn(self, now: float) -> list[Waiting]:
        """The first of every model that is waited for. Who waited already when a model was unloaded comes before its
        own requests, older ones too: else it would be loaded again at once, and have been unloaded for nothing.
        """
        line = self._line.models(now)
        waited_for = {first.ask.model for first in line}
        self._gave_way = {model: at for model, at in self._gave_way.items() if model in waited_for}
        there = {slot.model for slot in self._slots.values() if slot.live and slot.drain is None}
        others = [first.since for first in line if first.ask.model not in there | self._gave_way.keys()]

        def yields(first: Waiting) -> bool:
            at = self._gave_way.get(first.ask.model)
            return at is not None and first.ask.priority is not Priority.VOICE and min(others, default=now) < at

        return sorted(line, key=yields)

    def _place_order(self, order: Load, room: Room, now: float) -> list[SlotEffect]:
        """An order for a certain slot waits until that is empty, and then for memory like everybody."""
        spare: list[SlotRecord] = []
        if order.slot is not None:
            slot = self._slots[order.slot]
            if slot.phase != "empty":
                if slot.phase == "ready" and slot.drain is None:
                    slot.drain = "asked"
                return []
            spare = [other for other in room.slots if other is not slot]
            room.slots = [slot]
        effects = self._place(order, room, True, now, ordered=True)
        room.slots += spare
        return effects

    def _place(self, wish: Load, room: Room, urgent: bool, now: float, ordered: bool = False) -> list[SlotEffect]:
        """1. It fits, maybe when others give up cache RAM: start. 2. It will when what stops has stopped: wait.
        3. Idle ones give way. 4. It could never fit: fail. 5. Wait for busy ones; when it is
        urgent, they get no more work. `ordered`: by an order of ours.
        """
        need = wish.need

        def on_cards(more: Cards) -> bool:
            return not card_shortage(need.gpu_bytes, need.shares, added(coming, more))

        coming = room.cards
        cache_ram_bytes = sum(slot.cache_ram_bytes for slot in self._slots.values() if slot.live)
        if room.slots and need.bytes <= room.bytes + cache_ram_bytes and on_cards(()):  # 1
            reclaimed = self._reclaim(need.bytes - room.bytes, self._slots.values(), room)
            slot = room.slots.pop(0)
            cache_ram_bytes = min(need.cache_ram_bytes, room.bytes - need.bytes)
            room.bytes -= need.bytes + cache_ram_bytes
            self._headroom -= need.bytes + cache_ram_bytes
            cards = spread(need.gpu_bytes, need.shares, room.cards) if need.gpu_bytes and room.cards else ()
            room.cards, self._cards = added(room.cards, cards, -1), added(self._cards, cards, -1)
            self._gave_way.pop(wish.model, None)
            self._slots[slot.number] = SlotRecord(
                slot.number,
                "loading",
                wish.model,
                need,
                cache_ram_bytes=cache_ram_bytes,
                cards=cards,
                how=wish.how,
                orders=(wish.id,) if wish.id else (),
                trial=wish.trial,
                pinned=wish.pinned,
                kept=ordered,
                since=now,
                last_used=now,
            )
            if ordered:
                self._orders.remove(wish)
            return [*reclaimed, Start(slot.number, wish.model, wish.how, cards, cache_ram_bytes)]
        coming = added(room.cards, room.coming_cards)
        missing_bytes = max(0, need.bytes - room.bytes - room.coming_bytes)
        missing_slots = max(0, 1 - len(room.slots) - room.coming_slots)
        if missing_bytes == 0 and missing_slots == 0 and on_cards(()):  # 2
            room.claim(need)
            return []
        idle = [self._occupant(slot, now) for slot in self._slots.values() if self._is_idle(slot)]
        chosen = victims(idle, missing_bytes, missing_slots, on_cards)
        if chosen is not None:  # 3
            room.claim(need, chosen)
            return self._evict(chosen, now)
        movable = [self._occupant(slot, now) for slot in self._slots.values() if slot.live and not slot.pinned]
        chosen = victims(movable, missing_bytes, missing_slots, on_cards)
        if chosen is None:  # 4
            pinned = [slot for slot in self._slots.values() if slot.live and slot.pinned and slot.cache_ram_bytes]
            given_up = sum(slot.cache_ram_bytes for slot in pinned)
            if given_up and victims(movable, missing_bytes - given_up, missing_slots, on_cards) is not None:
                reclaimed = self._reclaim(missing_bytes, pinned, room)
                return [*reclaimed, *self._place(wish, room, urgent, now, ordered)]
            return self._give_up(wish, ordered)
        if urgent:  # 5
            for occupant in chosen:
                slot = self._slots[occupant.slot]
                if slot.phase == "ready" and slot.drain is None:
                    slot.drain = "evicted"
            room.claim(need, chosen)
        return []

    def _reclaim(self, missing: int, slots: Iterable[SlotRecord], room: Room | None = None) -> list[LimitCacheRam]:
        """So much less cache RAM for the models, as far as it goes; for pinned ones last."""
        effects: list[LimitCacheRam] = []
        for slot in sorted(slots, key=lambda slot: (slot.pinned, -slot.cache_ram_bytes)):
            less = min(missing, slot.cache_ram_bytes) if slot.live else 0
            if less <= 0:
                continue
            slot.cache_ram_bytes -= less
            missing -= less
            self._headroom += less
            if room is not None:
                room.bytes += less
            effects.append(LimitCacheRam(slot.number, slot.cache_ram_bytes))
        return effects

    def _give_up(self, wish: Load, ordered: bool) -> list[SlotEffect]:
        """If it could not even be had when all that may go had gone. What others were promised counts as there:
        its turn comes after theirs. A port that is taken may be free again soon.
        """
        free = [s for s in self._slots.values() if not (s.live and s.pinned)]
        gone = sum(slot.bytes for slot in free if slot.live or slot.phase == "stopping")
        missing = max(0, wish.need.bytes - self._headroom - gone)
        cards = added(self._cards, total_cards(slot.cards for slot in free))
        on_gpu = card_shortage(wish.need.gpu_bytes, wish.need.shares, cards)
        if free and not missing and not on_gpu:
            return []
        why: FailReason = "does_not_fit" if free else "no_slot"
        if not ordered:
            return self._fail_all(wish.model, why, missing, on_gpu)
        self._orders.remove(wish)
        return [Fail(wish.id, why, missing, on_gpu)] if wish.id else []

    def _is_idle(self, slot: SlotRecord) -> bool:
        return slot.phase == "ready" and not slot.running and not slot.pinned

    def _occupant(self, slot: SlotRecord, now: float) -> Occupant:
        idle_s = 0.0 if slot.running or slot.phase != "ready" else now - slot.last_used
        return Occupant(slot.number, slot.bytes, idle_s, slot.need.load_s, slot.cards)

    def _evict(self, chosen: Iterable[Occupant], now: float) -> list[SlotEffect]:
        return [effect for occupant in chosen for effect in self._stop(self._slots[occupant.slot], "evicted", now)]

    def _stop(self, slot: SlotRecord, why: StopReason, now: float) -> list[SlotEffect]:
        """Who ordered a load that is not finished is told."""
        slot.phase, slot.since, slot.drain = "stopping", now, None
        if why == "evicted":
            self._gave_way[slot.model] = now
        reason: FailReason = "load_failed" if why == "failed" else "unloaded"
        told = [Fail(order, reason) for order in slot.orders]
        slot.orders = ()
        return [*told, Stop(slot.number, why)]

    def _fail_all(self, model: str, why: FailReason, missing: int = 0, on_gpu: int = 0) -> list[SlotEffect]:
        gone = [waiting.ask.id for waiting in self._line.of(model)]
        for request_id in gone:
            self._line.remove(request_id)
        return [Fail(request_id, why, missing, on_gpu) for request_id in gone]
