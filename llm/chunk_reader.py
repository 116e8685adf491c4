"""Reading what OpenAI-compatible servers answer: chunks into stream events, errors into typed errors. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llm.errors import BackendFailed, ContextTooLong, Overloaded, UnknownModel
from llm.stream import Finish, FinishReason, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, Usage
from models.errors import BadInput, ParleyError

__all__ = ["ChunkReader", "error_of"]

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


def error_of(status: int, body: object) -> ParleyError:
    """The typed error for a server's error answer; it understands the shapes that servers have.

    BadInput where the server blames the request: no other server would like it better.
    """
    error = body.get("error", body) if isinstance(body, Mapping) else body
    code, param = (error.get("code"), error.get("param")) if isinstance(error, Mapping) else (None, None)
    message = str(error.get("message") or error) if isinstance(error, Mapping) else str(error)
    message = message[:500] or f"status {status}"
    if code == "context_length_exceeded" or "context length" in message.lower():
        return ContextTooLong(message, hint="shorten the conversation, or load the model with a larger context")
    if status == 404 or code == "model_not_found":
        return UnknownModel(message)
    if status in (429, 503) or code == "overloaded":
        return Overloaded(message, hint="try again in a moment")
    if status in (400, 413, 422) or (status == 0 and code == BadInput.code):
        return BadInput(message, param=param if isinstance(param, str) else None)
    if status in (401, 403):
        return BackendFailed(message, hint="check the api_key of this backend")
    return BackendFailed(message)
