"""Loads that somebody ordered and that have no slot yet. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from llm.slots.events import Fail, Load

__all__ = ["LoadOrders"]


class LoadOrders:
    """Of the orders for one slot the latest counts, and of those for one model and any slot. Of orders for any slot
    there are at most `most`.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: list[Load] = []

    def __iter__(self) -> Iterator[Load]:
        return iter(self._waiting)

    @property
    def full(self) -> bool:
        """For orders that name no slot."""
        return sum(order.slot is None for order in self._waiting) >= self._most

    def add(self, order: Load) -> None:
        self._waiting.append(order)

    def remove(self, order: Load) -> None:
        self._waiting.remove(order)

    def replace_by(self, order: Load) -> list[Fail]:
        """Take back those in whose place it stands."""
        old = [
            other
            for other in self._waiting
            if other.slot == order.slot and (order.slot is not None or other.model == order.model)
        ]
        for other in old:
            self._waiting.remove(other)
        return [Fail(other.id, "replaced") for other in old if other.id]
