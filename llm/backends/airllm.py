"""Parley's AirLLM service: OpenAI's API around a library that reads a model layer by layer, seconds a token."""

from __future__ import annotations

import aiohttp

from llm.port import BackendSpec
from llm.remote.openai_client import OpenAIClient

__all__ = ["SPEC", "AirLlm"]

SLOWEST_S = 1800.0


class AirLlm(OpenAIClient):
    health_path = "/health"

    def _patience(self, factor: float = 1.0) -> aiohttp.ClientTimeout:
        """A token may take minutes; somebody who set a timeout longer than that is believed."""
        patience_s = max(self.config.timeout_s, SLOWEST_S)
        return aiohttp.ClientTimeout(total=None, connect=self.config.connect_timeout_s, sock_read=patience_s)

    def _check_pause(self, begun: bool, quiet_s: float) -> None:
        """Nothing is too slow here."""


SPEC = BackendSpec(
    name="airllm",
    load=AirLlm,
    default_url="http://127.0.0.1:9996/v1",
    description="the AirLLM service",
    probes=("/v1/models",),
    recognise=lambda seen: (
        "/v1/models" in seen
        and isinstance(seen["/v1/models"].body, dict)
        and isinstance(rows := seen["/v1/models"].body.get("data"), list)
        and any(isinstance(row, dict) and row.get("owned_by") == "airllm" for row in rows)
    ),
    rank=75,
)
