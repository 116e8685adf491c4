"""Ollama by its native API: /api/chat as lines of JSON, a fixed num_ctx, keep_alive, thinking, tools, images.

Its OpenAI-compatible API takes no num_ctx, and another num_ctx than the loaded one reloads the model.
Source: Ollama's docs/api.md.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import aiohttp

from llm.convert.chat import parse_body
from llm.convert.vector_answers import floats_of, vectors_as_asked
from llm.convert.vectors import texts_of
from llm.errors import BackendFailed, UnknownModel
from llm.messages import GenerateRequest
from llm.port import BackendConfig, BackendSpec, ModelInfo, SlotTold, VectorPath
from llm.remote.backend_http import SERVER_BROKE, SERVER_GONE, loads
from llm.remote.chunk_reader import count_of
from llm.remote.ndjson import LineReader
from llm.remote.ollama_wire import OllamaReader, chat_body, kept, model_options, num_ctx_of
from llm.remote.openai_client import OpenAIClient
from llm.remote.request_defaults import with_defaults
from llm.replies.tool_calls import named_tools
from llm.routing.abilities import abilities_of
from llm.stream import StreamEvent
from llm.wire.vectors import EmbeddingRequest
from models.errors import BadInput

__all__ = ["SPEC", "Ollama"]

_KEPT_MODELS = 256


class Ollama(OpenAIClient):
    relays = False
    health_path = "/api/version"

    def __init__(self, config: BackendConfig, http: aiohttp.ClientSession) -> None:
        super().__init__(config, http)
        self._num_ctxs: dict[str, int] = {}

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        if request.prompt is not None:
            raise UnknownModel("Ollama puts every text into a template", hint="ask by /v1/chat/completions")
        model = request.model or self.config.model
        body = chat_body(with_defaults(request, self.config), model)
        loading = await self._loading(model)
        body |= {**loading, "options": {**loading["options"], **body["options"]}}
        reader = OllamaReader(must_call=named_tools(request.tools, request.tool_choice) is not None)
        async with aclosing(self._frames(f"{self._root}/api/chat", body, LineReader(), reader)) as events:
            async for event in events:
                yield event

    async def models(self) -> tuple[ModelInfo, ...]:
        """All that are installed; with their context those that are loaded."""
        tags = _rows(await self._get(f"{self._root}/api/tags"))
        return tuple(
            ModelInfo(str(row["name"]), self.name, None, "ollama", abilities_of(row))
            for row in tags
            if row.get("name")
        )

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
        body: dict[str, Any] = {"model": wanted, "messages": [], "stream": False}
        try:
            await self._post(f"{self._root}/api/chat", {**body, **await self._loading(wanted)})
        except UnknownModel:
            if not self.config.auto_download_model:
                raise
            await self._pull(self.config.model_url or wanted)
            self._num_ctxs.pop(wanted, None)
            await self._post(f"{self._root}/api/chat", {**body, **await self._loading(wanted)})

    async def _pull(self, model: str) -> None:
        lines = LineReader()
        try:
            async with self._asked(f"{self._root}/api/pull", {"model": model}) as response:
                async for piece in response.pieces():
                    for line in lines.feed(piece):
                        told = loads(line)
                        if isinstance(told, dict) and told.get("error"):
                            raise BackendFailed(f"{self.name} could not pull {model}: {str(told['error'])[:300]}")
        except SERVER_GONE as error:
            raise self.gone(error) from error
        except SERVER_BROKE as error:
            raise self.broken(error) from error

    async def vectors(
        self, path: VectorPath, body: Mapping[str, Any], user: str = "", on_slot: SlotTold | None = None
    ) -> dict[str, Any]:
        """By /api/embed. Ollama takes texts, no tokens; and it does not rerank."""
        if path == "rerank":
            raise UnknownModel("Ollama does not rerank", hint="load a rerank model into a Parley slot")
        asked = parse_body(EmbeddingRequest, body)
        texts = texts_of(asked, self.name)
        if not all(isinstance(text, str) for text in texts):
            raise BadInput("Ollama can embed texts, but not token numbers", param="input")
        model = asked.model or self.config.model
        sent: dict[str, Any] = {"model": model, "input": texts, **await self._loading(model)}
        if asked.dimensions is not None:
            sent["dimensions"] = asked.dimensions
        answer = await self._post(f"{self._root}/api/embed", sent)
        rows = answer.get("embeddings") if isinstance(answer, dict) else None
        vectors = [floats_of(row) for row in rows] if isinstance(rows, list) else []
        return vectors_as_asked(asked, vectors, model, count_of(answer.get("prompt_eval_count")) if vectors else 0)

    async def _loading(self, model: str) -> dict[str, Any]:
        """What decides how the model is loaded: the same in all requests, or Ollama would load it again."""
        found: dict[str, Any] = {"options": model_options(self.config, await self._num_ctx(model))}
        return found if self.config.keep_alive == "" else {**found, "keep_alive": kept(self.config)}

    async def _num_ctx(self, model: str) -> int:
        """As configured, but never more than the model takes; unless something else is configured, as its Modelfile
        says. Asked for once: a model that is made anew under its name counts after a restart.
        """
        found = self._num_ctxs.get(model)
        if found is None:
            try:
                found = num_ctx_of(await self._post(f"{self._root}/api/show", {"model": model}), self.config)
            except UnknownModel:
                found = num_ctx_of(None, self.config)  # the request itself will say so
            while len(self._num_ctxs) >= _KEPT_MODELS:
                del self._num_ctxs[next(iter(self._num_ctxs))]
            self._num_ctxs[model] = found
        return found


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
