"""Loads that came to nothing, and why: as requests are told of them, and as the admin page shows them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import structlog

from llm.slots.errors import failure, not_started
from llm.slots.events import Fail
from llm.workers.launch import Plan
from models.errors import ParleyError

__all__ = ["LoadFailures", "LostOrder"]

LOST_ORDERS = 16
"""Orders that were accepted and not carried out, as they are shown."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LostOrder:
    """An accepted load that came to nothing, and why."""

    order: int
    model: str
    error: ParleyError


class LoadFailures:
    def __init__(self) -> None:
        self.by_model: dict[str, ParleyError] = {}
        """Why its worker could not be started the last time."""
        self.by_slot: dict[int, tuple[str, ParleyError]] = {}
        """What could not be loaded into it, and why."""
        self.lost_orders: deque[LostOrder] = deque(maxlen=LOST_ORDERS)
        """The last of them."""

    def of(self, effect: Fail, plan: Plan, available_bytes: int, tried_on: bool = False) -> ParleyError:
        """What somebody is told who wanted the model."""
        return failure(effect, plan, self.by_model.get(plan.model.name), available_bytes, tried_on)

    def given_up(self, slot: int, model: str) -> None:
        """The slot's worker is ended because it could not be started."""
        if model in self.by_model:
            self.by_slot[slot] = model, not_started(self.by_model[model])

    def lost(self, effect: Fail, plan: Plan, available_bytes: int) -> None:
        error = self.of(effect, plan, available_bytes)
        self.lost_orders.append(LostOrder(effect.id, plan.model.name, error))
        log.warning("slot.order_lost", order=effect.id, model=plan.model.name, why=effect.why)
