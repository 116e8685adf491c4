"""What a session can say to its client: one union, made by the turn machine, written by the protocol codecs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from voice.port import Pcm
from voice.turn.history import Item

__all__ = [
    "AudioOut",
    "ErrorOut",
    "Interrupted",
    "ItemAdded",
    "ItemDeleted",
    "ItemTruncated",
    "Pong",
    "Ready",
    "ReplyStarted",
    "ServerEvent",
    "SpeechStarted",
    "SpeechStopped",
    "StateOut",
    "TextOut",
    "ToolCallOut",
    "TranscriptOut",
    "TurnCommitted",
    "TurnComplete",
    "TurnNoted",
    "Waiting",
    "WakeLost",
    "WakeOut",
    "WakeWordRequired",
]


@dataclass(frozen=True, slots=True)
class Ready:
    """The session is connected. `config` has the sections audio, wake_word, voice as they are in force."""

    session_token: str
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TranscriptOut:
    """What the user says, or said: of item `item`. Not `is_request`: a stop word or a hum, which nobody answers."""

    text: str
    is_final: bool
    item: str = ""
    is_request: bool = True


@dataclass(frozen=True, slots=True)
class TurnCommitted:
    """The user has finished a spoken turn: it will be item `item`, unless an ItemDeleted says that it was nothing."""

    item: str
    previous: str | None


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """The conversation has a new item, behind item `previous` (None: at the beginning)."""

    item: Item
    previous: str | None


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    """It is no part of the conversation (any more): deleted, taken back, or a sound without words."""

    item: str


@dataclass(frozen=True, slots=True)
class ItemTruncated:
    """The text of item `item` is now what was heard in `ms` of its audio."""

    item: str
    ms: float
    text: str


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """A reply begins. `key` is the client's name for it, "" where it asked for none.

    Its words will be item `item` ("": it is not part of the conversation), behind item `previous` (None: at the
    beginning).
    """

    reply: str
    item: str
    key: str
    spoken: bool
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class TextOut:
    """Model tokens as they come, of reply `reply`. The last one of a reply has `is_final` and may be empty."""

    reply: str
    text: str
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class AudioOut:
    """Samples of reply `reply` in the order they are to be played. `text`: the clause they belong to, as it is said;
    `text_end`: how many characters of the reply's text are over with it.

    `starts_clause` is true for the first piece of a clause. `is_last` marks the end of the reply's audio
    (codecs with a container flush there); it may hold no samples.
    """

    reply: str
    pcm: Pcm
    rate_hz: int
    text: str
    starts_clause: bool
    is_last: bool = False
    text_end: int = 0


@dataclass(frozen=True, slots=True)
class TurnComplete:
    """A turn is over, one way or the other; sent exactly once for every confirmed turn.

    `output_transcript` is what the model wrote, `heard_transcript` what was really played.
    `latency` is the ledger: milliseconds since the end of speech for each stage that was reached.
    `key`, `item`: as in ReplyStarted; `user_item`: what was answered, "" for a reply that the client asked for.
    `reason` says why a reply was not completed: turn_detected or client_cancelled, max_output_tokens or
    content_filter, or the code of the error.
    """

    reply: str
    input_transcript: str
    output_transcript: str
    heard_transcript: str
    tools_called: tuple[str, ...]
    interrupted: bool
    tokens_in: int
    tokens_out: int
    cost: float
    latency_ms: float
    latency: Mapping[str, float] = field(default_factory=dict)
    key: str = ""
    item: str = ""
    user_item: str = ""
    status: Literal["completed", "cancelled", "incomplete", "failed"] = "completed"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TurnNoted:
    """A spoken turn that had no answer is over, once for each: its words are written down, or are not to be had.

    `latency` is the ledger as in TurnComplete; `reason`: the code of the error, for one that failed.
    """

    item: str
    status: Literal["transcribed", "failed"]
    reason: str = ""
    latency: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The answer takes long; told again and again while it does. `reply` is "" while the words are awaited.

    `awaits`: transcript, queue (`position` in the line, 1 is the next), loading (`progress` 0..1 where it is known),
    answer, voice. `since_s`: how long nothing has come by now.
    """

    reply: str
    awaits: Literal["transcript", "queue", "loading", "answer", "voice"]
    since_s: float
    progress: float | None = None
    position: int = 0


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Output stops now: drop what is still buffered. `partial_output` is what was heard."""

    reply: str
    partial_output: str


@dataclass(frozen=True, slots=True)
class WakeWordRequired:
    message: str


@dataclass(frozen=True, slots=True)
class WakeLost:
    """This device heard the wake word, and another one of its user heard it better: that one answers."""

    word: str
    at_s: float


@dataclass(frozen=True, slots=True)
class ErrorOut:
    """`event_id`: the client's message that caused it. `item`: the turn that it ended."""

    code: str
    message: str
    hint: str = ""
    event_id: str = ""
    item: str = ""


@dataclass(frozen=True, slots=True)
class Pong:
    pass


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user began to speak at `at_s` of the session's audio; their words will be item `item`."""

    at_s: float
    item: str = ""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    at_s: float
    item: str = ""


@dataclass(frozen=True, slots=True)
class WakeOut:
    word: str
    score: float
    at_s: float


@dataclass(frozen=True, slots=True)
class StateOut:
    """idle, asleep, hearing, thinking, speaking or paused (output held while an interruption is judged)."""

    state: str


@dataclass(frozen=True, slots=True)
class ToolCallOut:
    """The client is to run a tool. `arguments` is JSON as the model wrote it; it will be item `item`."""

    call_id: str
    name: str
    arguments: str
    reply: str = ""
    item: str = ""


ServerEvent = (
    Ready
    | TranscriptOut
    | TurnCommitted
    | ItemAdded
    | ItemDeleted
    | ItemTruncated
    | ReplyStarted
    | TextOut
    | AudioOut
    | TurnComplete
    | TurnNoted
    | Waiting
    | Interrupted
    | WakeWordRequired
    | ErrorOut
    | Pong
    | SpeechStarted
    | SpeechStopped
    | WakeLost
    | WakeOut
    | StateOut
    | ToolCallOut
)
