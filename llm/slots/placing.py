"""Finds a slot for what is wanted and not there: orders first, then the models that requests wait for. Pure."""

from __future__ import annotations

from llm.memory.cards import Cards, added, card_shortage, spread, total_cards
from llm.messages import Priority
from llm.slots.events import Ask, Fail, FailReason, Load, SlotEffect, SlotLimits, Start
from llm.slots.eviction import victims
from llm.slots.orders import LoadOrders
from llm.slots.queue import RequestQueue, Waiting
from llm.slots.table import Room, SlotRecord, SlotTable

__all__ = ["Placing"]


class Placing:
    def __init__(self, limits: SlotLimits, table: SlotTable, queue: RequestQueue, orders: LoadOrders) -> None:
        self._limits, self._table, self._queue, self._orders = limits, table, queue, orders
        self._asked: dict[str, Ask] = {}
        """The last request for each model: how it is loaded where nobody ordered it."""

    def asked(self, ask: Ask) -> None:
        self._asked[ask.model] = ask

    def step(self, now: float) -> list[SlotEffect]:
        for slot in self._table:
            if slot.drain == "evicted":  # marked anew below if it is still for something
                slot.drain = None
        room = self._table.room()
        effects: list[SlotEffect] = []
        for order in tuple(self._orders):
            effects += self._place_order(order, room, now)
        ordered = {order.model for order in self._orders}
        for first in self._in_turn(now):
            model = first.ask.model
            if model in ordered or any(slot.drain is None for slot in self._table.with_model(model)):
                continue
            urgent = first.ask.priority is Priority.VOICE or now - first.since >= self._limits.patience_s
            asked = self._asked[model]
            wish = Load(0, model, asked.need, None, asked.pinned, asked.how)
            effects += self._place(wish, room, urgent, now)
        return effects

    def _in_turn(self, now: float) -> list[Waiting]:
        """The first of every model that is waited for. Who waited already when a model was unloaded comes before its
        own requests, older ones too: else it would be loaded again at once, and have been unloaded for nothing.
        """
        firsts, table = self._queue.models(now), self._table
        waited_for = {first.ask.model for first in firsts}
        table.gave_way = {model: at for model, at in table.gave_way.items() if model in waited_for}
        there = {slot.model for slot in table if slot.live and slot.drain is None}
        others = [first.since for first in firsts if first.ask.model not in there | table.gave_way.keys()]

        def yields(first: Waiting) -> bool:
            at = table.gave_way.get(first.ask.model)
            return at is not None and first.ask.priority is not Priority.VOICE and min(others, default=now) < at

        return sorted(firsts, key=yields)

    def _place_order(self, order: Load, room: Room, now: float) -> list[SlotEffect]:
        """An order for a certain slot waits until that is empty, and then for memory like everybody."""
        spare: list[SlotRecord] = []
        if order.slot is not None:
            slot = self._table[order.slot]
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
        3. Idle ones give way. 4. It could never fit: fail. 5. Wait for busy ones; when it is urgent, they get no more
        work. `ordered`: by an order of ours.
        """
        need, table = wish.need, self._table

        def on_cards(more: Cards) -> bool:
            return not card_shortage(need.gpu_bytes, need.shares, added(coming, more))

        coming = room.cards
        cache_ram_bytes = sum(slot.cache_ram_bytes for slot in table if slot.live)
        if room.slots and need.bytes <= room.bytes + cache_ram_bytes and on_cards(()):  # 1
            reclaimed = table.reclaim(need.bytes - room.bytes, room=room)
            return [*reclaimed, self._start(wish, room, now, ordered)]
        coming = added(room.cards, room.coming_cards)
        missing_bytes = max(0, need.bytes - room.bytes - room.coming_bytes)
        missing_slots = max(0, 1 - len(room.slots) - room.coming_slots)
        if missing_bytes == 0 and missing_slots == 0 and on_cards(()):  # 2
            room.claim(need)
            return []
        idle = [slot.occupant(now) for slot in table if slot.idle]
        chosen = victims(idle, missing_bytes, missing_slots, on_cards)
        if chosen is not None:  # 3
            room.claim(need, chosen)
            return table.evict(chosen, now)
        movable = [slot.occupant(now) for slot in table if slot.live and not slot.pinned]
        chosen = victims(movable, missing_bytes, missing_slots, on_cards)
        if chosen is None:  # 4
            pinned = [slot for slot in table if slot.live and slot.pinned and slot.cache_ram_bytes]
            given_up = sum(slot.cache_ram_bytes for slot in pinned)
            if given_up and victims(movable, missing_bytes - given_up, missing_slots, on_cards) is not None:
                reclaimed = table.reclaim(missing_bytes, pinned, room)
                return [*reclaimed, *self._place(wish, room, urgent, now, ordered)]
            return self._give_up(wish, ordered)
        if urgent:  # 5
            for occupant in chosen:
                slot = table[occupant.slot]
                if slot.phase == "ready" and slot.drain is None:
                    slot.drain = "evicted"
            room.claim(need, chosen)
        return []

    def _start(self, wish: Load, room: Room, now: float, ordered: bool) -> Start:
        need, table, slot = wish.need, self._table, room.slots.pop(0)
        cache_ram_bytes = min(need.cache_ram_bytes, room.bytes - need.bytes)
        room.bytes -= need.bytes + cache_ram_bytes
        table.headroom_bytes -= need.bytes + cache_ram_bytes
        cards = spread(need.gpu_bytes, need.shares, room.cards) if need.gpu_bytes and room.cards else ()
        room.cards, table.cards = added(room.cards, cards, -1), added(table.cards, cards, -1)
        table.gave_way.pop(wish.model, None)
        table.put(
            SlotRecord(
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
        )
        if ordered:
            self._orders.remove(wish)
        return Start(slot.number, wish.model, wish.how, cards, cache_ram_bytes)

    def _give_up(self, wish: Load, ordered: bool) -> list[SlotEffect]:
        """If it could not even be had when all that may go had gone. What others were promised counts as there:
        its turn comes after theirs. A port that is taken may be free again soon.
        """
        free = [slot for slot in self._table if not (slot.live and slot.pinned)]
        gone = sum(slot.bytes for slot in free if slot.live or slot.phase == "stopping")
        missing = max(0, wish.need.bytes - self._table.headroom_bytes - gone)
        cards = added(self._table.cards, total_cards(slot.cards for slot in free))
        on_gpu = card_shortage(wish.need.gpu_bytes, wish.need.shares, cards)
        if free and not missing and not on_gpu:
            return []
        why: FailReason = "does_not_fit" if free else "no_slot"
        if not ordered:
            return [Fail(request, why, missing, on_gpu) for request in self._queue.remove_all(wish.model)]
        self._orders.remove(wish)
        return [Fail(wish.id, why, missing, on_gpu)] if wish.id else []
