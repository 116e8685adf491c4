"""The answer of OpenAI's Responses API: what a model writes, as output items and as the events that tell of them.
Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llm.convert.logprobs import logprobs_object
from llm.stream import (
    Finish,
    FinishReason,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from llm.wire.responses import ResponsesRequest
from models.errors import ParleyError

__all__ = ["ResponseWriter"]

_INCOMPLETE: dict[FinishReason, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponseWriter:
    """`response` is the object as it stands. Items are added in the order in which they begin; every one that was
    added is done before the response is, calls together at the end, for their pieces may come mixed.
    """

    def __init__(
        self, asked: ResponsesRequest, id: str, model: str, created: int, new_id: Callable[[str], str]
    ) -> None:
        self.response = _response(asked, id, model, created)
        self._new_id = new_id
        self._output: list[dict[str, Any]] = self.response["output"]
        self._open: tuple[int, dict[str, Any]] | None = None
        """The message or the thoughts that are being written: their place in the output."""
        self._calls: dict[int, int] = {}
        """Where the call of that number is in the output."""
        self._number = 0

    @property
    def over(self) -> bool:
        return bool(self.response["status"] != "in_progress")

    def events(self, event: StreamEvent) -> list[dict[str, Any]]:
        """The first ones tell that there is a response."""
        return [*self._begin(), *self._written(event)]

    def _begin(self) -> list[dict[str, Any]]:
        if self._number:
            return []
        return [self._of_response("response.created"), self._of_response("response.in_progress")]

    def _written(self, event: StreamEvent) -> list[dict[str, Any]]:
        match event:
            case TextDelta(text=text, logprobs=logprobs) if text or logprobs:
                return self._text(text, logprobs)
            case ReasoningDelta(text=text) if text:
                return self._thought(text)
            case ToolCallDelta():
                return self._call(event)
            case Finish():
                return self._finish(event)
        return []

    def fail(self, error: ParleyError) -> list[dict[str, Any]]:
        """The answer broke off. What was written until then stays."""
        told = [*self._begin(), *self._close("incomplete")]
        self.response |= {"status": "failed", "error": {"code": "server_error", "message": str(error)}}
        return [*told, self._of_response("response.failed")]

    def _text(self, text: str, logprobs: tuple[TokenLogprob, ...]) -> list[dict[str, Any]]:
        told, at, item = self._opened("message")
        found = (logprobs_object(logprobs) or {"content": []})["content"]
        part = item["content"][0]
        part["text"] += text
        part["logprobs"] += found
        delta = {"content_index": 0, "delta": text, "logprobs": found}
        return [*told, self._of_item("response.output_text.delta", at, delta)]

    def _thought(self, text: str) -> list[dict[str, Any]]:
        told, at, item = self._opened("reasoning")
        item["content"][0]["text"] += text
        delta = {"content_index": 0, "delta": text}
        return [*told, self._of_item("response.reasoning_text.delta", at, delta)]

    def _opened(self, kind: str) -> tuple[list[dict[str, Any]], int, dict[str, Any]]:
        """The item of this kind that is being written; the events that begin it, where there was none."""
        if self._open is not None and self._open[1]["type"] == kind:
            return [], *self._open
        told = self._shut("completed")
        item: dict[str, Any]
        if kind == "message":
            item = {"type": kind, "id": self._new_id("msg_"), "status": "in_progress", "role": "assistant"}
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        else:
            item = {"type": kind, "id": self._new_id("rs_"), "summary": [], "status": "in_progress"}
            part = {"type": "reasoning_text", "text": ""}
        at = self._add({**item, "content": []}, told)
        item = self._output[at]
        told.append(self._of_item("response.content_part.added", at, {"content_index": 0, "part": _copy(part)}))
        item["content"].append(part)
        self._open = (at, item)
        return told, at, item

    def _call(self, event: ToolCallDelta) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        if event.index not in self._calls:
            told += self._shut("completed")
            item = {
                "type": "function_call",
                "id": self._new_id("fc_"),
                "call_id": event.id or self._new_id("call_"),
                "name": event.name or "",
                "arguments": "",
                "status": "in_progress",
            }
            self._calls[event.index] = self._add(item, told)
        at = self._calls[event.index]
        if event.arguments:
            self._output[at]["arguments"] += event.arguments
            told.append(self._of_item("response.function_call_arguments.delta", at, {"delta": event.arguments}))
        return told

    def _add(self, item: dict[str, Any], told: list[dict[str, Any]]) -> int:
        self._output.append(item)
        at = len(self._output) - 1
        told.append(self._event("response.output_item.added", {"output_index": at, "item": _copy(item)}))
        return at

    def _shut(self, status: str) -> list[dict[str, Any]]:
        """End the message or the thoughts that are being written."""
        if self._open is None:
            return []
        (at, item), self._open = self._open, None
        part, item["status"] = item["content"][0], status
        if item["type"] == "message":
            done = {"content_index": 0, "text": part["text"], "logprobs": part["logprobs"]}
            told = [self._of_item("response.output_text.done", at, done)]
        else:
            told = [self._of_item("response.reasoning_text.done", at, {"content_index": 0, "text": part["text"]})]
        told.append(self._of_item("response.content_part.done", at, {"content_index": 0, "part": _copy(part)}))
        return [*told, self._done(at)]

    def _done(self, at: int) -> dict[str, Any]:
        return self._event("response.output_item.done", {"output_index": at, "item": _copy(self._output[at])})

    def _close(self, status: str) -> list[dict[str, Any]]:
        told = self._shut(status)
        for at in self._calls.values():
            item = self._output[at]
            item["status"] = status
            done = {"name": item["name"], "arguments": item["arguments"]}
            told += [self._of_item("response.function_call_arguments.done", at, done), self._done(at)]
        return told

    def _finish(self, event: Finish) -> list[dict[str, Any]]:
        why = _INCOMPLETE.get(event.reason)
        told: list[dict[str, Any]] = []
        if all(item["type"] == "reasoning" for item in self._output):
            told += self._opened("message")[0]  # a reply without a word is a message all the same
        told += self._close("incomplete" if why else "completed")
        self.response["status"] = "incomplete" if why else "completed"
        self.response["incomplete_details"] = {"reason": why} if why else None
        self.response["model"] = event.model or self.response["model"]
        self.response["usage"] = None if event.usage is None else _usage(event.usage)
        return [*told, self._of_response("response.incomplete" if why else "response.completed")]

    def _of_response(self, kind: str) -> dict[str, Any]:
        return self._event(kind, {"response": _copy(self.response)})

    def _of_item(self, kind: str, at: int, fields: dict[str, Any]) -> dict[str, Any]:
        return self._event(kind, {"item_id": self._output[at]["id"], "output_index": at, **fields})

    def _event(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        return {"type": kind, "sequence_number": self._number - 1, **fields}


def _copy(value: Any) -> Any:
    """Of what goes on to change: events tell how it was."""
    if isinstance(value, dict):
        return {name: _copy(one) for name, one in value.items()}
    return [_copy(one) for one in value] if isinstance(value, list) else value


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _response(asked: ResponsesRequest, id: str, model: str, created: int) -> dict[str, Any]:
    """Fields that the request left open have OpenAI's defaults: clients check that they are there."""
    reasoning, text = asked.reasoning or {}, asked.text or {}
    return {
        "id": id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "model": model,
        "output": [],
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "previous_response_id": asked.previous_response_id,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "store": asked.store is not False,
        "temperature": 1.0 if asked.temperature is None else asked.temperature,
        "text": {**text, "format": text.get("format") or {"type": "text"}},
        "tool_choice": asked.tool_choice or "auto",
        "tools": asked.tools or [],
        "top_logprobs": asked.top_logprobs or 0,
        "top_p": 1.0 if asked.top_p is None else asked.top_p,
        "truncation": asked.truncation or "disabled",
        "usage": None,
        "user": asked.user,
        "metadata": asked.metadata or {},
    }
