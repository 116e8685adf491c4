"""What a Realtime client sends, as events of our own. Pure. An ill-formed one is a RealtimeError that names a field.

Unknown fields are ignored. The beta's `transcription_session.update` is a `session.update`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.strict_json import strict_loads
from voice.errors import FrameTooLarge
from voice.protocols.realtime_errors import invalid

__all__ = [
    "MAX_AUDIO_BYTES",
    "AppendAudio",
    "Asked",
    "CancelReply",
    "ClearInput",
    "ClearOutput",
    "CommitInput",
    "CreateItem",
    "CreateReply",
    "DropItem",
    "RealtimeClientEvent",
    "RetrieveItem",
    "TruncateItem",
    "UpdateSession",
    "decoded_audio",
    "event_id_of",
    "parse_event",
    "parse_frame",
]

MAX_AUDIO_BYTES = 15 * 2**20
"""Of the base64 text of one append, as with OpenAI."""
MAX_FRAME_BYTES = 16 * 2**20
"""The server's WebSocket takes no more either."""


@dataclass(frozen=True, slots=True)
class UpdateSession:
    session: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AppendAudio:
    """Bytes in the session's input format."""

    data: bytes


@dataclass(frozen=True, slots=True)
class CommitInput:
    pass


@dataclass(frozen=True, slots=True)
class ClearInput:
    pass


@dataclass(frozen=True, slots=True)
class ClearOutput:
    pass


@dataclass(frozen=True, slots=True)
class CreateItem:
    item: object
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class RetrieveItem:
    item_id: str


@dataclass(frozen=True, slots=True)
class TruncateItem:
    item_id: str
    content_index: int
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class DropItem:
    item_id: str


@dataclass(frozen=True, slots=True)
class CreateReply:
    response: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CancelReply:
    response_id: str | None


RealtimeClientEvent = (
    UpdateSession
    | AppendAudio
    | CommitInput
    | ClearInput
    | ClearOutput
    | CreateItem
    | RetrieveItem
    | TruncateItem
    | DropItem
    | CreateReply
    | CancelReply
)


@dataclass(frozen=True, slots=True)
class Asked:
    """An event of the client. `event_id` is its name for it."""

    event: RealtimeClientEvent
    event_id: str | None = None


_TYPES = (
    "session.update",
    "transcription_session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "output_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "conversation.item.delete",
    "response.create",
    "response.cancel",
)


def parse_frame(frame: str | bytes) -> dict[str, Any]:
    """A frame as a JSON object. Raises RealtimeError, or FrameTooLarge after which nobody listens any more."""
    if len(frame) > MAX_FRAME_BYTES:
        raise FrameTooLarge(f"an event may hold {MAX_FRAME_BYTES} bytes", hint="append audio in smaller pieces")
    if not isinstance(frame, str):
        raise invalid("Events are JSON in text frames.", None, code="invalid_json", hint="audio goes base64 into one")
    try:
        message = strict_loads(frame)
    except (ValueError, RecursionError):
        raise invalid("The event is not valid JSON.", None, code="invalid_json") from None
    if not isinstance(message, dict):
        raise invalid("An event is a JSON object.", None, code="invalid_json")
    # Half a surrogate pair ("\\ud800") is allowed in JSON, and no UTF-8 writer would take it later.
    return _printable(message) if "\\u" in frame else message


def event_id_of(message: Mapping[str, Any]) -> str | None:
    """The client's name for the event, for the error that it may cause."""
    name = message.get("event_id")
    return name[:512] if isinstance(name, str) else None


def parse_event(message: Mapping[str, Any]) -> RealtimeClientEvent:
    """Raises RealtimeError."""
    if not isinstance(message.get("event_id"), str | None):
        raise invalid("'event_id' must be a string.", "event_id", code="invalid_type")
    match message.get("type"):
        case "session.update" | "transcription_session.update":
            return UpdateSession(_object(message, "session"))
        case "input_audio_buffer.append":
            return AppendAudio(decoded_audio(_text(message, "audio") or "", "audio"))
        case "input_audio_buffer.commit":
            return CommitInput()
        case "input_audio_buffer.clear":
            return ClearInput()
        case "output_audio_buffer.clear":
            return ClearOutput()
        case "conversation.item.create":
            return CreateItem(_object(message, "item"), _text(message, "previous_item_id", required=False))
        case "conversation.item.retrieve":
            return RetrieveItem(_text(message, "item_id") or "")
        case "conversation.item.truncate":
            return TruncateItem(
                _text(message, "item_id") or "", _number(message, "content_index"), _number(message, "audio_end_ms")
            )
        case "conversation.item.delete":
            return DropItem(_text(message, "item_id") or "")
        case "response.create":
            given = message.get("response")
            return CreateReply({} if given is None else _object(message, "response"))
        case "response.cancel":
            return CancelReply(_text(message, "response_id", required=False))
        case None:
            raise invalid("Missing required parameter: 'type'.", "type", code="missing_required_parameter")
        case str(name):
            shown = "".join(letter for letter in name[:64] if letter.isprintable())
            raise invalid(f"Invalid value: '{shown}'. Supported values are: {', '.join(_TYPES)}.", "type")
        case _:
            raise invalid("'type' must be a string.", "type", code="invalid_type")


def _missing(field: str) -> Exception:
    return invalid(f"Missing required parameter: '{field}'.", field, code="missing_required_parameter")


def _object(message: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = message.get(field)
    if value is None:
        raise _missing(field)
    if not isinstance(value, Mapping):
        raise invalid(f"'{field}' must be an object.", field, code="invalid_type")
    return value


def _text(message: Mapping[str, Any], field: str, *, required: bool = True) -> str | None:
    value = message.get(field)
    if value is None:
        if required:
            raise _missing(field)
        return None
    if not isinstance(value, str):
        raise invalid(f"'{field}' must be a string.", field, code="invalid_type")
    return value


def _number(message: Mapping[str, Any], field: str) -> int:
    value = message.get(field)
    if value is None:
        raise _missing(field)
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(f"'{field}' must be an integer.", field, code="invalid_type")
    if not 0 <= value < 2**31:
        raise invalid(f"'{field}' must be zero or more.", field)
    return value


def decoded_audio(text: str, param: str) -> bytes:
    """Raises RealtimeError."""
    if len(text) > MAX_AUDIO_BYTES:
        raise invalid("One event may hold 15 MiB of audio.", param, hint="send it in smaller pieces")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f"'{param}' is not valid base64.", param) from None


def _printable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case dict():
            return {_printable(key): _printable(inner) for key, inner in value.items()}
        case list():
            return [_printable(inner) for inner in value]
        case _:
            return value
