"""What a client can say to a session: one union, made by the protocol codecs, read by the session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Clear",
    "Close",
    "ClientEvent",
    "ContainerAudio",
    "EndTurn",
    "Interrupt",
    "Ping",
    "Played",
    "RawAudio",
    "ToolResult",
    "Update",
]


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
    """The turn ends now. With text: that is the turn. Without: commit the audio heard so far."""

    transcript: str | None = None


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


ClientEvent = RawAudio | ContainerAudio | EndTurn | Interrupt | Ping | Close | Played | Clear | Update | ToolResult
