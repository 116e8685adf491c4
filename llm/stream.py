"""What comes out of a language model, piece by piece. A stream is any number of deltas, then one Finish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finish", "FinishReason", "ReasoningDelta", "StreamEvent", "TextDelta", "ToolCallDelta", "Usage"]

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "cancelled"]


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The model's thinking, never spoken."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of tool call number `index`; `id` and `name` come with its first piece."""

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Exact token counts. `cached_tokens` of the prompt were already in the KV cache."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Finish:
    """The last event of every stream that did not raise."""

    reason: FinishReason
    usage: Usage | None
    model: str = ""


StreamEvent = TextDelta | ReasoningDelta | ToolCallDelta | Finish
