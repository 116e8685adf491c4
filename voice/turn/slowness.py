"""Answers that are slow: what the client is told of it, and a few words so that nobody thinks the line is dead.

A tool that is slow is bridged by tool_rounds.py. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from voice.mouth.reply import Reply
from voice.session.outgoing import Waiting
from voice.settings import TurnSettings
from voice.turn.events import MindWaits
from voice.turn.tool_rounds import Rounds

__all__ = ["AGAIN_S", "TELL_EVERY_S", "Slowness", "Waits"]

TELL_EVERY_S = 2.0
AGAIN_S = 15.0
"""After so much more silence the words are said once more."""


class Waits(Protocol):
    """What a revision is here."""

    confirmed: bool
    text: str | None
    stirred_at: float
    rounds: Rounds
    reply: Reply | None


@dataclass(slots=True)
class Slowness:
    """Of one revision. `life` is the model's last sign of life, while it has said nothing."""

    life: MindWaits | None = None
    told_at: float | None = None
    bridged_at: float | None = None

    def due_at(self, revision: Waits, settings: TurnSettings) -> float | None:
        """When the client is to be told (again); None: nothing is awaited."""
        reply, slow_s = revision.reply, settings.slow_after_ms / 1000
        over = reply is not None and (reply.all_sent or reply.has_audio or reply.playout.held)
        if not slow_s or not revision.confirmed or over or revision.rounds.begun_at is not None:
            return None
        if self.told_at is not None and self.told_at >= revision.stirred_at + slow_s:
            return self.told_at + TELL_EVERY_S
        return revision.stirred_at + slow_s

    def tell(self, revision: Waits, now: float) -> Waiting:
        """What is awaited."""
        self.told_at = now
        reply, life = revision.reply, self.life
        since_s, name = now - revision.stirred_at, reply.id if reply is not None else ""
        awaits: Literal["transcript", "queue", "loading", "answer", "voice"] = "answer"
        if reply is None and revision.text is None:
            awaits = "transcript"
        elif reply is not None and reply.awaits_voice:
            awaits = "voice"
        elif life is not None and life.loading:
            return Waiting(name, "loading", since_s, life.progress, life.position)
        elif life is not None and life.position:
            return Waiting(name, "queue", since_s, None, life.position)
        return Waiting(name, awaits, since_s)

    def only_bridged(self, revision: Waits) -> bool:
        """Nothing but such words was said since: they are no sign of an answer."""
        reply = revision.reply
        return (
            self.bridged_at is not None and reply is not None and not reply.text[revision.rounds.said_until :].strip()
        )

    @staticmethod
    def can_speak(revision: Waits) -> bool:
        """A few words can be said: of the answer nothing was written yet, and the voice is free."""
        reply, rounds = revision.reply, revision.rounds
        if reply is None or not (reply.spoken and reply.released) or reply.awaits_voice or reply.mind_done:
            return False
        return not reply.text[rounds.said_until :].strip()

    def bridge_is_due(self, revision: Waits, now: float) -> bool:
        """It is time for such words."""
        return self.can_speak(revision) and (self.bridged_at is None or now >= self.bridged_at + AGAIN_S)

    def bridge(self, revision: Waits, words: str, now: float) -> None:
        """Say them."""
        if revision.reply is not None:
            self.bridged_at = now
            revision.rounds.bridge(revision.reply, words)
