"""The items that a Realtime client was told of, in order. Pure; bounded, the oldest are forgotten."""

from __future__ import annotations

from collections.abc import Iterable

from voice.protocols.realtime_items import WireItem, image_bytes

__all__ = ["Items"]

MOST_ITEMS = 1000


class Items:
    __slots__ = ("_audio_ms", "_awaited", "_items", "_order")

    def __init__(self) -> None:
        self._items: dict[str, WireItem] = {}
        self._order: list[str] = []
        self._audio_ms: dict[str, float] = {}
        self._awaited: set[str] = set()

    def get(self, id: str) -> WireItem | None:
        return self._items.get(id)

    def known(self, id: str | None) -> str | None:
        """The id, if the client has heard of it; else the last item that it has heard of."""
        return id if id is None or id in self._items else self.last

    def behind(self, previous: str | None) -> str | None:
        """What an item behind `previous` really stands behind: what is on the way to the session has its place."""
        at = self._order.index(previous) + 1 if previous is not None else 0
        while at < len(self._order) and self._on_the_way(self._order[at]):
            previous, at = self._order[at], at + 1
        return previous

    def settled(self, id: str | None) -> str | None:
        """The same item, or, for one that is on the way, the last before it that the session has; "root": none."""
        while id is not None and id in self._items and self._on_the_way(id):
            id = self.before(id) or "root"
        return id

    def await_words(self, id: str) -> None:
        """The session takes it in when its words are known."""
        self._awaited.add(id)

    def awaits_words(self, id: str) -> bool:
        return id in self._awaited

    def words_came(self, id: str) -> None:
        self._awaited.discard(id)

    def _on_the_way(self, id: str) -> bool:
        return id in self._awaited or self._items[id].status == "in_progress"

    @property
    def last(self) -> str | None:
        return self._order[-1] if self._order else None

    def before(self, id: str) -> str | None:
        """The item that it stands behind; None at the beginning, and for an item that is gone."""
        at = self._order.index(id) if id in self._items else 0
        return self._order[at - 1] if at else None

    def insert(self, item: WireItem, previous: str | None) -> None:
        at = self._order.index(previous) + 1 if previous is not None else 0
        self._order.insert(at, item.id)
        self._items[item.id] = item
        while len(self._order) > MOST_ITEMS:
            self.delete(self._order[0])

    def put(self, item: WireItem) -> None:
        """The item has changed."""
        if item.id in self._items:
            self._items[item.id] = item

    def delete(self, id: str) -> None:
        del self._items[id]
        self._order.remove(id)
        self._audio_ms.pop(id, None)
        self._awaited.discard(id)

    @property
    def image_bytes(self) -> int:
        """Of all of them."""
        return sum(map(image_bytes, self._items.values()))

    def spoken(self, id: str, ms: float) -> None:
        """So much audio of it was sent, or is left of it."""
        if id in self._items:
            self._audio_ms[id] = ms

    def audio_ms(self, id: str) -> float:
        return self._audio_ms.get(id, 0.0)

    def has_call(self, call_id: str, more: Iterable[WireItem]) -> bool:
        """Whether there is such a function call, here or among `more`."""
        return any(
            item.type == "function_call" and item.call_id == call_id for item in (*self._items.values(), *more)
        )
