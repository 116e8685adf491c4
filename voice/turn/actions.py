"""Everything the turn machine may want done: one closed union, carried out by the session.

A *turn* is one thing the user says. A *revision* is one attempt to answer it: it is started, unheard, at every
pause, and abandoned when the user goes on. Results carry their revision's number, so stale ones are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm.messages import Message
from voice.session.config import VoiceConfig
from voice.session.outgoing import ServerEvent

__all__ = [
    "Abandon",
    "Action",
    "Contest",
    "Erase",
    "Listen",
    "Offer",
    "PassOn",
    "Prefill",
    "RunTool",
    "ScoreTurn",
    "Speak",
    "StopListening",
    "Tell",
    "Think",
    "Transcribe",
]


@dataclass(frozen=True, slots=True)
class Listen:
    """Open a recogniser stream for turn `turn` and feed it the session's audio from `from_s` on."""

    turn: int
    from_s: float


@dataclass(frozen=True, slots=True)
class Contest:
    """The words of `revision`, spoken from `from_s` to `until_s`, hold the wake word `word`, or none is needed (""):
    are we the device of this user that heard it best? (ContestDecided) `asks`: there is a request in them."""

    revision: int
    word: str
    from_s: float
    until_s: float
    asks: bool = True


@dataclass(frozen=True, slots=True)
class PassOn:
    """We were woken, and nothing came with the word. Another device of the user may have heard it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A request for which another device of the user was woken was heard here to its end, `until_s`."""

    until_s: float


@dataclass(frozen=True, slots=True)
class Erase:
    """Make the session's audio from `from_s` to `until_s` silent: a wake word that no recogniser is to hear."""

    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class StopListening:
    """Close the recogniser stream of turn `turn`."""

    turn: int


@dataclass(frozen=True, slots=True)
class Transcribe:
    """Transcribe turn `turn` from `from_s` until `until_s`, or all that was received where that is None.

    `spot`: tell first which of `spotted_phrases` the sound is, where the recogniser can (PhraseSpotted). `heard_s`:
    the ears have come so far; what was received long after it, in a burst, may be of the next turn. None: all counts.
    """

    revision: int
    turn: int
    from_s: float
    until_s: float | None
    spot: bool = False
    heard_s: float | None = None


@dataclass(frozen=True, slots=True)
class ScoreTurn:
    """Let the turn detector's model listen to the audio from `from_s` to now; comes back as TurnScored."""

    revision: int
    from_s: float


@dataclass(frozen=True, slots=True)
class Think:
    """Ask the model; its tokens come back as TokensArrived of `revision`.

    `out_of_band`: it is no part of the conversation, and what the model remembers of that stays as it is.
    """

    revision: int
    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    out_of_band: bool = False


@dataclass(frozen=True, slots=True)
class Prefill:
    """Let the model read how its next prompt begins, while the user still speaks. Nothing comes back, nothing is
    charged; a newer one, or Think, takes its place."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Speak:
    """Synthesise clause number `clause` with this voice; comes back as ClauseAudio, of this rate."""

    revision: int
    clause: int
    text: str
    voice: VoiceConfig = VoiceConfig()
    rate_hz: int = 24000


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run a tool of the server; comes back as ToolResult of `call_id`, also when it fails."""

    revision: int
    call_id: str
    name: str
    arguments: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Abandon:
    """Cancel everything that runs for `revision`."""

    revision: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Say this to the client."""

    event: ServerEvent


Action = (
    Listen
    | Contest
    | Offer
    | PassOn
    | Erase
    | StopListening
    | Transcribe
    | ScoreTurn
    | Prefill
    | Think
    | Speak
    | RunTool
    | Abandon
    | Tell
)
