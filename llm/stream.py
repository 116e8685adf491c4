"""What comes out of a language model, piece by piece. A stream is any number of deltas, then one Finish.

Where several replies to one request were asked for, `choice` tells whose piece it is, and each reply but the last
one standing ends with a ChoiceEnd of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "ChoiceEnd",
    "Finish",
    "FinishReason",
    "ReasoningDelta",
    "Relayed",
    "StartedOver",
    "StreamEvent",
    "TextDelta",
    "TokenLogprob",
    "ToolCallDelta",
    "Usage",
    "UsageSoFar",
]

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "cancelled"]


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token and the natural logarithm of its probability, before any sampler touched it.

    `top` are the likeliest tokens at its place, the likeliest first. `token` is `data` as text, U+FFFD for what is no
    whole character.
    """

    token: str
    logprob: float
    data: bytes = b""
    top: tuple[TokenLogprob, ...] = ()
    id: int = -1
    """Its number in the vocabulary; -1 where the server does not tell."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """`logprobs` are of the tokens behind this text; where text is held back, they come with later text or with none
    at all (an empty text).
    """

    text: str
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The model's thinking, never spoken."""

    text: str
    choice: int = 0
    details: Mapping[str, list[Any]] = field(default_factory=dict, hash=False)
    """The same as its server wants it back (convert/thought_details.py)."""


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of tool call number `index`; `id` and `name` come with its first piece."""

    index: int
    id: str | None
    name: str | None
    arguments: str
    choice: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What else a server says of it, and wants back with its result (Google's thought signatures)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Exact token counts. `cached_tokens` of the prompt were already in the KV cache."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class UsageSoFar:
    """What the reply has cost by now, from servers that tell: so one that is cut off is counted rightly, too."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class ChoiceEnd:
    """One of several replies is over."""

    choice: int
    reason: FinishReason


@dataclass(frozen=True, slots=True)
class Relayed:
    """A piece of an answer in OpenAI's own form, to be passed on as it is: whole `data:` events of a stream without
    its [DONE], or a whole JSON answer. Only for requests that have `relay` set. `frames`: how many events.
    """

    data: bytes
    frames: int = 1


@dataclass(frozen=True, slots=True)
class StartedOver:
    """What came so far is void: its server broke off, and another one answers from the start. Only for requests whose
    `relay` is "whole", of which their client has seen nothing.
    """


@dataclass(frozen=True, slots=True)
class Finish:
    """The last event of every stream that did not raise: it ends the request, and every reply that had no ChoiceEnd.

    `usage` counts all replies together, their common prompt once.
    """

    reason: FinishReason
    usage: Usage | None
    model: str = ""


StreamEvent = TextDelta | ReasoningDelta | ToolCallDelta | ChoiceEnd | Finish | UsageSoFar | Relayed | StartedOver
