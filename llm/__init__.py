"""The language-model layer. `from llm import LLMClient, BackendFactory` for programs that want the client alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm.client import BackendFactory, LLMClient

__all__ = ["BackendFactory", "LLMClient"]


def __getattr__(name: str) -> Any:
    """Imported when asked for: workers and the command line import this package, and need no HTTP client."""
    if name in __all__:
        from llm import client

        return getattr(client, name)
    raise AttributeError(f"module 'llm' has no attribute {name!r}")
