"""Any server that speaks OpenAI's chat completions: the clouds, LocalAI, mlx-lm and their like."""

from __future__ import annotations

from llm.openai_client import OpenAIClient
from llm.port import BackendSpec

__all__ = ["SPEC"]

SPEC = BackendSpec(
    name="openai",
    load=OpenAIClient,
    default_url="https://api.openai.com/v1",
    description="any server with OpenAI's chat completions",
)
