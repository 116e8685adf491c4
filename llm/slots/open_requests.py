"""Requests that are not yet with their worker, and orders that are not yet carried out, by their numbers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import count

import anyio

from llm.workers.launch import Plan
from models.errors import ParleyError

__all__ = ["OpenRequest", "OpenRequests"]


@dataclass(slots=True)
class OpenRequest:
    number: int
    plan: Plan
    told: anyio.Event = field(default_factory=anyio.Event)
    slot: int = 0
    error: ParleyError | None = None

    def grant(self, slot: int) -> None:
        self.slot = slot
        self.told.set()

    def fail(self, error: ParleyError) -> None:
        self.error = error
        self.told.set()


class OpenRequests:
    def __init__(self) -> None:
        self._numbers = count(1)
        self._requests: dict[int, OpenRequest] = {}
        self._orders: dict[int, Plan] = {}
        self.came = anyio.Event()
        """Somebody waits or has ordered a load."""

    @property
    def any_waits(self) -> bool:
        return any(not request.told.is_set() for request in self._requests.values())

    def new_number(self) -> int:
        return next(self._numbers)

    def open(self, plan: Plan) -> OpenRequest:
        request = OpenRequest(self.new_number(), plan)
        self._requests[request.number] = request
        return request

    def close(self, request: OpenRequest) -> None:
        del self._requests[request.number]

    def find(self, number: int) -> OpenRequest | None:
        return self._requests.get(number)

    def ordered(self, number: int, plan: Plan) -> None:
        self._orders[number] = plan

    def take_order(self, number: int) -> Plan | None:
        return self._orders.pop(number, None)

    def keep_orders(self, numbers: Collection[int]) -> None:
        """The others are carried out."""
        self._orders = {number: plan for number, plan in self._orders.items() if number in numbers}
