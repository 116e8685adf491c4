"""A stream of generation events as OpenAI's chat completion, whole or in chunks. Pure."""

from __future__ import annotations

from typing import Any, assert_never

from llm.stream import Finish, FinishReason, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, Usage

__all__ = ["ChatAnswer"]


class ChatAnswer:
    """Hears the events in order. `chunks` gives what to send for each; `whole` is the answer once Finish was heard.

    `created` is in Unix seconds. With `usage` every chunk carries `usage: null` and one more, without choices,
    carries the counts (OpenAI's `stream_options.include_usage`).
    """

    def __init__(self, answer_id: str, model: str, created: int, usage: bool = False) -> None:
        self._id, self._model, self._created, self._wants_usage = answer_id, model, created, usage
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._finish: Finish | None = None
        self._begun = False

    def chunks(self, event: StreamEvent) -> list[dict[str, Any]]:
        """What to send for one event, in order."""
        self.hear(event)
        found = []
        if not self._begun:
            self._begun = True
            found.append(self._chunk({"role": "assistant", "content": ""}))
        match event:
            case TextDelta(text):
                found.append(self._chunk({"content": text}))
            case ReasoningDelta(text):
                found.append(self._chunk({"reasoning_content": text}))
            case ToolCallDelta(index, call_id, name, arguments):
                function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
                call: dict[str, Any] = {"index": index, "function": function}
                if call_id is not None:
                    call |= {"id": call_id, "type": "function"}
                found.append(self._chunk({"tool_calls": [call]}))
            case Finish(reason, usage):
                found.append(self._chunk({}, _reason(reason)))
                if self._wants_usage:
                    found.append({**self._frame("chat.completion.chunk"), "choices": [], "usage": _usage(usage)})
            case _:
                assert_never(event)
        return found

    def hear(self, event: StreamEvent) -> None:
        match event:
            case TextDelta(text):
                self._text.append(text)
            case ReasoningDelta(text):
                self._reasoning.append(text)
            case ToolCallDelta(index, call_id, name, arguments):
                call = self._calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
                call["id"] = call_id or call["id"]
                call["name"] = name or call["name"]
                call["arguments"] += arguments
            case Finish():
                self._finish = event
                self._model = event.model or self._model
            case _:
                assert_never(event)

    @property
    def finished(self) -> bool:
        return self._finish is not None

    def whole(self) -> dict[str, Any]:
        assert self._finish is not None, "asked before the stream was over"
        calls = [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
            for _, call in sorted(self._calls.items())
        ]
        text = "".join(self._text)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": text if text or not calls else None,
            "refusal": None,
        }
        if self._reasoning:
            message["reasoning_content"] = "".join(self._reasoning)
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": _reason(self._finish.reason), "logprobs": None}
        return {**self._frame("chat.completion"), "choices": [choice], "usage": _usage(self._finish.usage)}

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        chunk = {**self._frame("chat.completion.chunk"), "choices": [choice]}
        return {**chunk, "usage": None} if self._wants_usage else chunk

    def _frame(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model}


def _reason(reason: FinishReason) -> str:
    """OpenAI has no word for an answer that was cut off from our side."""
    return "stop" if reason == "cancelled" else reason


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    """None where the backend does not count: a made-up number would be charged."""
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
