"""Who waits for a model, and whose turn it is. Pure.

A slot has places for everybody and, beside them, places for voice turns alone. A free place goes to
1. a voice turn, if a reserved place is free; 2. who has waited too long, by arrival; 3. voice, then interactive,
then batch requests; among equals the user who has the least running, then the one served longest ago, then arrival.
So voice never waits behind batch work, no user with many requests shuts out one with few, and nobody starves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from llm.messages import Priority
from llm.slots.events import Ask, Need, SlotLimits

__all__ = ["RequestQueue", "Waiting", "free_for"]

KEPT_USERS = 1024


@dataclass(frozen=True, slots=True)
class Waiting:
    ask: Ask
    since: float
    arrival: int


def free_for(priority: Priority, running: Counter[Priority], need: Need, batch_share: float) -> bool:
    """Whether a slot with this much running has a place for a request of that kind."""
    voices = running[Priority.VOICE]
    others = running[Priority.INTERACTIVE] + running[Priority.BATCH]
    if priority is Priority.VOICE:
        return voices + others < need.places + need.voice_places
    if others + max(0, voices - need.voice_places) >= need.places:
        return False
    return priority is not Priority.BATCH or running[Priority.BATCH] < max(1, int(need.places * batch_share))


class RequestQueue:
    """The waiting requests of all models, in the order in which they came."""

    def __init__(self, limits: SlotLimits) -> None:
        self._limits = limits
        self._waiting: dict[int, Waiting] = {}
        self._arrivals = 0
        self._grants = 0
        self._last_grant: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, request_id: int) -> bool:
        return request_id in self._waiting

    def has_room(self, ask: Ask) -> bool:
        """Voice turns have a bound of their own. One user may fill half of the queue."""
        voice = ask.priority is Priority.VOICE
        same = [w for w in self._waiting.values() if (w.ask.priority is Priority.VOICE) == voice]
        mine = sum(waiting.ask.user == ask.user for waiting in same)
        return len(same) < self._limits.queue and mine < max(1, (self._limits.queue + 1) // 2)

    def add(self, ask: Ask, now: float) -> None:
        self._arrivals += 1
        self._waiting[ask.id] = Waiting(ask, now, self._arrivals)

    def remove(self, request_id: int) -> Ask | None:
        waiting = self._waiting.pop(request_id, None)
        return None if waiting is None else waiting.ask

    def remove_all(self, model: str) -> list[int]:
        """Those that wait for this model: their ids."""
        gone = [waiting.ask.id for waiting in self.of(model)]
        for request_id in gone:
            del self._waiting[request_id]
        return gone

    def of(self, model: str) -> Iterator[Waiting]:
        return (waiting for waiting in self._waiting.values() if waiting.ask.model == model)

    def count(self, model: str) -> int:
        return sum(1 for _ in self.of(model))

    def position(self, request_id: int) -> int:
        """1 is the next of its model by arrival; 0: it does not wait."""
        mine = self._waiting.get(request_id)
        if mine is None:
            return 0
        return sum(waiting.arrival <= mine.arrival for waiting in self.of(mine.ask.model))

    def models(self, now: float) -> list[Waiting]:
        """For every model that is waited for its first in line: voice and who has waited too long before others."""

        def turn(waiting: Waiting) -> tuple[bool, int]:
            aged = now - waiting.since >= self._limits.aged_s
            return (not aged and waiting.ask.priority is not Priority.VOICE, waiting.arrival)

        first: dict[str, Waiting] = {}
        for waiting in self._waiting.values():
            held = first.get(waiting.ask.model)
            if held is None or turn(waiting) < turn(held):
                first[waiting.ask.model] = waiting
        return sorted(first.values(), key=turn)

    def take(self, model: str, running: Counter[Priority], users: Counter[str], need: Need, now: float) -> Ask | None:
        """The next request that a slot with this running may be given; it waits no longer."""
        share = self._limits.batch_share
        fitting = [w for w in self.of(model) if free_for(w.ask.priority, running, need, share)]
        if not fitting:
            return None
        reserved = running[Priority.VOICE] < need.voice_places

        def turn(waiting: Waiting) -> tuple[int, ...]:
            ask = waiting.ask
            fair = (users[ask.user], self._last_grant.get(ask.user, 0), waiting.arrival)
            if ask.priority is Priority.VOICE and reserved:  # 1
                return (0, 0, *fair)
            if now - waiting.since >= self._limits.aged_s:  # 2
                return (1, waiting.arrival)
            return (2, ask.priority.value, *fair)  # 3

        chosen = min(fitting, key=turn).ask
        del self._waiting[chosen.id]
        self._grants += 1
        self._last_grant.pop(chosen.user, None)
        self._last_grant[chosen.user] = self._grants
        if len(self._last_grant) > KEPT_USERS:
            del self._last_grant[next(iter(self._last_grant))]
        return chosen
