"""The ports of this layer: what an inference engine (inside a worker) and a backend (anything that answers) do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from llm.messages import GenerateRequest
from llm.stream import StreamEvent

__all__ = ["Backend", "BackendConfig", "BackendSpec", "Generator", "ModelInfo"]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model somebody serves. `context` is in tokens, None where the server does not say."""

    id: str
    backend: str
    context: int | None = None
    owned_by: str = "parley"


class Generator(Protocol):
    """Anything that answers a chat request. `llm.generate.Router` is the one that voice and web are given."""

    def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        """Stream the reply. Closing the iterator (aclose) cancels the work down to the decoder.

        Raises LlmError before the first event or in the middle; the error says which by being raised there.
        """
        ...


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """One `[[backends]]` entry."""

    name: str
    type: str
    base_url: str
    api_key: str = ""
    model: str = ""
    priority: int = 0
    enabled: bool = True
    timeout_s: float = 120.0


class Backend(Generator, Protocol):
    """Somebody who answers. One file in llm/backends/."""

    name: str
    config: BackendConfig

    def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]: ...

    async def health(self) -> bool: ...

    async def models(self) -> tuple[ModelInfo, ...]:
        """What it serves now. Raises LlmError."""
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
