"""Between OpenAI's wire and our own nouns. Pure.

`parse_chat` and `to_request` read a client's request; `to_body` writes one for a server; `ChunkWriter` and
`completion` write answers. chunk_reader.py reads a server's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from llm.convert.content import read_content, wire_content
from llm.convert.formats import grammar_schema
from llm.convert.logprobs import logprobs_object
from llm.convert.offered_tools import offered_tools
from llm.convert.sampling import sampling_body, sampling_of
from llm.convert.thought_details import gather
from llm.messages import GenerateRequest, Message, Priority, ToolCall, WaitState
from llm.stream import (
    ChoiceEnd,
    Finish,
    FinishReason,
    ReasoningDelta,
    Relayed,
    StartedOver,
    StreamEvent,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
    UsageSoFar,
)
from llm.wire.chat import ChatMessage, ChatRequest
from models.errors import BadInput, ParleyError

if TYPE_CHECKING:
    from llm.routing.route_trace import RouteTrace

__all__ = [
    "ChunkWriter",
    "completion",
    "error_object",
    "parse_body",
    "parse_chat",
    "template_variables",
    "to_body",
    "to_request",
    "usage_object",
]

MAX_CHOICES = 16
_FOR_TEMPLATES = ("reasoning_effort", "chat_template_kwargs", "continue_final_message")
_THOUGHTS = ("reasoning_content", "reasoning")
_ALSO_CARRIED = (*_FOR_TEMPLATES, "user")

_Model = TypeVar("_Model", bound=BaseModel)


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


def to_request(
    chat: ChatRequest,
    *,
    user: str = "",
    priority: Priority = Priority.INTERACTIVE,
    relay: Literal["", "stream", "whole"] = "",
    relay_usage: bool = False,
    on_route: Callable[[RouteTrace], None] | None = None,
    on_wait: Callable[[WaitState], None] | None = None,
) -> GenerateRequest:
    """Raises BadInput for what does not fit together, and for stop strings, biases or content that cannot be."""
    if chat.n is not None and chat.n > MAX_CHOICES:
        raise BadInput(f"n: at most {MAX_CHOICES}", param="n")
    if chat.top_logprobs is not None and not chat.logprobs:
        raise BadInput("top_logprobs needs logprobs: true", param="top_logprobs")
    if chat.grammar is not None and (chat.response_format or {}).get("type", "text") != "text":
        raise BadInput("grammar and response_format exclude each other", param="grammar")
    grammar_schema(chat.response_format)
    tools, tool_choice = offered_tools(chat)
    logprobs = (chat.top_logprobs or 0) if chat.logprobs else None
    return GenerateRequest(
        messages=tuple(_message(message, index) for index, message in enumerate(chat.messages)),
        model=chat.model,
        sampling=sampling_of(chat, chat.max_completion_tokens or chat.max_tokens, logprobs),
        tools=tools,
        tool_choice=tool_choice,
        conversation=chat.parley_conversation,
        priority=Priority[chat.parley_priority.upper()] if chat.parley_priority else _priority(chat, priority),
        user=chat.parley_user or user,
        response_format=chat.response_format,
        grammar=chat.grammar or None,
        n=chat.n or 1,
        parallel_tool_calls=chat.parallel_tool_calls,
        thinking=_thinking(chat),
        adapters=None if chat.lora is None else tuple((adapter.id, adapter.scale) for adapter in chat.lora),
        relay=relay,
        relay_usage=relay_usage,
        extra=_extra(chat),
        completion_limit=chat.max_completion_tokens is not None,
        on_route=on_route,
        on_wait=on_wait,
    )


def _priority(chat: ChatRequest, otherwise: Priority) -> Priority:
    """OpenAI's `service_tier: "flex"` is for work that may wait."""
    return Priority.BATCH if (chat.model_extra or {}).get("service_tier") == "flex" else otherwise


def _extra(chat: ChatRequest) -> dict[str, Any]:
    """Fields that nothing here reads, and those that a server may read otherwise than we do."""
    also = {name: getattr(chat, name) for name in _ALSO_CARRIED if getattr(chat, name) is not None}
    return {**(chat.model_extra or {}), **also}


