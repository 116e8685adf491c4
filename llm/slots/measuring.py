"""What the models in the slots take, as the scheduler is told."""

from __future__ import annotations

from collections.abc import Mapping

import anyio.to_thread

from llm.memory.learned import Learned
from llm.memory.slot_memory import SlotMemory
from llm.slots.events import Measured
from llm.slots.slot import Slot
from llm.workers.process import WorkerState

__all__ = ["measured"]


async def measured(slots: Mapping[int, Slot], memory: SlotMemory, learned: Learned) -> Measured:
    """Also keeps what a loaded model really takes: it corrects the next estimate."""
    pids = {number: slot.worker.pid for number, slot in slots.items()}
    # What is measured while a model loads is not what it takes.
    whole = {number for number, slot in slots.items() if slot.worker.state is WorkerState.READY}
    used = await anyio.to_thread.run_sync(memory.measure, pids)
    same = {number for number, slot in slots.items() if slot.worker.pid == pids.get(number)}
    memory.account({number: usage for number, usage in used.items() if number in same}, frozenset(whole & same))
    committed = 0
    for number, slot in slots.items():
        if number in same:
            slot.used = used.get(number, slot.used)
            if number in whole and slot.used.resident:
                _learn(slot, memory, learned)
        committed += max(slot.plan.need.bytes + slot.cache_ram_bytes, slot.used.resident) - slot.used.private
    resident = {number: usage.resident for number, usage in used.items()}
    on_cards = {number: cards for number in slots if (cards := memory.on_cards.used(number))}
    return Measured(memory.headroom - committed, resident, memory.card_headroom, on_cards)


def _learn(slot: Slot, memory: SlotMemory, learned: Learned) -> None:
    plan, taken = slot.plan, slot.used.resident - slot.worker.cache_ram_bytes
    on_gpu = memory.on_cards.known(slot.number) or 0
    learned.used(plan.key, plan.predicted_bytes, taken, plan.predicted_gpu_bytes, on_gpu)
