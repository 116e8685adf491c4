"""Everything the turn machine may hear: one closed union. `at_s` and the like are seconds of the session's audio."""

from __future__ import annotations

from dataclasses import dataclass

from llm.messages import ToolCall
from llm.stream import FinishReason
from voice.ears.echo import EchoState
from voice.port import Pcm, Word
from voice.session.config import SessionConfig
from voice.session.incoming import AddMessage, CancelResponse, DeleteItem, Respond, ToolResult, Truncate

__all__ = [
    "AddMessage",
    "AudioClock",
    "CancelResponse",
    "ClauseAudio",
    "ClauseFailed",
    "Closed",
    "Cleared",
    "Committed",
    "ConfigChanged",
    "ContestDecided",
    "DeleteItem",
    "EchoHeard",
    "HandedOver",
    "InterruptAsked",
    "MindFailed",
    "MindFinished",
    "MindWaits",
    "Missing",
    "PartialTranscript",
    "PhraseSpotted",
    "PlayedReport",
    "Respond",
    "SpeechBegan",
    "SpeechEnded",
    "TakenOver",
    "Tick",
    "TokensArrived",
    "ToolResult",
    "TranscriptFailed",
    "TranscriptReady",
    "Truncate",
    "TurnEvent",
    "TurnScored",
    "UsageKnown",
    "Typed",
    "WakeWord",
    "WordLost",
]


@dataclass(frozen=True, slots=True)
class AudioClock:
    """The ears have listened up to `at_s`; `voiced`: the last frame sounded like speech; `fading`: barely, or not;
    `rising`: the last frames may be the beginning of speech, of which SpeechBegan will tell if they are; `hushed`:
    the last frame was far quieter than the speech before it."""

    at_s: float
    voiced: bool
    fading: bool = False
    rising: bool = False
    level_db: float | None = None
    """Of the last frame, over one sample step."""
    hushed: bool = False


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """Speech, sure by now, began at `at_s`; softly, perhaps, at `soft_s`: what is said from there is part of it."""

    at_s: float
    soft_s: float | None = None


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The voice fell silent at `at_s`, a short pause ago. It may go on."""

    at_s: float


@dataclass(frozen=True, slots=True)
class WakeWord:
    word: str
    score: float
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class WordLost:
    """A wake word was heard here, and better by another device of the user, which answers."""

    word: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The device that was woken has no request, and one was heard here: we answer it."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """We were woken, and another device of the user answers."""


@dataclass(frozen=True, slots=True)
class ContestDecided:
    """Whether the wake word in the words of `revision` was for this device."""

    revision: int
    won: bool


@dataclass(frozen=True, slots=True)
class PartialTranscript:
    """What the recogniser makes of turn `turn` so far."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class TranscriptReady:
    """`language`: a two-letter code, where the recogniser says it."""

    revision: int
    text: str
    language: str | None = None


@dataclass(frozen=True, slots=True)
class PhraseSpotted:
    """Of the phrases that were asked for, the one that the sound so far is; "" for none of them. Comes before the
    transcript of `revision`, and only from recognisers that can tell."""

    revision: int
    phrase: str


@dataclass(frozen=True, slots=True)
class TranscriptFailed:
    revision: int
    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class EchoHeard:
    """Whether the client's microphone hears what we say; where it does, our voice is taken out from now on."""

    state: EchoState


@dataclass(frozen=True, slots=True)
class TurnScored:
    """The turn of `revision` is over with this probability, by the sound of it."""

    revision: int
    probability: float


@dataclass(frozen=True, slots=True)
class TokensArrived:
    """`text` of `tokens` tokens of the reply of `revision`."""

    revision: int
    text: str
    tokens: int = 1


@dataclass(frozen=True, slots=True)
class MindFinished:
    """The model has written all; or it wants `calls` made, and goes on when it is told what came of them."""

    revision: int
    prompt_tokens: int
    completion_tokens: int
    reason: FinishReason = "stop"
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class UsageKnown:
    """What the reply of `revision` has cost so far, where the server tells it before the end."""

    revision: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class MindWaits:
    """A sign of life of the model before its first word: it is loaded (`progress` 0..1, None where nobody knows), or
    the request is at `position` in the line for it (1 is the next), or it reads the prompt."""

    revision: int
    loading: bool = False
    progress: float | None = None
    position: int = 0


@dataclass(frozen=True, slots=True)
class MindFailed:
    revision: int
    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class ClauseAudio:
    """Speech of clause number `clause`, in order. `words` (from the clause's start) come with the last piece."""

    revision: int
    clause: int
    pcm: Pcm
    rate_hz: int
    words: tuple[Word, ...] = ()
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class ClauseFailed:
    revision: int
    clause: int
    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Typed:
    """A turn in text: typed, or recognised by the client."""

    text: str


@dataclass(frozen=True, slots=True)
class Committed:
    """The client says its turn is over; audio was received up to `at_s`. `event_id`: it waits for an answer."""

    at_s: float
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class InterruptAsked:
    pass


@dataclass(frozen=True, slots=True)
class Cleared:
    """Forget the turn that is being spoken; audio was received up to `at_s`."""

    at_s: float


@dataclass(frozen=True, slots=True)
class PlayedReport:
    """The client has played `ms` of reply `reply`."""

    reply: str
    ms: float


@dataclass(frozen=True, slots=True)
class Missing:
    """The last `seconds` of the audio that was sent of reply `reply` have not arrived at the client, though they
    should have; 0: all of it has."""

    reply: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    config: SessionConfig


@dataclass(frozen=True, slots=True)
class Tick:
    """The moment the machine asked to be woken at (`TurnMachine.wakes_at`) has come."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is gone."""


TurnEvent = (
    AudioClock
    | SpeechBegan
    | SpeechEnded
    | WakeWord
    | WordLost
    | TakenOver
    | HandedOver
    | ContestDecided
    | PartialTranscript
    | TranscriptReady
    | PhraseSpotted
    | TranscriptFailed
    | TurnScored
    | EchoHeard
    | TokensArrived
    | MindFinished
    | UsageKnown
    | MindWaits
    | MindFailed
    | ClauseAudio
    | ClauseFailed
    | Typed
    | Committed
    | InterruptAsked
    | Cleared
    | PlayedReport
    | Missing
    | AddMessage
    | DeleteItem
    | Respond
    | CancelResponse
    | Truncate
    | ToolResult
    | ConfigChanged
    | Tick
    | Closed
)
