"""What slot 1 is loaded with at the start, and what a text request without a model gets."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from llm.memory.slot_memory import SlotMemory
from llm.slots.open_requests import OpenRequests
from llm.workers.launch import Plan
from llm.workers.load_planner import LoadPlanner
from models.errors import ParleyError

__all__ = ["DefaultModel"]

log = structlog.get_logger(__name__)


class DefaultModel:
    """Where the best model that is installed cannot be loaded, the next best is, if nobody chose that one."""

    def __init__(
        self,
        planner: LoadPlanner,
        memory: SlotMemory,
        requests: OpenRequests,
        order: Callable[[Plan, int, bool, int], None],
    ) -> None:
        """`order` has a plan loaded into a slot, pinned or not, under a number of `requests`."""
        self._planner, self._memory, self._requests, self._order = planner, memory, requests, order
        self._ordered = 0
        self.pinned = True
        """Requests that have it loaded have it pinned, too."""
        self.unfit: dict[str, ParleyError] = {}
        """Better models that could not be loaded, and why."""

    async def load_first(self) -> None:
        plan = await self._planner.choose_default(self._memory.host.total, self._memory.sizes)
        if plan is not None:
            self._load(plan, 1)

    def is_order(self, number: int) -> bool:
        return number == self._ordered

    def not_loaded(self, why: ParleyError) -> None:
        """Its order came to nothing; it is tried again when somebody asks for it."""
        self._planner.problem = why
        log.error("slot.model", code=why.code, reason=why.message)

    async def fall_back(self, failed: Plan, slot: int, why: ParleyError) -> None:
        self.unfit[failed.model.name] = why
        plan = await self._planner.choose_another(self.unfit, self._memory.host.total, self._memory.sizes)
        if plan is None or self._planner.default != failed:
            return
        log.warning(
            "slot.model_replaced", model=failed.model.name, by=plan.model.name, reason=why.message, hint=why.hint
        )
        self._planner.make_default(plan)
        self._load(plan, slot)

    def _load(self, plan: Plan, slot: int) -> None:
        self._ordered = self._requests.new_number()  # before the order, which may take back the last one
        self._order(plan, slot, True, self._ordered)
