"""One occupied slot: the model, the worker that serves it, and what the scheduler is told of that worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from llm.backends.slot import SlotBackend
from llm.errors import PortTaken
from llm.memory.learned import Learned
from llm.memory.machine import Usage
from llm.slots.events import Down, Failed, SlotEvent, Up
from llm.workers.launch import Plan
from llm.workers.placement import Worker
from llm.workers.process import WorkerState
from models.clock import Clock
from models.errors import ParleyError
from models.store import Installed

__all__ = ["Slot", "watch"]


@dataclass(slots=True)
class Slot:
    """One place with a model in it."""

    number: int
    port: int
    plan: Plan
    worker: Worker
    backend: SlotBackend
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    used: Usage = Usage(0, 0)
    cache_ram_bytes: int = 0
    """Bytes that it may take beside its need, for conversations out of the cache."""
    proven: bool = False
    """It has answered since it is here."""

    @property
    def model(self) -> Installed:
        return self.plan.model


async def watch(
    slot: Slot, clock: Clock, tell: Callable[[SlotEvent], None], learned: Learned, errors: dict[str, ParleyError]
) -> None:
    """Until cancelled. `errors` keeps, by model, why its worker could not be started the last time."""
    name, worker = slot.model.name, slot.worker
    up = failed = False
    started_s = clock.now()
    while True:
        if (worker.state is WorkerState.READY) != up:
            up, failed = not up, False
            if up:
                learned.loaded(slot.plan.key, clock.now() - started_s)
                errors.pop(name, None)
            tell(Up(slot.number) if up else Down(slot.number))
        if not up and not failed and (error := worker.hopeless) is not None:
            failed = True
            errors[name] = error
            tell(Failed(slot.number, isinstance(error, PortTaken)))
        if worker.state is WorkerState.WAITING:
            started_s = clock.now()
        await worker.changed()
