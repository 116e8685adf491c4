"""The ports of this layer: what an inference engine (inside a worker) and a backend (anything that answers) do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from llm.messages import GenerateRequest
from llm.routing.abilities import Abilities, Ability
from llm.stream import StreamEvent
from models.secrecy import keep_secret, keep_url

__all__ = ["Answer", "Backend", "BackendConfig", "BackendSpec", "Generator", "ModelInfo", "SlotTold", "VectorPath"]

VectorPath = Literal["embeddings", "rerank"]
SlotTold = Callable[[str, int], None]
"""Told the model and the number of the slot of ours that answers."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model somebody serves. `context` is in tokens, None where the server does not say."""

    id: str
    backend: str
    context: int | None = None
    owned_by: str = "parley"
    able: Abilities = field(default_factory=dict, hash=False)
    """To what besides text, as far as the server says."""
    via: tuple[str, ...] = ()
    """Ids of the Parleys through which it is reached, the nearest first."""


class Generator(Protocol):
    """Anything that answers a chat request. `llm.generate.Router` is the one that voice and web are given."""

    def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        """Stream the reply. Closing the iterator (aclose) cancels the work down to the decoder.

        Raises LlmError before the first event or in the middle; the error says which by being raised there.
        """
        ...


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """One `[[backends]]` entry. Sampling settings are for requests that leave them open."""

    name: str
    type: str
    base_url: str
    api_key: str = field(default="", repr=False)
    model: str = ""
    priority: int = 0
    enabled: bool = True
    timeout_s: float = 120.0
    """An answer must begin within this time and not pause for longer."""
    connect_timeout_s: float = 5.0
    first_token_timeout_s: float = 30.0
    """Where another backend could answer, too, it is asked after this much silence. 0: only after timeout_s."""
    total_timeout_s: float = 0.0
    """A whole answer, from the first byte of the request to the last of the answer. 0: no such limit."""
    model_name: str = ""
    """Another name of `model`."""
    model_path: str = ""
    """What `preload` asks the server to load, where it is not called as the model is."""
    model_url: str = ""
    """Where `preload` lets the server fetch the model from, for servers that fetch (Ollama, LM Studio)."""
    auto_download_model: bool = True
    context_size: int = 0
    """Tokens; for servers that are told (Ollama, LM Studio, TabbyAPI)."""
    gpu_layers: int = 0
    threads: int = 0
    use_memory_lock: bool = False
    keep_alive: str = "30m"
    """How long Ollama keeps the model loaded after a request; a number with a unit, or of seconds; "-1": for ever."""
    api: Literal["chat", "completion"] = "chat"
    """llama.cpp: by its chat API, or by its native /completion."""
    seed: int = -1
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop_sequences: tuple[str, ...] = ()
    max_input_tokens: int = 0
    """Longer prompts are refused before they are sent; estimated with four characters a token."""
    max_output_tokens: int = 0
    capabilities: tuple[Ability, ...] = ()
    """What its models can besides text ("vision", "audio", "tools", "embedding"), for a server that does not say."""

    def __post_init__(self) -> None:
        keep_secret(self.api_key)
        keep_url(self.base_url)
        if self.model_name and not self.model:
            object.__setattr__(self, "model", self.model_name)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to a GET: `body` is the JSON value, None where it was none."""

    status: int
    body: Any = None


class Backend(Generator, Protocol):
    """Somebody who answers. One file in llm/backends/."""

    name: str
    config: BackendConfig

    def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]: ...

    async def health(self) -> bool: ...

    async def models(self) -> tuple[ModelInfo, ...]:
        """What it serves now. Raises LlmError."""
        ...

    async def prefill(self, request: GenerateRequest) -> None:
        """Read the prompt into the memory of its conversation, ahead of the request that will begin with it.

        Only where it costs nothing but our own machine's time: servers that are not ours do nothing. Cancel-safe;
        what was read until then is kept. Raises LlmError.
        """
        ...

    async def vectors(
        self, path: VectorPath, body: Mapping[str, Any], user: str = "", on_slot: SlotTold | None = None
    ) -> dict[str, Any]:
        """The answer to POST /v1/embeddings (OpenAI's form) or /v1/rerank (Jina's), whose body is given.

        Raises UnknownModel where it has no such thing, BadInput, LlmError.
        """
        ...

    async def forget(self, conversation: str) -> None:
        """Free what is kept of a conversation, where something is. Raises nothing."""
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """Found by discovery in llm/backends/. `load(config, http)` gets the shared aiohttp session."""

    name: str
    load: Callable[[BackendConfig, Any], Backend]
    default_url: str
    description: str
    probes: tuple[str, ...] = ()
    """Paths from the server's root that tell whether it is one of these."""
    recognise: Callable[[Mapping[str, Answer]], bool] | None = None
    """Whether the answers to all probes are those of such a server."""
    rank: int = 0
    """Where several recognise a server, the highest is right: those that imitate others come first."""
    aliases: tuple[str, ...] = ()
