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
    told: object
    """The index that the server gave it, None where it gave none."""
    given: str = ""
    """The id that the server gave it; another call may have the same."""
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

    def place(
        self, index: object, id: object, name: str | None, arguments: str
    ) -> tuple[int, str | None, str | None]:
        """The number of the call; its id, with its first piece; its name, where it was not told before."""
        number = self._find(index, id, name, arguments)
        begins = number is None
        if number is None:
            number = len(self._calls)
            given = str(id) if id else ""
            self._calls.append(_Call(self._id(id, number), index if isinstance(index, int) else None, given))
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
        last = len(self._calls) - 1
        if id:
            same = [n for n in range(last, -1, -1) if str(id) in (self._calls[n].given, self._calls[n].id)]
            at = next((n for n in same if self._calls[n].told == index), same[0] if same else None)
            if at is None and not name and isinstance(index, int):  # an id made anew for every piece
                at = next((n for n in range(last, -1, -1) if self._calls[n].told == index), None)
        elif not isinstance(index, int) or index < 0:  # without a number it goes on where the last call stopped
            at = last if last >= 0 else None
        else:
            at = next((n for n in range(last, -1, -1) if self._calls[n].told == index), None)
        if at is None or not name:
            return at
        call = self._calls[at]
        another = bool(call.name) and (call.name != name or (arguments != "" and call.ended()))
        return None if another else at

    def _id(self, id: object, number: int) -> str:
        known = {call.id for call in self._calls}
        wanted = str(id) if id else f"call_{number}"
        while wanted in known:
            wanted = f"{wanted}_{number}"
        return wanted
