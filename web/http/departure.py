"""Whether the client of a connection is still there, told by the server at the moment it leaves.

ASGI tells it to whoever waits in `receive`, which takes a task for every request. Our server hands its own sign to
the application in the scope's extensions.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from starlette.types import Scope

__all__ = ["EXTENSION", "Departure", "departure_of"]

EXTENSION = "parley.departure"


class Departure:
    """One for each connection. `whole`: all of the request has come, so that reading it waits for nothing."""

    __slots__ = ("_calls", "gone", "whole")

    def __init__(self) -> None:
        self.gone = False
        self.whole = False
        self._calls: list[Callable[[], None]] = []

    def calls(self, call: Callable[[], None]) -> AbstractContextManager[None]:
        """`call` is called once, in the event loop, if the client leaves within the block or has left already."""
        return _Watch(self, call)

    def watch(self, call: Callable[[], None]) -> None:
        if self.gone:
            call()
        self._calls.append(call)

    def forget(self, call: Callable[[], None]) -> None:
        self._calls.remove(call)

    def happened(self) -> None:
        self.gone = True
        for call in tuple(self._calls):
            call()


class _Watch:
    __slots__ = ("_call", "_departure")

    def __init__(self, departure: Departure, call: Callable[[], None]) -> None:
        self._departure, self._call = departure, call

    def __enter__(self) -> None:
        self._departure.watch(self._call)

    def __exit__(self, *error: object) -> None:
        self._departure.forget(self._call)


def departure_of(scope: Scope) -> Departure | None:
    """None behind a server that is not ours."""
    found = (scope.get("extensions") or {}).get(EXTENSION)
    return found if isinstance(found, Departure) else None
