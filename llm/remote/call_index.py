"""Which tool call a piece belongs to. Pure.

OpenAI numbers the calls of a reply, and each begins with an id and a name. Servers differ: index 0 for all of them
(Ollama), no index, no id, the id or the name again in every piece.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

__all__ = ["CallIndex"]


@dataclass(slots=True)
class _Call:
    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def ended(self) -> bool:
        """Its arguments are a whole object: no more of them will come."""
        try:
            return isinstance(json.loads("".join(self.arguments)), dict)
        except ValueError:
            return False


@dataclass(slots=True)
class CallIndex:
    """Of one reply."""

    _calls: list[_Call] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)
    _latest: dict[tuple[object, ...], int] = field(default_factory=dict)
    """By index, by id, and by both: going through all calls for each piece takes seconds where there are many."""

    def place(
        self, index: object, id: object, name: str | None, arguments: str
    ) -> tuple[int, str | None, str | None]:
        """The number of the call; its id, with its first piece; its name, where it was not told before."""
        number = self._find(index, id, name, arguments)
        begins = number is None
        if number is None:
            number = len(self._calls)
            self._begin(number, index, str(id) if id else "")
        call = self._calls[number]
        fresh = name if name and not call.name else None
        call.name = call.name or name or ""
        call.arguments.append(arguments)
        return number, call.id if begins else None, fresh

    def without_arguments(self) -> list[int]:
        """The calls that have come to their end without any; they have been given an empty object."""
        found = [number for number, call in enumerate(self._calls) if not "".join(call.arguments).strip()]
        for number in found:
            self._calls[number].arguments.append("{}")
        return found

    def _find(self, index: object, id: object, name: str | None, arguments: str) -> int | None:
        """None: it begins a new call."""
        numbered = isinstance(index, int)
        if id:
            at = self._latest.get((str(id), index)) if numbered or index is None else None
            if at is None:
                at = self._latest.get((str(id),))
            if at is None and not name and numbered:  # an id made anew for every piece
                at = self._latest.get((None, index))
        elif not isinstance(index, int) or index < 0:  # without a number it goes on where the last call stopped
            at = len(self._calls) - 1 if self._calls else None
        else:
            at = self._latest.get((None, index))
        if at is None or not name:
            return at
        call = self._calls[at]
        another = bool(call.name) and (call.name != name or (arguments != "" and call.ended()))
        return None if another else at

    def _begin(self, number: int, index: object, given: str) -> None:
        """Another call may have been given the same id; ours are different."""
        id = given or f"call_{number}"
        while id in self._ids:
            id = f"{id}_{number}"
        self._ids.add(id)
        self._calls.append(_Call(id))
        told = index if isinstance(index, int) else None
        self._latest[None, told] = number
        for name in {given, id} - {""}:
            self._latest[(name,)] = self._latest[name, told] = number
