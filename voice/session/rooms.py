"""Several devices of one user hear the same: who answers, and who takes over where that one cannot. Pure.

Who wins is decided in arbitration.py. The winner may have nothing in the end: its link lost the request, or its
client leaves before anybody heard a word of the answer. Then the request is another device's that heard it. Three
things tell: the winner says that nothing came, it leaves, or a loser has heard a request to its end that the winner
cannot have heard. What was answered stays answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from voice.session.arbitration import Arbiter, Claim
from voice.session.outgoing import TurnComplete

__all__ = ["Device", "Rooms"]


class Device(Protocol):
    """A session that waits for a wake word to answer."""

    @property
    def name(self) -> str: ...

    @property
    def connected(self) -> bool: ...

    @property
    def owes(self) -> bool:
        """It was woken, and nobody has heard anything of an answer."""

    @property
    def waits(self) -> bool:
        """It owes an answer, and has heard nothing since it was woken."""

    @property
    def called(self) -> bool:
        """Its wake word was heard, and nothing is answered yet of what that was said for."""

    def has_heard(self, until: float) -> bool:
        """Its audio has come that far (monotonic seconds), and none is missing since it was woken."""

    def take_over(self) -> bool:
        """Answer what was lost, if a request was heard."""

    def hand_over(self) -> None:
        """Another device answers what this one was woken for."""


class Rooms:
    """Of all users. `devices` are those of an owner, connected or away. Times are monotonic seconds."""

    def __init__(self, devices: Callable[[str], Iterable[Device]]) -> None:
        self._devices, self._arbiter = devices, Arbiter()

    def enter(self, owner: str, claim: Claim, now: float) -> float | None:
        """When `won` may be asked; None: it was won, for nobody else is there. A device that was away, and brings its
        audio later, has lost what was answered meanwhile, also by one that is away now."""
        decided_at = self._arbiter.claim(owner, claim, now)
        alone = len(self._there(owner)) < 2 or not claim.word
        return None if alone and self._arbiter.wins_alone(owner, claim.device, claim.word) else decided_at

    def won(self, owner: str, claim: Claim) -> bool:
        there = self._there(owner)
        if self._arbiter.won(owner, claim.device, claim.word, gone=lambda name: name not in there):
            return True
        if not (claim.word and claim.asks and claim.span):
            return False
        return self._lacks(owner, claim.device, claim.span[1], waits=True) and self._hand_to(owner, claim.device)

    def turn_over(self, owner: str, device: Device, turn: TurnComplete) -> None:
        """What it was woken for last is answered with that, if any of it was heard. A wake word over a reply ends a
        turn, too: what that was said for is still to come."""
        if not device.called and (turn.heard_transcript or not turn.interrupted):
            self._arbiter.answered(owner, device.name)

    def passes_on(self, owner: str, device: str) -> None:
        """It was woken, and nothing came with the word. Who brings the request later answers it, too."""
        if not self._ask_heirs(owner, device):
            self._arbiter.gives_up(owner, device)

    def left(self, owner: str, device: Device) -> None:
        """Its client has gone, and may come back."""
        if device.owes:
            self._ask_heirs(owner, device.name)

    def offers(self, owner: str, device: str, until: float) -> None:
        """It has heard a request to its end, `until` then, for which another one was woken."""
        heir = self._named(owner).get(device)  # None: it has been ended meanwhile
        if heir is not None and self._lacks(owner, device, until) and heir.take_over():
            self._hand_to(owner, device)

    # ---- who has it -----------------------------------------------------------------------------------------

    def _named(self, owner: str) -> dict[str, Device]:
        return {device.name: device for device in self._devices(owner)}

    def _there(self, owner: str) -> dict[str, Device]:
        return {name: device for name, device in self._named(owner).items() if device.connected}

    def _lacks(self, owner: str, device: str, until: float, *, waits: bool = False) -> bool:
        """The one that is to answer what `device` has lost cannot have heard it. `waits`: or has not begun to."""
        name = self._arbiter.to_answer(owner, device)
        winner = None if name is None else self._named(owner).get(name)
        if winner is None or name is None:
            return name is not None
        cut_off = not winner.connected or not winner.has_heard(until)
        return winner.owes and (cut_off or (waits and winner.waits))

    def _ask_heirs(self, owner: str, device: str) -> bool:
        there = self._there(owner)
        heirs = (there[name] for name in self._arbiter.heirs(owner, device) if name in there)
        heir = next((each for each in heirs if each.take_over()), None)
        return heir is not None and self._hand_to(owner, heir.name)

    def _hand_to(self, owner: str, heir: str) -> bool:
        before = self._arbiter.hand_to(owner, heir)
        if before in self._named(owner):
            self._named(owner)[before].hand_over()
        return True
