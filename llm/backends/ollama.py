"""Ollama by its native API: /api/chat as lines of JSON, a fixed num_ctx, keep_alive, thinking, tools, images.

Its OpenAI-compatible API takes no num_ctx, and another num_ctx than the loaded one reloads the model.
Source: Ollama's docs/api.md.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from llm.backend_http import SERVER_BROKE, SERVER_GONE, loads
from llm.errors import BackendFailed, UnknownModel
from llm.messages import GenerateRequest
from llm.ndjson import LineReader
from llm.ollama_wire import OllamaReader, chat_body, model_options
from llm.openai_client import OpenAIClient
from llm.port import BackendSpec, ModelInfo
from llm.request_defaults import with_defaults
from llm.stream import StreamEvent

__all__ = ["SPEC", "Ollama"]


class Ollama(OpenAIClient):
    relays = False
    health_path = "/api/version"

    def body(self, request: GenerateRequest) -> dict[str, Any]:
        return chat_body(request, request.model or self.config.model, self.config)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        body = self.body(with_defaults(request, self.config))
        reader, lines = OllamaReader(), LineReader()
        try:
            async with self._asked(f"{self._root}/api/chat", body) as response:
                async for piece in response.content.iter_any():
                    for line in lines.feed(piece):
                        for event in reader.read(loads(line)):
                            yield event
                for line in lines.close():
                    for event in reader.read(loads(line)):
                        yield event
                if not reader.done:
                    raise self.broken()
        except SERVER_GONE as error:
            raise self.gone(error) from error
        except SERVER_BROKE as error:
            raise self.broken() from error

    async def models(self) -> tuple[ModelInfo, ...]:
        """All that are installed; with their context those that are loaded."""
        tags = _rows(await self._get(f"{self._root}/api/tags"))
        return tuple(ModelInfo(str(row["name"]), self.name, None, "ollama") for row in tags if row.get("name"))

    async def context_limit(self, model: str) -> int | None:
        """Live where the model is loaded, else what it was trained on."""
        for row in _rows(await self._get(f"{self._root}/api/ps")):
            if model in (row.get("name"), row.get("model")) and isinstance(row.get("context_length"), int):
                return int(row["context_length"])
        shown = await self._post(f"{self._root}/api/show", {"model": model})
        info = shown.get("model_info") if isinstance(shown, dict) else None
        lengths = [v for k, v in info.items() if k.endswith(".context_length")] if isinstance(info, dict) else []
        return int(lengths[0]) if lengths and isinstance(lengths[0], int) else None

    async def preload(self, model: str) -> None:
        """Loads it with the same num_ctx as requests have; pulls it first where it is missing and that is allowed."""
        wanted = model or self.config.model
        body = {
            "model": wanted,
            "messages": [],
            "stream": False,
            "keep_alive": self.config.keep_alive,
            "options": model_options(self.config),
        }
        try:
            await self._post(f"{self._root}/api/chat", body)
        except UnknownModel:
            if not self.config.auto_download_model:
                raise
            await self._pull(self.config.model_url or wanted)
            await self._post(f"{self._root}/api/chat", body)

    async def _pull(self, model: str) -> None:
        lines = LineReader()
        try:
            async with self._asked(f"{self._root}/api/pull", {"model": model}) as response:
                async for piece in response.content.iter_any():
                    for line in lines.feed(piece):
                        told = loads(line)
                        if isinstance(told, dict) and told.get("error"):
                            raise BackendFailed(f"{self.name} could not pull {model}: {str(told['error'])[:300]}")
        except SERVER_GONE as error:
            raise self.gone(error) from error
        except SERVER_BROKE as error:
            raise self.broken() from error

    async def embed(self, texts: Sequence[str], model: str) -> list[list[float]]:
        answer = await self._post(
            f"{self._root}/api/embed", {"model": model or self.config.model, "input": list(texts)}
        )
        rows = answer.get("embeddings") if isinstance(answer, dict) else None
        if not isinstance(rows, list) or len(rows) != len(texts):
            raise BackendFailed(f"{self.name} gave no vector for every text")
        return [[float(number) for number in row] for row in rows]

    async def rerank(self, query: str, documents: Sequence[str], model: str) -> list[float]:
        raise BackendFailed("Ollama does not rerank", hint="load a rerank model into a Parley slot")


def _rows(answer: Any) -> list[dict[str, Any]]:
    found = answer.get("models") if isinstance(answer, dict) else None
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


SPEC = BackendSpec(
    name="ollama",
    load=Ollama,
    default_url="http://127.0.0.1:11434",
    description="Ollama, by its native API",
    probes=("/api/version", "/api/tags"),
    recognise=lambda seen: (
        all(path in seen and seen[path].status == 200 for path in ("/api/version", "/api/tags"))
        and isinstance(seen["/api/tags"].body, dict)
        and "models" in seen["/api/tags"].body
    ),
    rank=90,
)
