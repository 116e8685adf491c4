"""Which model is in which slot, and which request may go to it now. Pure.

    empty -> loading -> ready -> stopping -> empty          loading, ready -> down -> ready   (its worker died)
                 |                  ^                       stopping -> blocked -> empty      (its port was taken)
                 +------------------+

Requests for one model are collated: they go to its slot while it is there, and another model's load waits for that
slot to fall idle; after `patience_s` a busy slot is given no more requests (it *drains*) and is then swapped. Nothing
that runs is ever ended for a load. Each request that was asked for gets exactly one of Grant, Refuse and Fail, unless
it is Gone before. Of the orders for one slot the latest counts. The shell (pool.py) answers Start with Up or Failed,
and Stop with Emptied. Time is an argument.

Who waits is in queue.py, what is in each slot in table.py, and placing.py finds slots for models that have none.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import ceil
from typing import assert_never

from llm.slots.cool_down import CoolDown
from llm.slots.events import (
    Ask,
    Down,
    Emptied,
    Fail,
    Failed,
    Gone,
    Grant,
    Load,
    Measured,
    Need,
    Pin,
    Refuse,
    SlotEffect,
    SlotEvent,
    SlotLimits,
    SlotView,
    Unload,
    Up,
)
from llm.slots.eviction import victims
from llm.slots.orders import LoadOrders
from llm.slots.placing import Placing
from llm.slots.queue import RequestQueue
from llm.slots.table import SlotRecord, SlotTable

__all__ = ["SlotScheduler"]

LONGEST_RETRY_AFTER_S = 60
MOST_ORDERS = 16
"""For one and the same load, that are told if it fails."""
FIRST_SERVICE_S = 2.0
"""How long a request is taken to hold its place until some have ended."""


class SlotScheduler:
    def __init__(self, limits: SlotLimits) -> None:
        self.limits = limits
        self._table = SlotTable(limits.slots)
        self._queue = RequestQueue(limits)
        self._orders = LoadOrders(limits.slots)
        self._placing = Placing(limits, self._table, self._queue, self._orders)
        self._cool_down = CoolDown(limits.cool_down_s)
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
                self._queue.count(slot.model) if slot.live else 0,
                slot.idle_s(now),
            )
            for slot in self._table
        )

    def position(self, request_id: int) -> int:
        """Place in the line of its model, 1 is the next; 0: it does not wait."""
        return self._queue.position(request_id)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def slot_of(self, model: str) -> int | None:
        """Where the model is or will be."""
        return next((slot.number for slot in self._table.with_model(model)), None)

    @property
    def open_orders(self) -> frozenset[int]:
        """Orders for which a Fail may still come."""
        waiting = (order.id for order in self._orders)
        return frozenset([*waiting, *(order for slot in self._table for order in slot.orders)]) - {0}

    def ordered(self, model: str) -> object:
        """How an order that waits wants the model, or a slot that is loading it has it; None: neither."""
        waiting = [order.how for order in self._orders if order.model == model]
        loading = [slot.how for slot in self._table.with_model(model)]
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
                effects += self._unload(self._table[number], at_once, now)
            case Pin(number, pinned):
                self._table[number].pinned = pinned
            case Up(number):
                self._up(self._table[number], now)
            case Down(number):
                self._down(self._table[number], now)
            case Failed(number, fault):
                effects += self._failed(self._table[number], fault, now)
            case Emptied(number):
                self._emptied(self._table[number], now)
            case Measured():
                effects += self._measured(event, now)
            case _:
                assert_never(event)
        return effects + self._settle(now)

    def _ask(self, ask: Ask, now: float) -> list[SlotEffect]:
        self._placing.asked(ask)
        slots = self._table.with_model(ask.model)
        failing = all(slot.failing for slot in slots) if slots else self._cool_down.lasts(ask.model, now)
        if failing:
            return [Fail(ask.id, "load_failed")]
        if not self._queue.has_room(ask):
            position = self._queue.count(ask.model) + 1
            return [Refuse(ask.id, position, self._retry_after_s(position, ask.need))]
        self._queue.add(ask, now)
        return []

    def _retry_after_s(self, position: int, need: Need) -> int:
        return min(LONGEST_RETRY_AFTER_S, max(1, ceil(position * self._service_s / max(1, need.places))))

    def _gone(self, request_id: int, now: float) -> list[SlotEffect]:
        ask = self._queue.remove(request_id)
        if ask is not None:
            return self._abandon(ask.model, now)
        for slot in self._table:
            if (held := slot.running.pop(request_id, None)) is not None:
                slot.last_used = now
                self._service_s += 0.1 * (now - held[1] - self._service_s)
        return []

    def _abandon(self, model: str, now: float) -> list[SlotEffect]:
        """A load that nobody waits for any more is broken off."""
        if self._queue.count(model):
            return []
        effects: list[SlotEffect] = []
        for slot in self._table:
            if slot.phase == "loading" and slot.model == model and not (slot.kept or slot.pinned):
                effects += self._table.stop(slot, "abandoned", now)
        return effects

    def _load(self, order: Load) -> list[SlotEffect]:
        """1. Without a slot it is for the one that has the model, if any. 2. It replaces the order that waits for
        the same slot, or for the same model and any slot. 3. What is there already is kept. 4. Else it gives way.
        5. Orders for any slot are at most as many as there are slots.
        """
        if order.slot is None:  # 1
            there = self._table.with_model(order.model)
            if there:
                same = next((s for s in there if s.how == order.how), there[0])
                order = replace(order, slot=same.number)
        effects: list[SlotEffect] = [*self._orders.replace_by(order)]  # 2
        self._cool_down.end(order.model)
        if order.slot is None:
            if self._orders.full:  # 5
                return [*effects, Fail(order.id, "too_many_orders")]
            self._orders.add(order)
            return effects
        slot = self._table[order.slot]
        known = slot.live and slot.model == order.model
        if known and slot.how == order.how and not (order.anew or slot.failing):  # 3
            slot.drain = None
            slot.kept = True
            slot.pinned |= order.pinned
            if slot.phase == "loading":
                slot.orders = (*slot.orders, order.id)[-MOST_ORDERS:]
            return effects
        self._orders.add(replace(order, pinned=order.pinned or (known and slot.pinned)))
        if slot.live:  # 4
            effects += [Fail(number, "replaced") for number in slot.orders]
            slot.orders = ()
            slot.drain = "asked"
        return effects

    def _unload(self, slot: SlotRecord, at_once: bool, now: float) -> list[SlotEffect]:
        if not slot.live:
            return []
        slot.pinned = slot.kept = False
        if at_once or slot.phase != "ready":
            return self._table.stop(slot, "asked", now)
        slot.drain = "asked"
        return []

    def _up(self, slot: SlotRecord, now: float) -> None:
        if slot.phase in ("loading", "down"):
            slot.phase, slot.since, slot.last_used, slot.failing = "ready", now, now, False
            slot.orders, slot.trial = (), False
            self._cool_down.end(slot.model)

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
        others = [other for other in self._table if other is not slot and other.phase == "empty"]
        if fault and others:  # 1
            if slot.pinned or slot.kept:
                first, slot.orders = slot.orders[:1], ()
                again = Load(sum(first), slot.model, slot.need, None, slot.pinned, slot.how, trial=slot.trial)
                self._orders.add(again)
            return self._table.stop(slot, "failed", now)
        if slot.trial:  # 2
            return self._table.stop(slot, "failed", now)
        effects: list[SlotEffect] = [Fail(request, "load_failed") for request in self._queue.remove_all(slot.model)]
        if slot.pinned:  # 3
            slot.phase, slot.failing = "down", True
            return effects
        self._cool_down.begin(slot.model, now)
        return [*effects, *self._table.stop(slot, "failed", now)]  # 4

    def _emptied(self, slot: SlotRecord, now: float) -> None:
        self._table.put(SlotRecord(slot.number, "blocked" if slot.fault else "empty", since=now))

    def _measured(self, measured: Measured, now: float) -> list[SlotEffect]:
        """Idle models go after their time; when memory is short, the least needed of the idle ones goes. Not when a
        GPU's is: a model that is loaded has all it will ever take of it.
        """
        table, used = self._table, measured.used
        table.headroom_bytes, table.cards = measured.headroom_bytes, measured.cards
        effects: list[SlotEffect] = []
        for slot in table:
            slot.used_bytes = used.get(slot.number, slot.used_bytes if slot.live else 0)
            slot.cards = measured.used_cards.get(slot.number, slot.cards)
            if slot.phase == "blocked" and now - slot.since >= self.limits.blocked_s:
                slot.phase = "empty"
            elif slot.idle and 0 < self.limits.idle_unload_s <= now - slot.last_used:
                effects += table.stop(slot, "idle", now)
        short = -(table.headroom_bytes + sum(slot.bytes for slot in table if slot.phase == "stopping"))
        if short > 0:
            effects += table.reclaim(short)
            short -= table.headroom_bytes - measured.headroom_bytes
        if short > 0:
            idle = [slot.occupant(now) for slot in table if slot.idle]
            chosen = victims(idle, min(short, sum(occupant.bytes for occupant in idle)), 0) or ()
            effects += table.evict(chosen, now)
        return effects

    # ---- what follows from it --------------------------------------------------------------------------------

    def _settle(self, now: float) -> list[SlotEffect]:
        effects = self._grants(now)
        for slot in self._table:
            if slot.drain is not None and slot.live and not slot.running:
                effects += self._table.stop(slot, slot.drain, now)
        return effects + self._placing.step(now)

    def _grants(self, now: float) -> list[SlotEffect]:
        effects: list[SlotEffect] = []
        users = Counter(ask.user for slot in self._table for ask, _ in slot.running.values())
        for slot in sorted(self._table, key=lambda slot: len(slot.running)):
            if slot.phase != "ready" or slot.drain is not None:
                continue
            running = Counter(ask.priority for ask, _ in slot.running.values())
            while (ask := self._queue.take(slot.model, running, users, slot.need, now)) is not None:
                slot.running[ask.id] = (ask, now)
                slot.last_used = now
                running[ask.priority] += 1
                users[ask.user] += 1
                effects.append(Grant(ask.id, slot.number))
        return effects
