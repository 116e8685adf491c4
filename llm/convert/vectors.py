"""Vectors and ranks between the wire and our numbers. Pure."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence
from typing import Any

from llm.wire.vectors import EmbeddingRequest, RerankRequest
from models.errors import BadInput

__all__ = ["MAX_INPUTS", "cosine", "document_texts", "embedding_answer", "inputs_of", "normalised", "rerank_answer"]

MAX_INPUTS = 2048
"""OpenAI's own bound."""


def inputs_of(request: EmbeddingRequest) -> list[str | list[int]]:
    """Raises BadInput for none, too many, or an empty one."""
    given = request.input
    inputs: list[str | list[int]]
    if isinstance(given, str):
        inputs = [given]
    elif given and isinstance(given[0], str | list):
        inputs = [item for item in given if isinstance(item, str | list)]
    else:
        inputs = [[token for token in given if isinstance(token, int)]]
    if len(inputs) > MAX_INPUTS:
        raise BadInput(f"{len(inputs)} inputs; {MAX_INPUTS} are taken in one request", param="input")
    if not inputs or not all(inputs):
        raise BadInput("there is nothing to embed", param="input")
    return inputs


def normalised(vector: Sequence[float], dimensions: int | None = None) -> list[float]:
    """Of length 1; with `dimensions`, its first ones only (Matryoshka), as OpenAI cuts. Raises BadInput."""
    if dimensions is not None and dimensions > len(vector):
        raise BadInput(f"the vectors of this model have {len(vector)} dimensions", param="dimensions")
    cut = vector[:dimensions]
    length = math.sqrt(sum(value * value for value in cut))
    return [value / length for value in cut] if length > 0 else list(cut)


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """Of normalised vectors."""
    return sum(x * y for x, y in zip(a, b, strict=True))


def embedding_answer(
    request: EmbeddingRequest, vectors: Sequence[Sequence[float]], model: str, tokens: int
) -> dict[str, Any]:
    def written(vector: list[float]) -> list[float] | str:
        if request.encoding_format == "float":
            return vector
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")

    rows = [
        {"object": "embedding", "index": index, "embedding": written(normalised(vector, request.dimensions))}
        for index, vector in enumerate(vectors)
    ]
    return {
        "object": "list",
        "data": rows,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def document_texts(request: RerankRequest) -> list[str]:
    """Raises BadInput for a document without text."""
    texts = []
    for index, document in enumerate(request.documents):
        text = document if isinstance(document, str) else document.get("text")
        if not isinstance(text, str) or not text:
            raise BadInput('a document is a text or {"text": ...}', param=f"documents[{index}]")
        texts.append(text)
    return texts


def rerank_answer(
    request: RerankRequest, texts: Sequence[str], scores: Sequence[float], model: str, tokens: int
) -> dict[str, Any]:
    """The best first, as Jina's API and llama.cpp's server answer."""
    order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))[: request.top_n]
    results: list[dict[str, Any]] = [{"index": index, "relevance_score": scores[index]} for index in order]
    if request.return_documents:
        for result in results:
            result["document"] = {"text": texts[result["index"]]}
    return {
        "object": "list",
        "model": model,
        "results": results,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
