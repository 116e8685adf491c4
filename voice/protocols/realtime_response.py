"""The `response` of a `response.create`: how this one answer is wished, over the session's configuration. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from llm.messages import Message
from voice.mouth.reply_options import ReplyOptions
from voice.protocols.realtime_beta import from_beta
from voice.protocols.realtime_errors import invalid, of_validation
from voice.protocols.realtime_items import WireItem, message_of, parse_item
from voice.protocols.realtime_schema import (
    Limit,
    Modalities,
    Prompt,
    Reasoning,
    ResponseAudio,
    Tool,
    ToolChoice,
    chat_tool,
    chosen_tool,
    format_json,
    without_null,
)
from voice.protocols.realtime_voices import voice_of

__all__ = ["ReplyWish", "parse_response"]

MAX_INPUT_ITEMS = 1000


@dataclass(frozen=True, slots=True)
class ReplyWish:
    """`fields` are those of the response object that the client set."""

    options: ReplyOptions
    in_conversation: bool
    fields: Mapping[str, Any]

    def out_of_band(self, speaks: bool) -> bool:
        """It needs no floor: text, beside the conversation. `speaks`: the session's answers are spoken."""
        spoken = speaks if self.options.spoken is None else self.options.spoken
        return not self.in_conversation and not spoken

    @property
    def voice(self) -> str | None:
        """As the client named it; None for the session's."""
        return self.fields.get("voice")


class _Response(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    conversation: Literal["auto", "none"] | None = None
    metadata: (
        Annotated[
            dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
            Field(max_length=16),
        ]
        | None
    ) = None
    output_modalities: Modalities | None = None
    instructions: Annotated[str, StringConstraints(max_length=262_144)] | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: ToolChoice | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_output_tokens: Limit | None = None
    audio: ResponseAudio | None = None
    input: Annotated[list[Any], Field(max_length=MAX_INPUT_ITEMS)] | None = None
    prompt: Prompt | None = None
    reasoning: Reasoning | None = None
    parallel_tool_calls: bool | None = None
    """These three are checked and have no effect."""


def parse_response(
    given: Mapping[str, Any],
    item_of: Callable[[str], WireItem | None],
    awaits_words: Callable[[str], bool],
    new_id: Callable[[str], str],
    max_tokens: int,
) -> ReplyWish:
    """`item_of` finds the items that `input` refers to, `awaits_words` says of which the words are not known yet;
    `max_tokens` is what "inf" means. Raises RealtimeError."""
    fields = from_beta(given)
    if isinstance(fields.get("audio"), Mapping):
        fields["audio"] = without_null(fields["audio"])
    try:
        wish = _Response.model_validate(fields)
    except ValidationError as error:
        raise of_validation(error, "response") from None
    messages = None
    if wish.input is not None:
        messages = tuple(_message(item, at, item_of, new_id) for at, item in enumerate(wish.input))
    output = wish.audio.output if wish.audio is not None else ResponseAudio().output
    remembered = wish.conversation != "none"
    options = ReplyOptions(
        key=new_id("reply"),
        instructions=wish.instructions,
        tools=None
        if wish.tools is None
        else tuple(chat_tool(tool.model_dump(exclude_none=True)) for tool in wish.tools),
        tool_choice=None if wish.tool_choice is None else chosen_tool(wish.tool_choice),
        temperature=wish.temperature,
        max_tokens=max_tokens if wish.max_output_tokens == "inf" else wish.max_output_tokens,
        spoken=None if wish.output_modalities is None else "audio" in wish.output_modalities,
        voice=voice_of(output.voice) if "voice" in output.model_fields_set else None,
        speed=output.speed if "speed" in output.model_fields_set else None,
        input=messages,
        remembered=remembered,
        about=tuple(
            (at, item["id"]) for at, item in enumerate(wish.input or ()) if _refers(item) and awaits_words(item["id"])
        ),
    )
    told = {name: fields[name] for name in ("metadata", "max_output_tokens") if fields.get(name) is not None}
    if "voice" in output.model_fields_set:
        told["voice"] = output.voice
    if "format" in output.model_fields_set:
        told["format"] = format_json(output.format.type)
    return ReplyWish(options, remembered, told)


def _refers(item: Any) -> bool:
    return isinstance(item, Mapping) and item.get("type") == "item_reference"


def _message(item: Any, at: int, item_of: Callable[[str], WireItem | None], new_id: Callable[[str], str]) -> Message:
    param = f"response.input[{at}]"
    if _refers(item):
        name = item.get("id")
        found = item_of(name) if isinstance(name, str) else None
        if found is None:
            raise invalid("There is no item with this id.", f"{param}.id", code="invalid_item_reference")
        return message_of(found)
    parsed = parse_item(item, param, new_id("item"))
    if any(part.audio for part in parsed.content):
        hint = "add it to the conversation first, and refer to it"
        raise invalid("Audio in the input of a response needs its transcript here.", param, hint=hint)
    return message_of(parsed)
