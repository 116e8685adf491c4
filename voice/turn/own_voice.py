"""Our own voice in the microphone: whether it hears us, and what we said last. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from voice.ears.echo import EchoState
from voice.turn.endpointing import ECHO_S, SETTLED_S

__all__ = ["OwnVoice"]


@dataclass(slots=True)
class OwnVoice:
    echo: EchoState
    cancelled: bool = False
    """It is found and taken out of the signal."""
    known: bool = True
    """It was found out whether the microphone hears us, or is not to be."""
    assumed: bool = False
    """That it does not hear us is only what the client says, or was so in an earlier session."""
    since_s: float = -inf
    """From where in the audio it is cancelled."""
    said: str = ""
    """The words of the last reply, and where in the audio it ended: its echo may still be on the way."""
    said_until_s: float = -inf

    @property
    def heard(self) -> bool:
        """By the microphone, or it may be."""
        return self.echo != "absent"

    def found(self, state: EchoState, told: str, at_s: float, *, replying: bool) -> None:
        """`told`: what the client says its loudspeaker is."""
        self.echo = "present" if state == "unknown" and told == "speaker" else state
        self.cancelled, self.known = state == "present", state != "unknown"
        self.assumed = state == "absent" and not replying and not self.said and told != "headphones"
        if self.cancelled:
            self.since_s = at_s

    def remember(self, words: str, until_s: float) -> None:
        self.said, self.said_until_s = words, until_s

    def may_be(self, from_s: float, *, speaking: bool, after_s: float = ECHO_S) -> bool:
        """Sound from `from_s` on: the microphone hears us, or may, and we speak or spoke just before."""
        return self.heard and (speaking or from_s < self.said_until_s + after_s)

    def learning(self, at_s: float) -> bool:
        """What is left of our own voice may startle; a reply that is held for it leaves nothing to learn from."""
        return self.cancelled and at_s < self.since_s + SETTLED_S
