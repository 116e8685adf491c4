"""What a session says in the contests with the other devices of its user: which of them heard a wake word best."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import Protocol

from models.clock import Clock
from voice.ears.events import WakeHeard
from voice.ears.ring import AudioRing
from voice.session.arbitration import RATE_HZ, Claim, claim_of
from voice.session.audio_origin import AudioOrigin
from voice.turn import events as heard
from voice.turn.actions import Contest, Offer, PassOn
from voice.turn.machine import TurnMachine

__all__ = ["Alone", "Room", "WakeContests"]

LOST_S = 8.0
"""So long after another device was woken, what this one hears is the request to the other."""
LATE_S = 0.5
"""Audio of a link that has not been cut is no later than that."""


class Room(Protocol):
    """Where the other devices of a session's user are."""

    def enter(self, claim: Claim) -> Awaitable[bool] | None:
        """Enter a contest: whether it was won, when that is decided. None: there is no other device."""

    def passes_on(self) -> None:
        """The session was woken, and nothing came with the word."""

    def offers(self, until: float) -> None:
        """The session has heard a request for which another one was woken, to its end `until` (monotonic seconds)."""

    def left(self) -> None:
        """The session's client has gone."""


class Alone:
    """Nobody else is there."""

    def enter(self, claim: Claim) -> Awaitable[bool] | None:
        return None

    def passes_on(self) -> None: ...

    def offers(self, until: float) -> None: ...

    def left(self) -> None: ...


class WakeContests:
    """`name` is the session's, `ring` holds its audio, `origin` knows when that was recorded, `machine` is told
    through `hear` what comes of it. The other devices see it as a Device (rooms.py)."""

    def __init__(
        self,
        name: str,
        ring: AudioRing,
        clock: Clock,
        room: Room,
        origin: AudioOrigin,
        machine: TurnMachine,
        hear: Callable[[heard.TurnEvent], None],
        connected: Callable[[], bool],
    ) -> None:
        self.name = name
        self._ring, self._clock, self._room, self._origin = ring, clock, room, origin
        self._machine, self._hear, self._connected = machine, hear, connected
        self._lost_at = -inf
        self._began = 0.0
        """When its audio began, by what was known at the last contest."""

    def lost(self) -> None:
        """Another device was woken by what was said to both."""
        self._lost_at = self._clock.now()

    def forget(self) -> None:
        self._lost_at = -inf

    @property
    def took_it(self) -> bool:
        """Another device was, just now."""
        return self._clock.now() - self._lost_at < LOST_S

    # ---- what this device says ------------------------------------------------------------------------------

    def contest(self, word: WakeHeard) -> Awaitable[bool] | None:
        """For a word that the ears heard."""
        at_s, spoken_at = (word.start_s, word.end_s), self._origin.when(word.end_s)
        asks = self._machine.asked_before(word.start_s)
        claim = claim_of(self.name, word.word, word.score, at_s, self._ring, spoken_at=spoken_at, asks=asks)
        return self._enter(claim)

    def decided(self, word: WakeHeard, won: bool) -> None:
        """The contest for it is over."""
        if won:
            self._hear(heard.WakeWord(word.word, word.score, word.start_s, word.end_s))
        else:
            self.lost()
            self._hear(heard.WordLost(word.word, word.start_s, word.end_s))

    async def decide(self, phrase: Contest) -> None:
        """For a word that was found in a transcript, or for words that need none: whether this device is the one."""
        at_s = phrase.from_s, max(phrase.until_s, phrase.from_s)
        span = self._origin.when(at_s[0]), self._origin.when(at_s[1])
        words = () if phrase.word else self._machine.config.wake.words
        claim = claim_of(self.name, phrase.word, 1.0, at_s, self._ring, span, asks=phrase.asks, words=words)
        verdict = self._enter(claim)
        won = verdict is None or await verdict
        if not won:
            self.lost()
        self._hear(heard.ContestDecided(phrase.revision, won))

    async def tell(self, action: Offer | PassOn) -> None:
        """In a task of its own: what comes of it is told to the machine, which is in the middle of a step."""
        if isinstance(action, Offer):
            self._room.offers(self._origin.when(action.until_s))
        else:
            self._room.passes_on()

    def left(self) -> None:
        """The client has gone."""
        self._room.left()

    # ---- what the others see of it --------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self._connected()

    @property
    def owes(self) -> bool:
        return self._machine.owes

    @property
    def waits(self) -> bool:
        return self._machine.waits

    @property
    def called(self) -> bool:
        return self._machine.called

    def has_heard(self, until: float) -> bool:
        return self._began + self._ring.end / RATE_HZ + LATE_S >= until

    def take_over(self) -> bool:
        if not self._machine.has_lost_request:
            return False
        self.forget()
        self._hear(heard.TakenOver())
        return True

    def hand_over(self) -> None:
        self.lost()
        self._hear(heard.HandedOver())

    def _enter(self, claim: Claim) -> Awaitable[bool] | None:
        self._began = self._origin.when(self._ring.end / RATE_HZ) - self._ring.end / RATE_HZ
        return self._room.enter(claim)
