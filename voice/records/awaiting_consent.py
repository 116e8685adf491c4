"""A session that has not said yet whether it may be recorded. It may say so before anything else has happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from voice.port import Pcm
from voice.session.watcher import Watcher
from voice.turn.actions import Action
from voice.turn.events import Closed, ConfigChanged, EchoHeard, Tick, TurnEvent

__all__ = ["MAX_STEPS", "AwaitingConsent"]

MAX_STEPS = 256
"""More steps before anybody has said a word are no hesitation."""
_NOTHING_YET = (ConfigChanged, EchoHeard, Tick, Closed)


class AwaitingConsent:
    """A `Watcher` that becomes the one of `begin(consent)`, with what it saw, as soon as consent is given or
    something happens. What happened without consent stays without: it is never asked again."""

    def __init__(self, begin: Callable[[bool], Watcher | None]) -> None:
        self._begin = begin
        self._steps: list[tuple[TurnEvent, float, Sequence[Action]]] = []
        self._decided = False
        self._to: Watcher | None = None

    def stepped(self, event: TurnEvent, now: float, actions: Sequence[Action]) -> None:
        if not self._decided:
            if isinstance(event, ConfigChanged) and event.config.record:
                self._decide(True)
            elif not isinstance(event, _NOTHING_YET) or len(self._steps) >= MAX_STEPS:
                self._decide(False)
            else:
                self._steps.append((event, now, actions))
                return
        if self._to is not None:
            self._to.stepped(event, now, actions)

    def heard(self, pcm: Pcm) -> None:
        if not self._decided:
            self._decide(False)
        if self._to is not None:
            self._to.heard(pcm)

    def refused(self, code: str) -> None:
        return

    def ended(self, now: float) -> None:
        if self._to is not None:
            self._to.ended(now)

    def _decide(self, consent: bool) -> None:
        self._decided = True
        self._to = self._begin(consent)
        if self._to is not None:
            for step in self._steps:
                self._to.stepped(*step)
        self._steps.clear()
