"""What a model writes, sorted: thoughts, text, tool calls. Pure.

    raw text -> ReasoningSplitter -> the tool-call parser of this family -> stream events

Which marks and which format a model uses is told by its chat template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.reasoning import ReasoningSplitter, opened_by, thoughts_of
from llm.replies.thought_calls import ThoughtCalls
from llm.replies.tool_calls import CallParser, Said, tool_format, tools_by_name
from llm.stream import FinishReason, ReasoningDelta, TextDelta, ToolCallDelta

__all__ = ["ReplyParser", "marks_of"]

_SELF_THINKING = frozenset({"harmony"})
"""Formats in which thoughts are messages like others: their parser tells them apart itself."""


def marks_of(template: str, with_tools: bool) -> tuple[str, ...]:
    """The special tokens that must stay visible for a ReplyParser to work."""
    form, thoughts = tool_format(template), thoughts_of(template)
    marks = form.marks if with_tools or form.name in _SELF_THINKING else ()
    return (*marks, thoughts.open, thoughts.close)


class ReplyParser:
    """One per reply. `single`: at most one tool call is passed on."""

    def __init__(
        self,
        template: str,
        prompt: str,
        tools: Sequence[Mapping[str, Any]],
        new_id: Callable[[], str],
        *,
        single: bool = False,
    ) -> None:
        form, thoughts = tool_format(template), thoughts_of(template)
        own = form.name in _SELF_THINKING
        self._splitter = None if own else ReasoningSplitter(opened_by(prompt, thoughts), thoughts)
        self._calls: CallParser | None = form.parser(tools_by_name(tools), new_id) if tools or own else None
        self._thought_calls = ThoughtCalls(form.parser(tools_by_name(tools), new_id)) if tools and not own else None
        self._single = single
        self._called = False

    def push(self, text: str) -> list[Said]:
        if not text:
            return []
        return self._read(self._splitter.push(text) if self._splitter is not None else [TextDelta(text)])

    def finish(self) -> list[Said]:
        out = self._read(self._splitter.finish() if self._splitter is not None else [])
        if self._thought_calls is not None and self._splitter is not None and self._splitter.thinking:
            out += self._count(self._thought_calls.finish())
        elif self._thought_calls is not None:
            out += self._thought_calls.closed()
        return out + (self._count(self._calls.finish()) if self._calls is not None else [])

    def reason(self, reason: FinishReason) -> FinishReason:
        """A reply that ended by itself after a call is waiting for its answer."""
        return "tool_calls" if self._called and reason == "stop" else reason

    def _read(self, pieces: Sequence[TextDelta | ReasoningDelta]) -> list[Said]:
        out: list[Said] = []
        for piece in pieces:
            if isinstance(piece, ReasoningDelta):
                out += self._thought_calls.push(piece.text) if self._thought_calls is not None else [piece]
                continue
            if self._thought_calls is not None:
                out += self._thought_calls.closed()
            out += self._count(self._calls.push(piece.text)) if self._calls is not None else [piece]
        return out

    def _count(self, said: list[Said]) -> list[Said]:
        self._called = self._called or any(isinstance(piece, ToolCallDelta) for piece in said)
        if not self._single:
            return said
        return [piece for piece in said if not isinstance(piece, ToolCallDelta) or piece.index == 0]
