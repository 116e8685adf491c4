"""What a client can say to a session: one union, made by the protocol codecs, read by the session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm.messages import Message
from voice.errors import ProtocolError
from voice.mouth.reply_options import ReplyOptions

__all__ = [
    "AddAudio",
    "AddMessage",
    "CancelResponse",
    "Clear",
    "Close",
    "ClientEvent",
    "ContainerAudio",
    "DeleteItem",
    "EndTurn",
    "Interrupt",
    "Ping",
    "Played",
    "RawAudio",
    "Respond",
    "Resume",
    "ToolResult",
    "Truncate",
    "Update",
    "MAX_INPUT",
    "MAX_TYPED",
    "check_length",
]

MAX_TYPED = 20_000
"""Characters of a typed turn: more is no turn of a conversation."""
MAX_INPUT = 200_000
"""Characters of what a client gives to read: a document, the result of a tool, all messages for one reply."""


def check_length(text: str, most: int = MAX_TYPED) -> None:
    """Raises ProtocolError."""
    if len(text) > most:
        raise ProtocolError(f"A message of {len(text)} characters", hint=f"send at most {most} characters at a time")


@dataclass(frozen=True, slots=True)
class RawAudio:
    """PCM16 little-endian mono at the session's `input_rate`; an even number of bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ContainerAudio:
    """A piece of one continuous stream in the session's `input_format` (webm, opus, wav, mp3, pcm).

    `transcript` is what an older client that recognises speech itself says it heard so far.
    """

    data: bytes
    transcript: str = ""
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The turn ends now. With text: that is the turn. Without: commit the audio heard so far.

    `event_id`: an error answers it; a client that gives none does not want to be told that its turn is over already.
    """

    transcript: str | None = None
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class Interrupt:
    pass


@dataclass(frozen=True, slots=True)
class Ping:
    pass


@dataclass(frozen=True, slots=True)
class Close:
    pass


@dataclass(frozen=True, slots=True)
class Played:
    """The client has played `ms` of the audio of reply `reply`."""

    reply: str
    ms: float


@dataclass(frozen=True, slots=True)
class Resume:
    """First message of a client that is back: the first `ms` of reply `reply` need not be sent again.

    `reply` None: it does not know where it stopped; "": it has not heard anything of any reply.
    """

    reply: str | None = None
    ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget the audio of the turn that is being spoken."""


@dataclass(frozen=True, slots=True)
class Update:
    """Configuration fields to change, by section, not yet checked."""

    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResult:
    call_id: str
    output: str


# What follows goes to the turn machine as it is. `event_id` is the client's name for the message; an error that it
# causes carries it back.


@dataclass(frozen=True, slots=True)
class AddMessage:
    """Put a message into the conversation; nobody is answered.

    It stands behind item `previous_item_id` ("root": at the beginning; None: at the end). `item_id` "" lets the
    conversation choose one.
    """

    message: Message
    item_id: str = ""
    previous_item_id: str | None = None
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class AddAudio:
    """The same with `audio` in the session's input format: its words become the content of the message."""

    audio: bytes
    add: AddMessage


@dataclass(frozen=True, slots=True)
class DeleteItem:
    item_id: str
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer now. While the user speaks, or is being transcribed, it waits for the end of their turn."""

    options: ReplyOptions = ReplyOptions()
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class CancelResponse:
    """Stop reply `reply`; None: the one of the conversation."""

    reply: str | None = None
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class Truncate:
    """The user heard only the first `ms` of `target`, a reply or its item; during the reply, or after it."""

    target: str
    ms: float
    event_id: str = ""


ClientEvent = (
    RawAudio
    | ContainerAudio
    | EndTurn
    | Interrupt
    | Ping
    | Close
    | Played
    | Resume
    | Clear
    | Update
    | ToolResult
    | AddMessage
    | AddAudio
    | DeleteItem
    | Respond
    | CancelResponse
    | Truncate
)
