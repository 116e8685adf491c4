"""Answers of the Responses API that a later request may build upon, in memory: the oldest make room for new ones, and
a restart forgets all. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["KeptResponse", "ResponseStore"]

Item = Mapping[str, Any]
MOST_BYTES = 128 << 20
MOST_RESPONSES = 10_000


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """`response` is the object that the client got."""

    owner: str
    response: Mapping[str, Any]
    before: tuple[Item, ...]
    """The conversation that it answered in, without `items`."""
    items: tuple[Item, ...]
    """What its request brought."""

    @property
    def conversation(self) -> tuple[Item, ...]:
        return (*self.before, *self.items, *self.response["output"])


class ResponseStore:
    """Used from one event loop. What belongs to somebody else is not there."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, tuple[KeptResponse, int]] = OrderedDict()
        self._items: dict[str, tuple[str, Item]] = {}
        """By its id: the response that it belongs to, and the item."""
        self._bytes = 0

    def keep(self, response: Mapping[str, Any], owner: str, before: Sequence[Item], items: Sequence[Item]) -> None:
        """A conversation counts anew with each of its answers, for the last one keeps it all alive."""
        one = KeptResponse(owner, response, tuple(before), tuple(items))
        size = _size([*one.conversation, one.response])
        name = str(response["id"])
        self._kept[name] = (one, size)
        self._bytes += size
        self._items |= {str(item["id"]): (name, item) for item in (*one.items, *response["output"])}
        while len(self._kept) > 1 and (self._bytes > self._most_bytes or len(self._kept) > MOST_RESPONSES):
            self._drop(next(iter(self._kept)))

    def find(self, name: str, owner: str) -> KeptResponse | None:
        found = self._kept.get(name)
        if found is None or found[0].owner != owner:
            return None
        self._kept.move_to_end(name)
        return found[0]

    def item(self, name: str, owner: str) -> Item | None:
        response, item = self._items.get(name, ("", {}))
        return item if response and self.find(response, owner) is not None else None

    def remove(self, name: str, owner: str) -> bool:
        if self.find(name, owner) is None:
            return False
        self._drop(name)
        return True

    def _drop(self, name: str) -> None:
        one, size = self._kept.pop(name)
        self._bytes -= size
        for item in (*one.items, *one.response["output"]):
            if self._items.get(str(item["id"]), ("",))[0] == name:
                del self._items[str(item["id"])]


def _size(value: Any) -> int:
    """About the bytes of a JSON value. To write it out would hold everybody up where it has images in it."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(name) + _size(one) for name, one in value.items())
    return sum(map(_size, value)) if isinstance(value, list | tuple) else 8
