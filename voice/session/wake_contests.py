"""What a session says in the contests with the other devices of its user: which of them heard a wake word best."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf

from models.clock import Clock
from voice.ears.events import WakeHeard
from voice.ears.ring import AudioRing
from voice.session.arbitration import Claim, claim_of
from voice.session.audio_origin import AudioOrigin
from voice.turn.actions import Contest

__all__ = ["Enter", "WakeContests"]

Enter = Callable[[Claim], Awaitable[bool] | None]
"""Enter a contest: whether it was won, when that is decided. None: there is no other device."""

LOST_S = 8.0
"""So long after another device was woken, what this one hears is the request to the other."""


class WakeContests:
    """`name` is the session's, `ring` holds its audio, `origin` knows when that was recorded."""

    def __init__(self, name: str, ring: AudioRing, clock: Clock, enter: Enter, origin: AudioOrigin) -> None:
        self._name, self._ring, self._clock, self._enter = name, ring, clock, enter
        self._origin = origin
        self._lost_at = -inf

    def lost(self) -> None:
        """Another device was woken by what was said to both."""
        self._lost_at = self._clock.now()

    def forget(self) -> None:
        self._lost_at = -inf

    @property
    def took_it(self) -> bool:
        """Another device was, just now."""
        return self._clock.now() - self._lost_at < LOST_S

    def contest(self, heard: WakeHeard) -> Awaitable[bool] | None:
        """For a word that the ears heard."""
        at_s, spoken_at = (heard.start_s, heard.end_s), self._origin.when(heard.end_s)
        return self._enter(claim_of(self._name, heard.word, heard.score, at_s, self._ring, spoken_at=spoken_at))

    async def answers(self, phrase: Contest) -> bool:
        """This device is the one for a word that was found in a transcript."""
        at_s = phrase.from_s, max(phrase.until_s, phrase.from_s)
        span = self._origin.when(at_s[0]), self._origin.when(at_s[1])
        verdict = self._enter(claim_of(self._name, phrase.word, 1.0, at_s, self._ring, span))
        won = verdict is None or await verdict
        if not won:
            self.lost()
        return won
