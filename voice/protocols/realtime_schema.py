"""The shapes of the Realtime API's session object, as they are checked. Pure. Unknown fields are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

__all__ = [
    "FORMATS",
    "Kind",
    "Limit",
    "Modalities",
    "Prompt",
    "Reasoning",
    "ResponseAudio",
    "SessionShape",
    "Tool",
    "ToolChoice",
    "chat_tool",
    "chosen_tool",
    "format_json",
    "without_null",
]

Kind = Literal["realtime", "transcription"]
FORMATS: dict[str, tuple[str, int]] = {
    "audio/pcm": ("pcm", 24_000),
    "audio/pcmu": ("g711_ulaw", 8_000),
    "audio/pcma": ("g711_alaw", 8_000),
}
"""Codec and rate in Hz of what the client says and hears. Inside, replies have 24 kHz whatever it is."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


_Text = Annotated[str, StringConstraints(max_length=262_144)]
_Name = Annotated[str, StringConstraints(max_length=256)]


class _Format(_Part):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: int | None = None

    @model_validator(mode="after")
    def _rate(self) -> _Format:
        wanted = FORMATS[self.type][1]
        if self.rate not in (None, wanted):
            raise ValueError(f"{self.type} has a rate of {wanted} Hz")
        return self


class _Transcription(_Part):
    model: _Name | None = None
    language: _Name | None = None
    prompt: _Text | None = None


class _Detection(_Part):
    type: Literal["server_vad", "semantic_vad"]
    threshold: Annotated[float | None, Field(ge=0, le=1)] = None
    prefix_padding_ms: Annotated[int | None, Field(ge=0, le=5000)] = None
    silence_duration_ms: Annotated[int | None, Field(ge=0, le=10_000)] = None
    idle_timeout_ms: Annotated[int | None, Field(ge=1, le=600_000)] = None
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


class _Noise(_Part):
    type: Literal["near_field", "far_field"] | None = None


class _Input(_Part):
    format: _Format = _Format(type="audio/pcm")
    transcription: _Transcription | None = None
    noise_reduction: _Noise | None = None
    turn_detection: _Detection | None = None


def _voice_name(value: object) -> object:
    """A custom voice is an object with an id."""
    return value.get("id") if isinstance(value, Mapping) else value


class _Output(_Part):
    format: _Format = _Format(type="audio/pcm")
    voice: Annotated[_Name, BeforeValidator(_voice_name)] = "alloy"
    speed: Annotated[float, Field(ge=0.25, le=1.5)] = 1.0


class _Audio(_Part):
    input: _Input = _Input()
    output: _Output = _Output()


class Tool(_Part):
    type: Literal["function"] = "function"
    name: Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9_.:/-]+$")]
    description: _Text | None = None
    parameters: dict[str, Any] | None = None


class _McpServer(_Part):
    """A server of tools. None is asked here; keys for one (`authorization`, `headers`) are not kept."""

    type: Literal["mcp"]
    server_label: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    server_url: _Text | None = None
    connector_id: _Name | None = None
    server_description: _Text | None = None
    allowed_tools: list[_Name] | dict[str, Any] | None = None
    require_approval: Literal["always", "never"] | dict[str, Any] | None = None


def _kind_of_tool(value: Any) -> str:
    kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    return "_mcp" if kind == "mcp" else "_function"


_AnyTool = Annotated[
    Annotated[Tool, Tag("_function")] | Annotated[_McpServer, Tag("_mcp")], Discriminator(_kind_of_tool)
]


class _NamedTool(_Part):
    type: Literal["function"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]


ToolChoice = Literal["auto", "none", "required"] | _NamedTool


def _one_modality(value: list[str]) -> list[str]:
    if len(value) != 1:
        raise ValueError("supported combinations are ['text'] and ['audio']")
    return value


Modalities = Annotated[list[Literal["text", "audio"]], AfterValidator(_one_modality)]
"""Spoken answers bring their text. The beta's ["text", "audio"] has become ["audio"] before it comes here."""
Limit = Annotated[int, Field(ge=1, le=131_072)] | Literal["inf"]


class _TokenLimits(_Part):
    post_instructions: Annotated[int | None, Field(ge=0)] = None


class _Retention(_Part):
    type: Literal["retention_ratio"]
    retention_ratio: Annotated[float, Field(ge=0, le=1)]
    token_limits: _TokenLimits | None = None


class _Tracing(_Part):
    workflow_name: _Name | None = None
    group_id: _Name | None = None
    metadata: dict[str, Any] | None = None


class Prompt(_Part):
    id: _Name
    version: _Name | None = None
    variables: dict[str, Any] | None = None


class Reasoning(_Part):
    effort: _Name | None = None


class SessionShape(_Part):
    """What is checked; fields beside these are kept as they are."""

    type: Kind = "realtime"
    model: _Name = ""
    output_modalities: Modalities = ["audio"]
    instructions: _Text = ""
    audio: _Audio = _Audio()
    tools: Annotated[list[_AnyTool], Field(max_length=128)] = []
    tool_choice: ToolChoice = "auto"
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    max_output_tokens: Limit = "inf"
    truncation: Literal["auto", "disabled"] | _Retention = "auto"
    tracing: Literal["auto"] | _Tracing | None = None
    prompt: Prompt | None = None
    include: Annotated[list[Literal["item.input_audio_transcription.logprobs"]] | None, Field(max_length=16)] = None
    reasoning: Reasoning | None = None
    parallel_tool_calls: bool | None = None
    record: bool = False
    """Ours: consent to be recorded."""


class ResponseAudio(_Part):
    """The `audio` of a `response.create`: only how it is said."""

    output: _Output = _Output()


def format_json(kind: str) -> dict[str, Any]:
    """A format as it is shown: only PCM could have had another rate."""
    return {"type": kind, "rate": 24_000} if kind == "audio/pcm" else {"type": kind}


def chat_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """As chat models are told of it: the API's tools are flat."""
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def chosen_tool(choice: Any) -> str | dict[str, Any]:
    """The same for the choice of one."""
    if isinstance(choice, str):
        return choice
    name = choice["name"] if isinstance(choice, Mapping) else choice.name
    return {"type": "function", "function": {"name": name}}


def without_null(value: Any) -> Any:
    """Without the fields that are null, however deep: for the shapes they are not there."""
    if isinstance(value, Mapping):
        return {key: without_null(inner) for key, inner in value.items() if inner is not None}
    return value
