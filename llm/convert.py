"""Between OpenAI's wire and our own nouns. Pure.

`parse_chat` and `to_request` read a client's request; `to_body` writes one for a server; `ChunkWriter` and
`completion` write answers. chunk_reader.py reads a server's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from llm.messages import GenerateRequest, Message, Priority, Sampling, ToolCall
from llm.stream import Finish, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, Usage
from llm.wire.chat import ChatMessage, ChatRequest
from models.errors import BadInput, ParleyError

__all__ = [
    "ChunkWriter",
    "SamplingFields",
    "completion",
    "error_object",
    "grammar_schema",
    "parse_body",
    "parse_chat",
    "sampling_of",
    "to_body",
    "to_request",
    "usage_object",
]

MAX_STOP = 16
MAX_STOP_CHARS = 500
MAX_BIAS = 100.0

_Model = TypeVar("_Model", bound=BaseModel)


class SamplingFields(Protocol):
    """The fields that chat and text completion requests share."""

    @property
    def temperature(self) -> float | None: ...
    @property
    def top_p(self) -> float | None: ...
    @property
    def top_k(self) -> int | None: ...
    @property
    def min_p(self) -> float | None: ...
    @property
    def stop(self) -> str | list[str] | None: ...
    @property
    def seed(self) -> int | None: ...
    @property
    def frequency_penalty(self) -> float | None: ...
    @property
    def presence_penalty(self) -> float | None: ...
    @property
    def repeat_penalty(self) -> float | None: ...
    @property
    def logit_bias(self) -> dict[str, float] | None: ...


def parse_chat(body: object) -> ChatRequest:
    """Check the body of a chat completion request. Raises BadInput with `param` naming the field."""
    return parse_body(ChatRequest, body)


def parse_body(kind: type[_Model], body: object) -> _Model:
    """Check a JSON object against a wire type. Raises BadInput with `param` naming the first wrong field."""
    if not isinstance(body, Mapping):
        raise BadInput("the request body must be a JSON object")
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
        raise BadInput(f"{path}: {first['msg'][:1].lower()}{first['msg'][1:]}", param=path) from None


def to_request(chat: ChatRequest, *, user: str = "", priority: Priority = Priority.INTERACTIVE) -> GenerateRequest:
    """Raises BadInput for what cannot be done: images, audio, several choices, a bad logit_bias."""
    if chat.n not in (None, 1):
        raise BadInput("n: one choice a request is made here", param="n", hint="send the request n times")
    if chat.logprobs:
        raise BadInput("logprobs are not available", param="logprobs", hint="leave the field out")
    return GenerateRequest(
        messages=tuple(_message(message, index) for index, message in enumerate(chat.messages)),
        model=chat.model,
        sampling=sampling_of(chat, chat.max_completion_tokens or chat.max_tokens),
        tools=tuple(chat.tools or ()),
        tool_choice=chat.tool_choice,
        conversation=chat.parley_conversation,
        priority=Priority[chat.parley_priority.upper()] if chat.parley_priority else priority,
        user=chat.parley_user or user,
        response_format=chat.response_format,
    )


def sampling_of(fields: SamplingFields, max_tokens: int | None) -> Sampling:
    """Raises BadInput for stop strings and biases that cannot be."""
    stop = (fields.stop,) if isinstance(fields.stop, str) else tuple(fields.stop or ())
    if len(stop) > MAX_STOP or not all(0 < len(text) <= MAX_STOP_CHARS for text in stop):
        raise BadInput(f"stop: up to {MAX_STOP} strings of 1 to {MAX_STOP_CHARS} characters", param="stop")
    try:
        bias = {int(token): float(value) for token, value in (fields.logit_bias or {}).items()}
    except ValueError:
        raise BadInput("logit_bias: keys are token numbers", param="logit_bias") from None
    if not all(abs(value) <= MAX_BIAS for value in bias.values()):
        raise BadInput(f"logit_bias: values from {-MAX_BIAS:g} to {MAX_BIAS:g}", param="logit_bias")
    return Sampling(
        temperature=fields.temperature,
        top_p=fields.top_p,
        top_k=fields.top_k,
        min_p=fields.min_p,
        max_tokens=max_tokens,
        stop=stop,
        seed=fields.seed,
        frequency_penalty=fields.frequency_penalty,
        presence_penalty=fields.presence_penalty,
        repeat_penalty=fields.repeat_penalty,
        logit_bias=bias,
    )


def grammar_schema(response_format: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The JSON schema a reply must obey, {} for any object, None for plain text. Raises BadInput."""
    kind = (response_format or {}).get("type", "text")
    if response_format is None or kind == "text":
        return None
    if kind == "json_object":
        return {}
    described = response_format.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    if kind != "json_schema" or not isinstance(schema, Mapping):
        raise BadInput(
            'response_format: {"type": "text"}, {"type": "json_object"} or '
            '{"type": "json_schema", "json_schema": {"schema": ...}}',
            param="response_format",
        )
    return schema


