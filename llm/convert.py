"""Between OpenAI's wire and our own nouns. Pure.

`parse_chat` and `to_request` read a client's request; `to_body` writes one for a server; `ChunkWriter` and
`completion` write answers; `ChunkReader` reads a server's stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from llm.errors import BackendFailed, ContextTooLong, LlmError, Overloaded, UnknownModel
from llm.messages import GenerateRequest, Message, Priority, Sampling, ToolCall
from llm.stream import Finish, FinishReason, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, Usage
from llm.wire.chat import ChatMessage, ChatRequest
from models.errors import BadInput, ParleyError

__all__ = [
    "ChunkReader",
    "ChunkWriter",
    "completion",
    "error_object",
    "error_of",
    "parse_chat",
    "to_body",
    "to_request",
    "usage_object",
]

MAX_STOP = 16


def parse_chat(body: object) -> ChatRequest:
    """Check the body of a chat completion request. Raises BadInput with `param` naming the field."""
    if not isinstance(body, Mapping):
        raise BadInput("the request body must be a JSON object")
    try:
        return ChatRequest.model_validate(body)
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
    stop = (chat.stop,) if isinstance(chat.stop, str) else tuple(chat.stop or ())
    if len(stop) > MAX_STOP or not all(stop):
        raise BadInput(f"stop: 1 to {MAX_STOP} non-empty strings", param="stop")
    try:
        bias = {int(token): float(value) for token, value in (chat.logit_bias or {}).items()}
    except ValueError:
        raise BadInput("logit_bias: keys are token numbers", param="logit_bias") from None
    return GenerateRequest(
        messages=tuple(_message(message, index) for index, message in enumerate(chat.messages)),
        model=chat.model,
        sampling=Sampling(
            temperature=chat.temperature,
            top_p=chat.top_p,
            top_k=chat.top_k,
            min_p=chat.min_p,
            max_tokens=chat.max_completion_tokens or chat.max_tokens,
            stop=stop,
            seed=chat.seed,
            frequency_penalty=chat.frequency_penalty,
            presence_penalty=chat.presence_penalty,
            repeat_penalty=chat.repeat_penalty,
            logit_bias=bias,
        ),
        tools=tuple(chat.tools or ()),
        tool_choice=chat.tool_choice,
        conversation=chat.parley_conversation,
        priority=Priority[chat.parley_priority.upper()] if chat.parley_priority else priority,
        user=chat.parley_user or user,
    )


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


_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


@dataclass(slots=True)
class ChunkReader:
    """A server's chunks into stream events; forgiving where servers differ.

    Reasoning comes as `reasoning_content` (llama.cpp, DeepSeek) or `reasoning` (vLLM, mlx); tool calls may lack an
    index or an id (Ollama sends index 0 for all: a new id begins a new call). `finish()` gives the last event.
    """

    reason: FinishReason | None = None
    usage: Usage | None = None
    model: str = ""
    _texts: int = 0
    _call_ids: list[str] = field(default_factory=list)

    def read(self, chunk: object) -> list[StreamEvent]:
        """Raises an LlmError where the chunk is an error object, BackendFailed where it is no chunk at all."""
        if not isinstance(chunk, Mapping):
            raise BackendFailed("the server sent something that is no chunk")
        error = chunk.get("error")
        if error or chunk.get("object") == "error":
            raise error_of(0, chunk)
        self.model = str(chunk.get("model") or self.model)
        if isinstance(chunk.get("usage"), Mapping):
            self.usage = _usage(chunk["usage"])
        events: list[StreamEvent] = []
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            return events
        delta = choices[0].get("delta") or choices[0].get("message") or {}
        if not isinstance(delta, Mapping):
            raise BackendFailed("the server sent a delta that is no object")
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str) and reasoning:
            events.append(ReasoningDelta(reasoning))
        content = delta.get("content")
        if isinstance(content, str) and content:
            self._texts += 1
            events.append(TextDelta(content))
        events.extend(self._tool_call(call) for call in delta.get("tool_calls") or () if isinstance(call, Mapping))
        finish = choices[0].get("finish_reason")
        if finish:
            self.reason = _REASONS.get(str(finish), "stop")
        return events

    def finish(self) -> Finish:
        """The end of the stream. Servers that count no tokens leave `usage` None."""
        return Finish(self.reason or "stop", self.usage, self.model)

    def _tool_call(self, call: Mapping[str, Any]) -> ToolCallDelta:
        function = call.get("function")
        function = function if isinstance(function, Mapping) else {}
        id = call.get("id") or None
        if id is not None and id not in self._call_ids:
            self._call_ids.append(str(id))
        index = self._call_ids.index(str(id)) if id is not None else int(call.get("index") or 0)
        if id is None and index >= len(self._call_ids):
            self._call_ids.append(f"call_{index}")
            id = self._call_ids[-1] if function.get("name") else None
        arguments = function.get("arguments")
        return ToolCallDelta(index, id, function.get("name"), arguments if isinstance(arguments, str) else "")


def _usage(usage: Mapping[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
    return Usage(int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0), int(cached or 0))


def error_object(error: ParleyError, type: str = "invalid_request_error") -> dict[str, Any]:
    """OpenAI's error object: all four keys, the hint in the message."""
    return {"error": {"message": str(error), "type": type, "param": error.param, "code": error.code}}


def error_of(status: int, body: object) -> LlmError:
    """The typed error for a server's error answer; it understands the shapes that servers have."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    code = error.get("code") if isinstance(error, Mapping) else None
    message = str(error.get("message") or error) if isinstance(error, Mapping) else str(error)
    message = message[:500] or f"status {status}"
    if code == "context_length_exceeded" or "context length" in message.lower():
        return ContextTooLong(message, hint="shorten the conversation, or load the model with a larger context")
    if status == 404 or code == "model_not_found":
        return UnknownModel(message)
    if status in (429, 503) or code == "overloaded":
        return Overloaded(message, hint="try again in a moment")
    return BackendFailed(message)
