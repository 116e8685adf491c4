"""The port of an inference engine: what runs inside a worker process and turns tokens into text.

An engine owns one model and one thread. Requests go in from any thread; what comes out is handed to one sink,
in the engine's thread, at most once a step. A new engine is one file in llm/engines/ with a SPEC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any, Literal, Protocol

from llm.batching.events import Adapters, Media
from llm.memory.cards import Cards, Division
from llm.memory.fit import FitSum
from llm.messages import Message, Priority, Sampling
from llm.settings import EngineSettings
from llm.stream import FinishReason, TokenLogprob, Usage
from models.clock import Clock
from models.errors import ParleyError

__all__ = [
    "Adapter",
    "EmbedJob",
    "Encoded",
    "EncodedMedia",
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
    "SlotAction",
]


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What to load. `on_progress` is called with 0..1 while the model loads."""

    model: Path
    name: str
    settings: EngineSettings
    clock: Clock
    on_progress: Callable[[float], None] = lambda _: None
    states: Path | None = None
    """A folder for states while the model is in no slot, where the settings name none."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter that was loaded with the model. `scale` is what requests get that ask for nothing else."""

    id: int
    path: str
    scale: float


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
    generates: bool = True
    """False for models that only make vectors."""
    dimensions: int = 0
    """Of a vector; 0 where it makes none."""
    embeds_images: bool = False
    """In the same space as texts."""
    ranks: bool = False
    """It scores a query and a document together."""
    hears: bool = False
    sees: bool = False
    chat_template: str = ""
    bos: str = ""
    eos: str = ""
    adapters: tuple[Adapter, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered conversation. `stop` are strings that end a turn in this template beside the end token; `marks`
    are special tokens of it that must stay visible, for tool calls and thoughts are told by them. `media` are the
    files behind the media marks in the text, in order; `given_up` tells whether anybody still waits for them.
    """

    text: str
    stop: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    media: tuple[bytes, ...] = ()
    given_up: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class EncodedMedia:
    """One image or recording as the model reads it. `payload` is the engine's own."""

    place: Media
    payload: Any


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt as the model reads it. Places of images hold numbers below zero."""

    tokens: list[int]
    media: tuple[EncodedMedia, ...] = ()


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
    media: tuple[EncodedMedia, ...] = ()
    adapters: Adapters | None = None
    """None: as the slot is set up."""
    marks: tuple[str, ...] = ()
    """Special tokens to write out; all others are silent."""
    whole: bool = False
    """Nobody reads along: everything comes with the end."""
    asked_at: float = inf
    """When the request came, by the worker's clock: if its conversation is forgotten since, it leaves nothing."""


@dataclass(frozen=True, slots=True)
class EmbedJob:
    """Vectors of some texts, in order. `id` is unique among all jobs."""

    id: int
    inputs: tuple[list[int], ...]
    images: Mapping[int, bytes] = field(default_factory=dict)
    """By place: the file that stands where `inputs` has no tokens. Only for engines that embed images."""


@dataclass(frozen=True, slots=True)
class EngineFinish:
    """`queued_s`, `prompt_s`, `reply_s`: until it was admitted, until its first token, until its last."""

    reason: FinishReason
    usage: Usage
    queued_s: float = 0.0
    prompt_s: float = 0.0
    reply_s: float = 0.0
    stopped_by: str | None = None
    """The stop string that ended it."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """Text of one reply, its end, or its failure. After `finish` or `error` nothing comes for this job."""

    job_id: int
    text: str = ""
    finish: EngineFinish | None = None
    error: ParleyError | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    """Of the tokens of this step, where they were asked for."""
    vectors: tuple[list[float], ...] | None = None
    """All of an EmbedJob, not normalised; one number each where the model ranks. It ends the job."""
    tokens: tuple[int, ...] = ()
    """What was sampled in this step."""


SlotAction = Literal["save", "restore", "erase"]

Sink = Callable[[list[EngineEvent]], None]


@dataclass(frozen=True, slots=True)
class SequenceState:
    id: int
    busy: bool
    tokens: int
    conversation: str | None
    job_id: int | None
    offloaded: bool = False
    """Its keys and values lie beside the cache."""


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
    media_marker: str
    """Stands for an image or recording in a prompt's text; "" for a model that reads text only."""

    def start(self, sink: Sink, on_death: Callable[[str], None]) -> None:
        """Begin to work. `on_death` is called once, from the engine's thread, if it cannot go on."""
        ...

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        now: datetime,
        variables: Mapping[str, Any],
    ) -> Prompt:
        """The chat template, with further `variables` of it. Raises BadInput if it refuses these messages. Any
        thread."""
        ...

    def encode(self, prompt: Prompt) -> Encoded:
        """Tokens, and images and audio through the projector, which takes seconds. Raises BadInput. Any thread."""
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

    def call_grammar(self, tools: Sequence[Mapping[str, Any]], parallel: bool, prompt: Prompt) -> str:
        """The grammar of a reply that calls one of these tools, or several, as this model's template writes calls.
        Raises BadInput. Any thread."""
        ...

    def pair(self, query: str, document: str) -> list[int]:
        """The tokens of a query and a document, for a model that ranks. Any thread."""
        ...

    def submit(self, job: EngineJob | EmbedJob) -> None:
        """Raises Overloaded when more is pending than can ever be looked at. Any thread."""
        ...

    def cancel(self, job_id: int) -> None:
        """It ends with reason cancelled before the next step. Unknown ids are ignored. Any thread."""
        ...

    def forget(self, conversation: str) -> None: ...

    @property
    def cache_ram_bytes(self) -> int:
        """What conversations out of the cache take now. Any thread."""
        ...

    def limit_cache_ram(self, cache_ram_bytes: int) -> None:
        """They may take no more than this from now on. Any thread."""
        ...

    def ask_state(self, answer: Callable[[EngineState], None]) -> None:
        """`answer` is called in the engine's thread, between two steps."""
        ...

    def keep(
        self, action: SlotAction, sequence: int, file: Path | None, answer: Callable[[int | ParleyError], None]
    ) -> None:
        """Save an idle sequence to a file, read it back, or empty it. `answer` gets its number of tokens, in the
        engine's thread. Any thread."""
        ...

    def close(self, timeout_s: float) -> bool:
        """Stop and free the model. False if the step that runs did not end in time; then nothing is freed."""
        ...


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """`formats` are names of models/formats/ it can load.

    `fitness(model)`: how well it suits this model on this machine; 0 if it cannot run here at all, because its
    library is not installed, for example. `engine = "auto"` takes the best.
    `command(config, port)`: for an engine that is a server of its own; the worker then runs that in place of `load`.
    """

    name: str
    load: Callable[[EngineConfig], Engine]
    formats: tuple[str, ...]
    description: str
    fitness: Callable[[Path], int] = lambda _: 1
    command: Callable[[EngineConfig, int], Sequence[str]] | None = None
    extra: str = ""
    """What to install: `pip install parley-voice[extra]`."""
    divide: Callable[[FitSum, EngineSettings, Cards], Division] = lambda fit, *_: Division(fit.total)
    """What of it is in the memory of GPUs of these sizes. Blocking. Without: nothing."""