def to_body(request: GenerateRequest, model: str, *, ours: bool = False) -> dict[str, Any]:
    """The streaming request for an OpenAI-compatible server; with `ours` also the fields a slot understands."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": [_wire_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    for name in ("temperature", "top_p", "max_tokens", "seed", "frequency_penalty", "presence_penalty"):
        if getattr(sampling, name) is not None:
            body[name] = getattr(sampling, name)
    for name in ("top_k", "min_p", "repeat_penalty"):  # not OpenAI's: sent only where they were asked for
        if getattr(sampling, name) is not None:
            body[name] = getattr(sampling, name)
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.logit_bias:
        body["logit_bias"] = {str(token): value for token, value in sampling.logit_bias.items()}
    if request.tools:
        body["tools"] = [dict(tool) for tool in request.tools]
        if request.tool_choice is not None:
            body["tool_choice"] = request.tool_choice
    if request.response_format is not None:
        body["response_format"] = dict(request.response_format)
    if ours:
        body["parley_priority"] = request.priority.name.lower()
        if request.user:
            body["parley_user"] = request.user
        if request.conversation:
            body["parley_conversation"] = request.conversation
    return body


def _message(message: ChatMessage, index: int) -> Message:
    content = message.content
    if isinstance(content, list):
        texts = []
        for number, part in enumerate(content):
            if part.get("type") not in ("text", "input_text", "refusal"):
                raise BadInput(
                    f"messages[{index}].content[{number}]: this model reads text only",
                    param=f"messages[{index}].content[{number}].type",
                    hint="load a vision or omni model, or send text",
                )
            texts.append(str(part.get("text", part.get("refusal", ""))))
        content = "\n".join(texts)
    calls = tuple(ToolCall(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or ())
    return Message(message.role, content or "", calls, message.tool_call_id, message.name)


def _wire_message(message: Message) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        wire["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
        wire["content"] = message.content or None
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        wire["name"] = message.name
    return wire


def usage_object(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


@dataclass(slots=True)
class ChunkWriter:
    """Stream events into `chat.completion.chunk` objects. `created` is Unix seconds."""

    id: str
    model: str
    created: int
    include_usage: bool = False
    _begun: bool = False

    def chunks(self, event: StreamEvent) -> list[dict[str, Any]]:
        match event:
            case TextDelta(text=text):
                return [self._chunk({"content": text})]
            case ReasoningDelta(text=text):
                return [self._chunk({"reasoning_content": text})]
            case ToolCallDelta():
                function: dict[str, Any] = {"arguments": event.arguments}
                if event.name is not None:
                    function["name"] = event.name
                call: dict[str, Any] = {"index": event.index, "function": function}
                if event.id is not None:
                    call |= {"id": event.id, "type": "function"}
                return [self._chunk({"tool_calls": [call]})]
            case Finish(reason=reason, usage=usage):
                last = [self._chunk({}, "stop" if reason == "cancelled" else reason)]
                if self.include_usage and usage is not None:
                    last.append({**self._head(), "choices": [], "usage": usage_object(usage)})
                return last

    def _head(self) -> dict[str, Any]:
        return {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        if not self._begun:
            self._begun, delta = True, {"role": "assistant", **delta}
        chunk = {**self._head(), "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}
        if self.include_usage:
            chunk["usage"] = None
        return chunk


def completion(events: Iterable[StreamEvent], *, id: str, model: str, created: int) -> dict[str, Any]:
    """A whole `chat.completion` object from a finished stream."""
    text: list[str] = []
    reasoning: list[str] = []
    calls: dict[int, dict[str, Any]] = {}
    finish = Finish("stop", None)
    for event in events:
        match event:
            case TextDelta(text=piece):
                text.append(piece)
            case ReasoningDelta(text=piece):
                reasoning.append(piece)
            case ToolCallDelta():
                call = calls.setdefault(
                    event.index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
                )
                call["id"] = event.id or call["id"]
                call["function"]["name"] += event.name or ""
                call["function"]["arguments"] += event.arguments
            case Finish():
                finish = event
    message: dict[str, Any] = {"role": "assistant", "content": "".join(text), "refusal": None}
    if reasoning:
        message["reasoning_content"] = "".join(reasoning)
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
        message["content"] = message["content"] or None
    reason = "stop" if finish.reason == "cancelled" else finish.reason
    whole: dict[str, Any] = {
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
    }
    if finish.usage is not None:
        whole["usage"] = usage_object(finish.usage)
    return whole


def error_object(error: ParleyError, type: str = "invalid_request_error") -> dict[str, Any]:
    """OpenAI's error object: all four keys, the hint in the message."""
    return {"error": {"message": str(error), "type": type, "param": error.param, "code": error.code}}
