"""Hugging Face's text-generation-inference, which is archived: for servers that still run.

Source: its Messages API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm.convert.formats import grammar_schema
from llm.errors import BackendFailed, UnknownModel
from llm.messages import GenerateRequest
from llm.port import BackendSpec, ModelInfo, SlotTold, VectorPath
from llm.remote.openai_client import OpenAIClient

__all__ = ["SPEC", "Tgi"]


class Tgi(OpenAIClient):
    """One model; errors are {"error": text, "error_type"}."""

    health_path = "/health"
    carries = False
    renames = {
        **dict.fromkeys(("top_k", "min_p", "repeat_penalty", "repeat_last_n", "typical_p", "top_n_sigma"), ""),
        **dict.fromkeys(("xtc_probability", "xtc_threshold", "dry_multiplier", "dry_base", "dry_allowed_length"), ""),
        **dict.fromkeys(("dry_penalty_last_n", "mirostat", "mirostat_tau", "mirostat_eta", "ignore_eos"), ""),
        **dict.fromkeys(("dynatemp_range", "dynatemp_exponent", "min_keep"), ""),
        **dict.fromkeys(("grammar", "lora", "chat_template_kwargs", "parallel_tool_calls"), ""),
    }

    def body(self, request: GenerateRequest) -> dict[str, Any]:
        body = super().body(request)
        body["model"] = body["model"] or "tgi"
        if schema := grammar_schema(request.response_format):
            body["response_format"] = {"type": "json", "value": dict(schema)}
        return body

    async def models(self) -> tuple[ModelInfo, ...]:
        info = await self._get(f"{self._root}/info")
        if not isinstance(info, dict) or not info.get("model_id"):
            raise BackendFailed(f"{self.name} does not say which model it has")
        length = info.get("max_total_tokens")
        return (ModelInfo(str(info["model_id"]), self.name, length if isinstance(length, int) else None, "tgi"),)

    async def vectors(
        self, path: VectorPath, body: Mapping[str, Any], user: str = "", on_slot: SlotTold | None = None
    ) -> dict[str, Any]:
        raise UnknownModel("text-generation-inference has neither embeddings nor ranks")


SPEC = BackendSpec(
    name="tgi",
    load=Tgi,
    default_url="http://127.0.0.1:3000/v1",
    description="text-generation-inference (legacy)",
    probes=("/info",),
    recognise=lambda seen: (
        "/info" in seen
        and isinstance(seen["/info"].body, dict)
        and "model_id" in seen["/info"].body
        and "max_total_tokens" in seen["/info"].body
    ),
    rank=50,
)
