"""What goes into a language model: messages, sampling, one request. Internal nouns; wire types are in wire/."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

__all__ = ["GenerateRequest", "Message", "Priority", "Role", "Sampling", "ToolCall", "WaitState"]

Role = Literal["system", "developer", "user", "assistant", "tool"]


class Priority(Enum):
    """Who goes first when one worker serves many. Voice has reserved places that batch work never takes."""

    VOICE = 0
    INTERACTIVE = 1
    BATCH = 2


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. `content` is plain text; images and audio come with the vision rows."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """OpenAI's names and ranges. None means the backend's own default."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repeat_penalty: float | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WaitState:
    """Why a request has no answer yet: `position` in the line for its model, 1 is the next; how much of the model is
    loaded, 0..1, None where it is there or nobody knows.
    """

    model: str
    position: int
    loading: bool = False
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One request for a reply.

    `model` is a slot's model, "backend/model", an alias, or "" for the default one.
    `conversation` names the KV sequence that is kept between turns; None keeps it only while nobody needs its room.
    `user` is who pays and whose fair share is used.
    """

    messages: tuple[Message, ...]
    model: str = ""
    sampling: Sampling = Sampling()
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    conversation: str | None = None
    priority: Priority = Priority.INTERACTIVE
    user: str = ""
    response_format: Mapping[str, Any] | None = None
    """OpenAI's object: None or text, json_object, or json_schema with a schema the reply must obey."""
    on_wait: Callable[[WaitState], None] | None = field(default=None, compare=False, repr=False)
    """Told now and then how far it is, while the request waits for its turn or for its model."""
