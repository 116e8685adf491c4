"""Who looks on while a session talks, and changes nothing: figures, recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from voice.port import Pcm
from voice.turn.actions import Action
from voice.turn.events import TurnEvent

__all__ = ["Watcher"]


class Watcher(Protocol):
    """Of one session. Called in the event loop between two frames of audio: quick, and never raising."""

    def stepped(self, event: TurnEvent, now: float, actions: Sequence[Action]) -> None:
        """The turn machine heard `event` at `now` (monotonic seconds) and wants this done."""
        ...

    def heard(self, pcm: Pcm) -> None:
        """Audio of the user, 16 kHz."""
        ...

    def refused(self, code: str) -> None:
        """A frame of the client's was answered with this error."""
        ...

    def ended(self, now: float) -> None:
        """The session is over."""
        ...