def _thinking(chat: ChatRequest) -> bool | None:
    wanted = (chat.chat_template_kwargs or {}).get("enable_thinking")
    if isinstance(wanted, bool):
        return wanted
    return False if chat.reasoning_effort == "none" else None


def template_variables(request: GenerateRequest) -> dict[str, Any]:
    """What a chat template is told beside the messages: what the client names, and its wish for thoughts, which
    templates know by two names.
    """
    told = request.extra.get("chat_template_kwargs")
    variables: dict[str, Any] = dict(told) if isinstance(told, Mapping) else {}
    effort = request.extra.get("reasoning_effort")
    if effort is not None and effort != "none":
        variables.setdefault("reasoning_effort", effort)
    if request.extra.get("continue_final_message"):
        variables["continue_final_message"] = True
    if request.thinking is not None:
        variables = {"thinking": request.thinking, **variables, "enable_thinking": request.thinking}
    return variables


def to_body(request: GenerateRequest, model: str, *, ours: bool = False, carries: bool = False) -> dict[str, Any]:
    """The streaming request for an OpenAI-compatible server; with `ours` also the fields a slot understands, with
    `carries` also what a client sent and nobody here reads.
    """
    body: dict[str, Any] = {
        **_carried(request.extra, carries, _FOR_TEMPLATES if ours else ()),
        "model": model,
        **_asked(request, ours, carries),
        "stream": True,
        "stream_options": {"include_usage": True, **({"continuous_usage_stats": True} if ours else {})},
        **sampling_body(request.sampling),
    }
    if request.n != 1:
        body["n"] = request.n
    if request.tools:
        body["tools"] = [dict(tool) for tool in request.tools]
        if request.tool_choice is not None:
            body["tool_choice"] = request.tool_choice
        if request.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.response_format is not None:
        body["response_format"] = dict(request.response_format)
    if request.grammar is not None:
        body["grammar"] = request.grammar
    if request.thinking is not None:
        told = body.get("chat_template_kwargs", {})
        body["chat_template_kwargs"] = {**told, "enable_thinking": request.thinking}
    if request.adapters is not None:
        body["lora"] = [{"id": number, "scale": scale} for number, scale in request.adapters]
    if ours:
        body["parley_priority"] = request.priority.name.lower()
        if request.user:
            body["parley_user"] = request.user
        if request.conversation:
            body["parley_conversation"] = request.conversation
    return body


def _carried(extra: Mapping[str, Any], all: bool, these: Collection[str]) -> dict[str, Any]:
    return {name: extra[name] for name in extra if all or name in these}


def _asked(request: GenerateRequest, ours: bool, carries: bool) -> dict[str, Any]:
    """What the model reads, and which likely tokens are told; text completions have other fields for both."""
    likely = request.sampling.logprobs
    if request.prompt is not None:
        prompt = request.prompt if isinstance(request.prompt, str) else list(request.prompt)
        return {"prompt": prompt, **({} if likely is None else {"logprobs": likely})}
    logprobs = {} if likely is None else {"logprobs": True, **({"top_logprobs": likely} if likely else {})}
    return {"messages": [_wire_message(message, ours, carries) for message in request.messages], **logprobs}


def _message(message: ChatMessage, index: int) -> Message:
    text, parts = read_content(message.content, f"messages[{index}].content")
    calls = tuple(
        ToolCall(c.id, c.function.name, c.function.arguments, c.model_extra or {}) for c in message.tool_calls or ()
    )
    extra = message.model_extra or {}
    return Message(message.role, text, calls, message.tool_call_id, message.name, parts, extra)


