"""What goes into a language model: messages, sampling, one request. Internal nouns; wire types are in wire/."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from llm.routing.route_trace import RouteTrace

__all__ = [
    "AudioPart",
    "ContentPart",
    "GenerateRequest",
    "ImagePart",
    "Message",
    "Priority",
    "Role",
    "Sampling",
    "TextPart",
    "ToolCall",
    "WaitState",
]

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
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What else a client sent with it (Google's thought signatures), for servers that speak OpenAI's form."""


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image file's bytes; or, until somebody has fetched it, its address (then `data` is empty)."""

    data: bytes
    media_type: str = "image/png"
    url: str = ""
    detail: str | None = None
    """OpenAI's "low", "high" or "auto", for servers that know it."""


@dataclass(frozen=True, slots=True)
class AudioPart:
    """An audio file's bytes; `format` as OpenAI names it: "wav" or "mp3"."""

    data: bytes
    format: str = "wav"


ContentPart = TextPart | ImagePart | AudioPart


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    `content` is its text. Where it also shows or plays something, `parts` has everything in order, the text too.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    parts: tuple[ContentPart, ...] = ()
    """Also where its text came in several pieces."""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What else a client sent with it (`reasoning_content`), for servers that speak OpenAI's form."""

    @property
    def media(self) -> tuple[ImagePart | AudioPart, ...]:
        return tuple(part for part in self.parts if not isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class Sampling:
    """OpenAI's names and ranges, and llama.cpp's for what OpenAI has not. None means the backend's own default."""

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
    logprobs: int | None = None
    """How many of the likeliest tokens to report beside each chosen one; None reports nothing."""
    repeat_last_n: int | None = None
    """Tokens the repeat penalty looks back; -1 is the whole context."""
    typical_p: float | None = None
    top_n_sigma: float | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    dry_multiplier: float | None = None
    """DRY punishes repeated sequences; 0 is off."""
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_penalty_last_n: int | None = None
    mirostat: int | None = None
    """0 off, 1 or 2: the version. It takes the place of top_k, top_p, min_p and typical_p."""
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    dynatemp_range: float | None = None
    """The temperature is lower by this where the model is sure, and higher where it is not; 0 is off."""
    dynatemp_exponent: float | None = None
    min_keep: int | None = None
    """Tokens that top_p, min_p, typical_p and XTC leave at least."""
    ignore_eos: bool = False
    """Go on until max_tokens."""
    counts_prompt: bool = False
    """Frequency and presence penalties count the last `repeat_last_n` tokens, prompt and reply, as llama.cpp does."""


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
    grammar: str | None = None
    """GBNF that the reply must obey; slots and llama.cpp servers know it."""
    n: int = 1
    """Independent replies to the same messages, told apart by the events' `choice`."""
    parallel_tool_calls: bool | None = None
    """False: at most one tool call a reply."""
    thinking: bool | None = None
    """Whether a reasoning model shall think first; None leaves it to the model; voice says False."""
    adapters: tuple[tuple[int, float], ...] | None = None
    """(number, scale) of the slot's LoRA adapters to use; None is as the slot is set up."""
    relay: Literal["", "stream", "whole"] = ""
    """The client wants OpenAI's own format: a server's answer in it may be passed on as `Relayed` bytes."""
    relay_usage: bool = False
    """The client wants the chunk with the usage."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the client's request that nothing here reads, for servers that speak OpenAI's form."""
    completion_limit: bool = False
    """The client called its token limit max_completion_tokens: some models refuse the older max_tokens."""
    prompt: str | tuple[int, ...] | None = None
    """In place of messages: a text, or its tokens, that the model goes on with as it is, by no template."""
    on_route: Callable[[RouteTrace], None] | None = field(default=None, compare=False, repr=False)
    """Told which backend answers, when it begins; or that none did."""
    on_slot: Callable[[str, int], None] | None = field(default=None, compare=False, repr=False)
    """Told the model and the number of the slot of ours that answers."""
    on_wait: Callable[[WaitState], None] | None = field(default=None, compare=False, repr=False)
    """Told now and then how far it is, while the request waits for its turn or for its model."""
