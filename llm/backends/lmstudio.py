"""LM Studio: OpenAI's API, and its own for what is loaded. Source: LM Studio's REST API v1 (older servers: v0)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import anyio

from llm.errors import BackendFailed, LlmError
from llm.port import BackendSpec, ModelInfo
from llm.remote.openai_client import OpenAIClient
from llm.routing.abilities import abilities_of

__all__ = ["SPEC", "LmStudio"]

POLL_S = 1.0
"""A download is asked after this often."""


class LmStudio(OpenAIClient):
    async def models(self) -> tuple[ModelInfo, ...]:
        """With the context they are loaded with; else the longest they can have."""
        for path in ("/api/v1/models", "/api/v0/models"):
            try:
                rows = _rows(await self._get(self._root + path))
            except LlmError:
                continue
            found = tuple(self._model(row) for row in rows if row.get("key") or row.get("id"))
            if found:
                return found
        return await super().models()

    def _model(self, row: dict[str, Any]) -> ModelInfo:
        loaded = row.get("loaded_instances")
        first = loaded[0] if isinstance(loaded, list) and loaded and isinstance(loaded[0], dict) else {}
        config = first.get("config")
        length = config.get("context_length") if isinstance(config, dict) else None
        length = length or row.get("loaded_context_length") or row.get("max_context_length")
        name = str(row.get("key") or row.get("id"))
        return ModelInfo(name, self.name, length if isinstance(length, int) else None, "lmstudio", abilities_of(row))

    async def preload(self, model: str) -> None:
        """Fetches `model_url` first where that is given and allowed, however long it takes; who stops waiting leaves
        LM Studio fetching by itself.
        """
        wanted = self.config.model_path or model or self.config.model
        if self.config.model_url and self.config.auto_download_model:
            await self._fetch(self.config.model_url)
        body: dict[str, Any] = {"model": wanted}
        if self.config.context_size:
            body["context_length"] = self.config.context_size
        await self._post(f"{self._root}/api/v1/models/load", body)

    async def _fetch(self, url: str) -> None:
        told = await self._post(f"{self._root}/api/v1/models/download", {"model": url})
        while True:
            job = told if isinstance(told, dict) else {}
            match job.get("status"):
                case "completed" | "already_downloaded":
                    return
                case "downloading" if isinstance(job.get("job_id"), str):
                    await anyio.sleep(POLL_S)
                    path = f"/api/v1/models/download/status/{quote(job['job_id'], safe='')}"
                    told = await self._get(self._root + path)
                case status:
                    raise BackendFailed(
                        f"{self.name} did not fetch {url}: {str(status)[:100]}",
                        hint="see its downloads; one that is paused has to be resumed there",
                    )


def _rows(answer: Any) -> list[dict[str, Any]]:
    found = (answer.get("models") or answer.get("data")) if isinstance(answer, dict) else None
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


SPEC = BackendSpec(
    name="lmstudio",
    load=LmStudio,
    default_url="http://127.0.0.1:1234/v1",
    description="LM Studio",
    probes=("/api/v1/models", "/api/v0/models"),
    recognise=lambda seen: any(
        path in seen
        and seen[path].status == 200
        and any("loaded_instances" in row or "max_context_length" in row for row in _rows(seen[path].body))
        for path in ("/api/v1/models", "/api/v0/models")
    ),
    rank=60,
    aliases=("lm-studio",),
)
