"""Items of a Realtime conversation: as clients write them, as they are shown, and as the model is told them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from llm.convert.content import read_image
from llm.messages import ImagePart, Message, TextPart, ToolCall
from models.errors import BadInput
from voice.protocols.realtime_client import decoded_audio
from voice.protocols.realtime_errors import invalid, of_validation
from voice.session.incoming import MAX_INPUT

__all__ = ["Part", "WireItem", "image_bytes", "item_json", "message_of", "parse_item"]

Role = Literal["user", "assistant", "system"]
Status = Literal["in_progress", "completed", "incomplete"]


@dataclass(frozen=True, slots=True)
class Part:
    """`kind` as in the GA API: input_text, input_audio, input_image, output_text, output_audio. `text` None: there is
    none, or it is not known yet."""

    kind: str
    text: str | None
    audio: bytes = b""
    """Of a part that came without a transcript; it is not given back."""
    image: ImagePart | None = None
    """Nor is this."""


@dataclass(frozen=True, slots=True)
class WireItem:
    """One of three: a message (role, content), a function_call (name, call_id, text), its output (call_id, text)."""

    id: str
    type: Literal["message", "function_call", "function_call_output"]
    role: Role | None = None
    content: tuple[Part, ...] = ()
    status: Status = "completed"
    name: str = ""
    call_id: str = ""
    text: str = ""
    """The arguments of a call, or the output of one."""


def image_bytes(item: WireItem) -> int:
    return sum(len(part.image.data) for part in item.content if part.image is not None)


def item_json(item: WireItem) -> dict[str, Any]:
    """The item as the API shows it. Audio is not given back, only its transcript; nor are images."""
    head = {"id": item.id, "object": "realtime.item", "type": item.type, "status": item.status}
    match item.type:
        case "message":
            return {**head, "role": item.role, "content": [_part_json(part) for part in item.content]}
        case "function_call":
            return {**head, "name": item.name, "call_id": item.call_id, "arguments": item.text}
        case "function_call_output":
            return {**head, "call_id": item.call_id, "output": item.text}


def _part_json(part: Part) -> dict[str, Any]:
    if part.image is not None:
        return {"type": part.kind, "detail": part.image.detail or "auto"}
    return {"type": part.kind, "transcript" if part.kind.endswith("audio") else "text": part.text}


def message_of(item: WireItem) -> Message:
    """What the model is told of it."""
    match item.type:
        case "message":
            text = "\n".join(part.text for part in item.content if part.text)
            shown = any(part.image is not None for part in item.content)
            parts = (part.image or TextPart(part.text or "") for part in item.content if part.image or part.text)
            return Message(item.role or "user", text, parts=tuple(parts) if shown else ())
        case "function_call":
            return Message("assistant", "", tool_calls=(ToolCall(item.call_id, item.name, item.text),))
        case "function_call_output":
            return Message("tool", item.text, tool_call_id=item.call_id)


# ---- from the client ----------------------------------------------------------------------------------------

_Text = Annotated[str, StringConstraints(max_length=MAX_INPUT)]
_Id = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class _Content(_Shape):
    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio", "text", "audio"]
    text: _Text | None = None
    transcript: _Text | None = None
    audio: str | None = None
    image_url: str | None = None
    detail: Literal["auto", "low", "high"] | None = None


class _Head(_Shape):
    id: _Id | None = None
    status: Status | None = None
    type: Literal["message", "function_call", "function_call_output"]


class _Message(_Head):
    role: Role
    content: Annotated[list[_Content], Field(max_length=256)]


class _Call(_Head):
    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    call_id: _Id | None = None
    arguments: _Text


class _CallOutput(_Head):
    call_id: _Id
    output: _Text


_SHAPES: dict[str, type[_Head]] = {"message": _Message, "function_call": _Call, "function_call_output": _CallOutput}
_KINDS: dict[Role, tuple[str, ...]] = {
    "user": ("input_text", "input_audio", "input_image"),
    "assistant": ("output_text", "output_audio"),
    "system": ("input_text",),
}
_DATA_URL = "send a data URL: data:image/jpeg;base64,..."
_OF_ASSISTANT = {"text": "output_text", "audio": "output_audio", "input_text": "output_text"}
"""Other names that clients have for what an assistant said: those of the beta, and that of any other text."""


def parse_item(fields: object, param: str, new_id: str) -> WireItem:
    """An item that a client wants added; `new_id` is its id unless it brings one. Raises RealtimeError."""
    if not isinstance(fields, Mapping):
        raise invalid(f"'{param}' must be an object.", param, code="invalid_type")
    try:
        head = _Head.model_validate({name: fields[name] for name in ("id", "status", "type") if name in fields})
        shape = _SHAPES[head.type].model_validate(dict(fields))
    except ValidationError as error:
        raise of_validation(error, param) from None
    id, status = head.id or new_id, head.status or "completed"
    match shape:
        case _Message():
            if not shape.content:
                raise invalid(
                    f"Invalid '{param}.content': empty array. Expected an array with minimum length 1.",
                    f"{param}.content",
                    code="empty_array",
                )
            parts = tuple(_part(part, shape.role, f"{param}.content[{at}]") for at, part in enumerate(shape.content))
            if len(parts) > 1 and any(part.audio for part in parts):
                raise invalid("Audio without a transcript stands alone in its item.", f"{param}.content")
            return WireItem(id, "message", shape.role, parts, status)
        case _Call():
            call_id = shape.call_id or f"call_{id}"
            return WireItem(id, "function_call", None, (), status, shape.name, call_id, shape.arguments)
        case _CallOutput():
            return WireItem(id, "function_call_output", None, (), status, "", shape.call_id, shape.output)
    raise AssertionError("one of the shapes above")


def _part(part: _Content, role: Role, param: str) -> Part:
    kind = _OF_ASSISTANT.get(part.type, part.type) if role == "assistant" else part.type
    if kind not in _KINDS[role]:
        wanted = ", ".join(_KINDS[role])
        raise invalid(
            f"Invalid value: '{part.type}'. Content of a message of the {role} is {wanted}.", f"{param}.type"
        )
    if kind == "input_image":
        return Part(kind, None, image=_image(part, f"{param}.image_url"))
    if kind.endswith("audio"):
        if part.transcript is None and part.audio and role == "user":
            return Part(kind, None, decoded_audio(part.audio, f"{param}.audio"))
        if part.transcript is None:
            raise invalid(
                "Audio in an item needs its transcript here.",
                f"{param}.transcript",
                code="missing_required_parameter",
                hint="send audio to be understood with input_audio_buffer.append",
            )
        return Part(kind, part.transcript)
    if part.text is None:
        raise invalid(
            f"Missing required parameter: '{param}.text'.", f"{param}.text", code="missing_required_parameter"
        )
    return Part(kind, part.text)


def _image(part: _Content, param: str) -> ImagePart:
    if part.image_url is None:
        raise invalid(f"Missing required parameter: '{param}'.", param, code="missing_required_parameter")
    try:
        image = read_image(part.image_url, part.detail, param)
    except BadInput as error:
        raise invalid(f"Invalid '{param}': {error.message}.", param, hint=_DATA_URL) from None
    if not image.data:
        raise invalid(f"Invalid '{param}': images are not fetched here.", param, hint=_DATA_URL)
    return image
