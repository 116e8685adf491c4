"""The body of POST /v1/chat/completions, checked, as a GenerateRequest.

OpenAI's names and ranges (API reference, chat completions). Unknown fields are taken and ignored, as OpenAI's own
clients send new ones all the time; a known field that cannot be served is refused, because an answer that silently
leaves out half of the request costs more than an error.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from llm.messages import GenerateRequest, Message, Priority, Role, Sampling, ToolCall
from models.errors import BadInput

__all__ = ["ChatRequest", "to_generate"]

_MAX_MESSAGES = 10_000
_MAX_STOPS = 16


class _Wire(BaseModel):
    # Strict: "1" is no number and 1 no text. A whole number in a float's place is fine, as in JSON.
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


class _Part(_Wire):
    type: str
    text: str | None = None
    refusal: str | None = None


class _Function(_Wire):
    name: Annotated[str, Field(max_length=256)]
    arguments: str = ""


class _ToolCall(_Wire):
    id: str = ""
    type: str = "function"
    function: _Function


class _Message(_Wire):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None
    name: str | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None


class _StreamOptions(_Wire):
    include_usage: bool = False


class _ResponseFormat(_Wire):
    type: str = "text"


class ChatRequest(_Wire):
    """None is OpenAI's "not given" for every optional field."""

    messages: Annotated[list[_Message], Field(min_length=1, max_length=_MAX_MESSAGES)]
    model: Annotated[str, Field(max_length=512)] = ""
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=100_000)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    stop: str | Annotated[list[str], Field(max_length=_MAX_STOPS)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    repeat_penalty: Annotated[float, Field(gt=0, le=10)] | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=128)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    n: int | None = None
    logprobs: bool | None = None
    response_format: _ResponseFormat | None = None

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


def to_generate(body: ChatRequest, user: str) -> GenerateRequest:
    """Raises BadInput, naming the field, for what is not served here yet."""
    if body.n not in (None, 1):
        raise BadInput("n: one answer a request is made here", param="n")
    if body.logprobs:
        raise BadInput("logprobs are not given here", param="logprobs")
    if body.response_format is not None and body.response_format.type != "text":
        raise BadInput("only the text response format is served here", param="response_format.type")
    return GenerateRequest(
        messages=tuple(_message(message, index) for index, message in enumerate(body.messages)),
        model=body.model,
        sampling=Sampling(
            temperature=body.temperature,
            top_p=body.top_p,
            top_k=body.top_k,
            min_p=body.min_p,
            max_tokens=body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens,
            stop=_stops(body.stop),
            seed=body.seed,
            frequency_penalty=body.frequency_penalty,
            presence_penalty=body.presence_penalty,
            repeat_penalty=body.repeat_penalty,
            logit_bias=_biases(body.logit_bias),
        ),
        tools=tuple(body.tools or ()),
        tool_choice=body.tool_choice,
        priority=Priority.INTERACTIVE,
        user=user,
    )


def _message(message: _Message, index: int) -> Message:
    where = f"messages.{index}"
    role: Role = "tool" if message.role == "function" else message.role
    if message.content is None and not message.tool_calls and role != "assistant":
        raise BadInput(f"{where}.content is missing", param=f"{where}.content")
    calls = tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ())
    return Message(role, _text(message.content, f"{where}.content"), calls, message.tool_call_id, message.name)


def _text(content: str | list[_Part] | None, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts = []
    for index, part in enumerate(content):
        text = part.text if part.type == "text" else part.refusal if part.type == "refusal" else None
        if text is None:
            raise BadInput(
                f"{where}.{index}: parts of type {part.type[:40]!r} are not understood here",
                param=f"{where}.{index}.type",
                hint="text parts are",
            )
        texts.append(text)
    return "".join(texts)


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if any(not text for text in stops):
        raise BadInput("stop must not be empty text", param="stop")
    return stops


def _biases(biases: dict[str, float] | None) -> dict[int, float]:
    found = {}
    for token, bias in (biases or {}).items():
        if not token.isdecimal() or len(token) > 9:
            raise BadInput("the keys of logit_bias are token numbers", param="logit_bias")
        found[int(token)] = bias
    return found