def _wire_message(message: Message, ours: bool, carries: bool) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": wire_content(message, texts_apart=carries)}
    wire = {**_carried(message.extra, carries, _THOUGHTS if ours else ()), **wire}
    if message.tool_calls:
        wire["tool_calls"] = [
            {
                **(call.extra if carries else {}),
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
        wire["content"] = wire["content"] or None
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
    choices: int = 1
    continuous_usage: bool = False
    """Tell the usage all along, and not only at the end."""
    _begun: set[int] = field(default_factory=set)
    _ended: set[int] = field(default_factory=set)

    def chunks(self, event: StreamEvent) -> list[dict[str, Any]]:
        match event:
            case TextDelta():
                return [self._chunk(event.choice, {"content": event.text}, logprobs=event.logprobs)]
            case ReasoningDelta(text=text, details=details):
                return [self._chunk(event.choice, {**({"reasoning_content": text} if text else {}), **details})]
            case ToolCallDelta():
                function: dict[str, Any] = {"arguments": event.arguments}
                if event.name is not None:
                    function["name"] = event.name
                call: dict[str, Any] = {**event.extra, "index": event.index, "function": function}
                if event.id is not None:
                    call |= {"id": event.id, "type": "function"}
                return [self._chunk(event.choice, {"tool_calls": [call]})]
            case UsageSoFar(usage=so_far):
                if not self.continuous_usage:
                    return []
                return [{**self._head(), "choices": [], "usage": usage_object(so_far)}]
            case Relayed() | StartedOver():
                return []
            case ChoiceEnd(choice=choice, reason=reason):
                return [self._end(choice, reason)]
            case Finish(reason=reason, usage=usage):
                last = [self._end(choice, reason) for choice in range(self.choices) if choice not in self._ended]
                if self.include_usage and usage is not None:
                    last.append({**self._head(), "choices": [], "usage": usage_object(usage)})
                return last

    def _end(self, choice: int, reason: FinishReason) -> dict[str, Any]:
        self._ended.add(choice)
        return self._chunk(choice, {}, "stop" if reason == "cancelled" else reason)

    def _head(self) -> dict[str, Any]:
        return {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model}

    def _chunk(
        self,
        choice: int,
        delta: dict[str, Any],
        finish: str | None = None,
        logprobs: tuple[TokenLogprob, ...] = (),
    ) -> dict[str, Any]:
        if choice not in self._begun:
            self._begun.add(choice)
            delta = {"role": "assistant", **delta}
        one = {"index": choice, "delta": delta, "logprobs": logprobs_object(logprobs), "finish_reason": finish}
        chunk = {**self._head(), "choices": [one]}
        if self.include_usage:
            chunk["usage"] = None
        return chunk


@dataclass(slots=True)
class _Choice:
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    details: dict[str, list[Any]] = field(default_factory=dict)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    reason: FinishReason | None = None

    def call(self, event: ToolCallDelta) -> None:
        empty: dict[str, Any] = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        call = self.calls.setdefault(event.index, empty)
        call["id"] = event.id or call["id"]
        call["function"]["name"] += event.name or ""
        call["function"]["arguments"] += event.arguments
        call |= event.extra

    def as_object(self, index: int, finish: FinishReason) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.text), "refusal": None}
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        message |= self.details
        if self.calls:
            message["tool_calls"] = [self.calls[number] for number in sorted(self.calls)]
            message["content"] = message["content"] or None
        reason = self.reason or finish
        return {
            "index": index,
            "message": message,
            "logprobs": logprobs_object(tuple(self.logprobs)),
            "finish_reason": "stop" if reason == "cancelled" else reason,
        }


def completion(
    events: Iterable[StreamEvent], *, id: str, model: str, created: int, choices: int = 1
) -> dict[str, Any]:
    """A whole `chat.completion` object from a finished stream of that many replies."""
    found = [_Choice() for _ in range(choices)]
    finish = Finish("stop", None)
    for event in events:
        match event:
            case Finish():
                finish = event
            case TextDelta(text=piece):
                found[event.choice].text.append(piece)
                found[event.choice].logprobs.extend(event.logprobs)
            case ReasoningDelta(text=piece):
                found[event.choice].reasoning += [piece] if piece else []
                gather(found[event.choice].details, event.details)
            case ToolCallDelta():
                found[event.choice].call(event)
            case ChoiceEnd(choice=choice, reason=reason):
                found[choice].reason = reason
    whole: dict[str, Any] = {
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [choice.as_object(index, finish.reason) for index, choice in enumerate(found)],
    }
    if finish.usage is not None:
        whole["usage"] = usage_object(finish.usage)
    return whole


def error_object(error: ParleyError, type: str = "invalid_request_error") -> dict[str, Any]:
    """OpenAI's error object: all four keys, the hint in the message."""
    return {"error": {"message": str(error), "type": type, "param": error.param, "code": error.code}}
