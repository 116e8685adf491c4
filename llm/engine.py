"""The port of an inference engine: what runs inside a worker process and turns tokens into text.

An engine owns one model and one thread. Requests go in from any thread; what comes out is handed to one sink,
in the engine's thread, at most once a step. A new engine is one file in llm/engines/ with a SPEC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from llm.messages import Message, Priority, Sampling
from llm.settings import EngineSettings
from llm.stream import FinishReason, Usage
from models.clock import Clock
from models.errors import ParleyError

__all__ = [
    "Engine",
    "EngineCard",
    "EngineConfig",
    "EngineEvent",
    "EngineFinish",
    "EngineJob",
    "EngineSpec",
    "EngineState",
    "Prompt",
    "SequenceState",
    "Sink",
]


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What to load. `on_progress` is called with 0..1 while the model loads."""

    model: Path
    name: str
    settings: EngineSettings
    clock: Clock
    on_progress: Callable[[float], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class EngineCard:
    """What was loaded. `context` is what one conversation may hold, `trained_context` what the model knows."""

    name: str
    context: int
    trained_context: int
    vocabulary: int
    parameters: int
    size_bytes: int
    places: int
    description: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered conversation. `stop` are strings that end a turn in this template beside the end token."""

    text: str
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineJob:
    """One reply to write. `id` is unique for the life of the engine."""

    id: int
    tokens: list[int]
    sampling: Sampling = Sampling()
    grammar: str | None = None
    """GBNF that the reply must obey."""
    conversation: str | None = None
    priority: Priority = Priority.INTERACTIVE


@dataclass(frozen=True, slots=True)
class EngineFinish:
    """`queued_s`, `prompt_s`, `reply_s`: until it was admitted, until its first token, until its last."""

    reason: FinishReason
    usage: Usage
    queued_s: float = 0.0
    prompt_s: float = 0.0
    reply_s: float = 0.0


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """Text of one reply, its end, or its failure. After `finish` or `error` nothing comes for this job."""

    job_id: int
    text: str = ""
    finish: EngineFinish | None = None
    error: ParleyError | None = None


Sink = Callable[[list[EngineEvent]], None]


@dataclass(frozen=True, slots=True)
class SequenceState:
    id: int
    busy: bool
    tokens: int
    conversation: str | None
    job_id: int | None


@dataclass(frozen=True, slots=True)
class EngineState:
    """A snapshot between two steps. `counters` counts since the load; `widths[n]`: steps of n sequences."""

    busy: int
    waiting: int
    sequences: tuple[SequenceState, ...]
    counters: Mapping[str, int] = field(default_factory=dict)
    widths: Mapping[int, int] = field(default_factory=dict)


class Engine(Protocol):
    card: EngineCard

    def start(self, sink: Sink, on_death: Callable[[str], None]) -> None:
        """Begin to work. `on_death` is called once, from the engine's thread, if it cannot go on."""
        ...

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        now: datetime,
        thinking: bool | None = None,
    ) -> Prompt:
        """The chat template; `thinking` None leaves that to the model. Raises BadInput if it refuses these
        messages. Any thread."""
        ...

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Any thread."""
        ...

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Raises BadInput for a number that is no token. Any thread."""
        ...

    def grammar(self, schema: Mapping[str, Any]) -> str:
        """The grammar of a JSON schema; {} is any JSON object. Raises BadInput. Any thread."""
        ...

    def submit(self, job: EngineJob) -> None:
        """Raises Overloaded when more is pending than can ever be looked at. Any thread."""
        ...

    def cancel(self, job_id: int) -> None:
        """It ends with reason cancelled before the next step. Unknown ids are ignored. Any thread."""
        ...

    def forget(self, conversation: str) -> None: ...

    def ask_state(self, answer: Callable[[EngineState], None]) -> None:
        """`answer` is called in the engine's thread, between two steps."""
        ...

    def close(self, timeout_s: float) -> bool:
        """Stop and free the model. False if the step that runs did not end in time; then nothing is freed."""
        ...


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """`formats` are names of models/formats/ it can load."""

    name: str
    load: Callable[[EngineConfig], Engine]
    formats: tuple[str, ...]
    description: str
