"""TabbyAPI (exllamav3): one model at a time, its own names for samplers.

Source: tabbyAPI's docs and common/sampling.py.
"""

from __future__ import annotations

from typing import Any

from llm.convert.formats import grammar_schema
from llm.messages import GenerateRequest
from llm.port import BackendSpec
from llm.remote.backend_http import SERVER_BROKE, SERVER_GONE, loads
from llm.remote.chunk_reader import error_of
from llm.remote.openai_client import OpenAIClient
from llm.remote.sse import SseReader

__all__ = ["SPEC", "TabbyApi"]


class TabbyApi(OpenAIClient):
    health_path = "/health"
    renames = {
        "repeat_penalty": "repetition_penalty",
        "repeat_last_n": "penalty_range",
        "typical_p": "typical",
        "mirostat": "mirostat_mode",
        "dry_penalty_last_n": "dry_range",
        "ignore_eos": "ban_eos_token",
        "grammar": "grammar_string",
        "chat_template_kwargs": "template_vars",
        **dict.fromkeys(("top_n_sigma", "lora"), ""),
    }

    def body(self, request: GenerateRequest) -> dict[str, Any]:
        body = super().body(request)
        if schema := grammar_schema(request.response_format):
            body["json_schema"] = dict(schema)
        return body

    async def context_limit(self, model: str) -> int | None:
        """Of the loaded model: /v1/model tells no other's."""
        shown = await self._get(f"{self._root}/v1/model")
        parameters = shown.get("parameters") if isinstance(shown, dict) else None
        length = parameters.get("max_seq_len") if isinstance(parameters, dict) else None
        return length if isinstance(length, int) else None

    async def preload(self, model: str) -> None:
        """Needs the admin key as api_key. Another model that is loaded is put out."""
        wanted = self.config.model_path or model or self.config.model
        body: dict[str, Any] = {"model_name": wanted}
        if self.config.context_size:
            body["max_seq_len"] = self.config.context_size
        events = SseReader()
        try:
            async with self._asked(f"{self._root}/v1/model/load", body) as response:
                async for piece in response.pieces():
                    for data in events.feed(piece):
                        told = loads(data)
                        if isinstance(told, dict) and told.get("error"):
                            raise error_of(0, told)
        except SERVER_GONE as error:
            raise self.gone(error) from error
        except SERVER_BROKE as error:
            raise self.broken(error) from error

    def _headers(self) -> dict[str, str]:
        key = self.config.api_key
        return {**super()._headers(), "x-admin-key": key, "x-api-key": key} if key else {}


SPEC = BackendSpec(
    name="tabbyapi",
    load=TabbyApi,
    default_url="http://127.0.0.1:5000/v1",
    description="TabbyAPI (exllamav3)",
    probes=("/v1/model", "/v1/model/list"),
    recognise=lambda seen: (
        "/v1/model" in seen
        and (
            (
                seen["/v1/model"].status == 200
                and isinstance(seen["/v1/model"].body, dict)
                and "id" in seen["/v1/model"].body
            )
            or (
                seen["/v1/model"].status in (400, 401, 503)
                and seen.get("/v1/model/list", seen["/v1/model"]).status == 200
            )
        )
    ),
    rank=85,
    aliases=("tabby",),
)
