"""vLLM: OpenAI's API with its own names for some settings. Source: vLLM's OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import aiohttp

from llm.convert.chat import parse_body
from llm.convert.content import data_url
from llm.convert.vector_answers import embeddings_of
from llm.convert.vectors import inputs_of, shows_images
from llm.messages import GenerateRequest, ImagePart
from llm.port import BackendConfig, BackendSpec, VectorPath
from llm.remote.openai_client import OpenAIClient
from llm.stream import StreamEvent
from llm.wire.vectors import EmbeddingRequest
from models.errors import BadInput

__all__ = ["SPEC", "Vllm"]


class Vllm(OpenAIClient):
    """Reasoning comes as `reasoning`; the context is max_model_len in /v1/models."""

    health_path = "/health"
    renames = {
        "repeat_penalty": "repetition_penalty",
        **dict.fromkeys(
            ("repeat_last_n", "typical_p", "top_n_sigma", "xtc_probability", "xtc_threshold", "lora", "grammar"), ""
        ),
        **dict.fromkeys(("dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n"), ""),
        **dict.fromkeys(("mirostat", "mirostat_tau", "mirostat_eta"), ""),
        **dict.fromkeys(("dynatemp_range", "dynatemp_exponent", "min_keep"), ""),
    }

    def __init__(self, config: BackendConfig, http: aiohttp.ClientSession) -> None:
        super().__init__(config, http)
        self._plain: set[str] = set()
        """Models without a template."""

    def body(self, request: GenerateRequest) -> dict[str, Any]:
        body = super().body(request)
        if request.grammar is not None:
            body["structured_outputs"] = {"grammar": request.grammar}
        if body["model"] in self._plain and "chat_template_kwargs" not in request.extra:
            body.pop("chat_template_kwargs", None)
        return body

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        """A model with Mistral's own tokenizer has no template, and vLLM refuses to set one up: such a model is asked
        once more without, unless that is what the client asked for.
        """
        begun = False
        try:
            async with aclosing(super().generate(request)) as events:
                async for event in events:
                    begun = True
                    yield event
            return
        except BadInput as error:
            model = request.model or self.config.model
            ours = request.thinking is not None and "chat_template_kwargs" not in request.extra
            if begun or not ours or model in self._plain or "chat_template" not in error.message:
                raise
        self._plain.add(model)
        async with aclosing(super().generate(request)) as events:
            async for event in events:
                yield event

    async def _vectors(self, path: VectorPath, body: Mapping[str, Any], model: str) -> Any:
        """An image is the message of a chat, one in a request ("Multimodal embeddings" in vLLM's documentation)."""
        if path != "embeddings" or not shows_images(body):
            return await super()._vectors(path, body, model)
        rest = {name: value for name, value in body.items() if name != "input"}
        rows: list[Any] = []
        tokens = 0
        for one in inputs_of(parse_body(EmbeddingRequest, body)):
            asked: dict[str, Any] = {"input": one}
            if isinstance(one, ImagePart):
                content = [{"type": "image_url", "image_url": {"url": data_url(one)}}]
                asked = {"messages": [{"role": "user", "content": content}]}
            answer = await super()._vectors(path, {**rest, **asked}, model)
            found = embeddings_of(_ONE, answer, model)
            rows.append({"index": len(rows), "embedding": found["data"][0]["embedding"]})
            tokens += found["usage"]["prompt_tokens"]
        return {"data": rows, "model": model, "usage": {"prompt_tokens": tokens}}


_ONE = EmbeddingRequest(input="-")

SPEC = BackendSpec(
    name="vllm",
    load=Vllm,
    default_url="http://127.0.0.1:8000/v1",
    description="vLLM",
    probes=("/version", "/v1/models"),
    recognise=lambda seen: (
        "/version" in seen
        and seen["/version"].status == 200
        and "/v1/models" in seen
        and any(row.get("owned_by") == "vllm" for row in _rows(seen["/v1/models"].body))
    ),
    rank=70,
)


def _rows(body: Any) -> list[dict[str, Any]]:
    rows = body.get("data") if isinstance(body, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
