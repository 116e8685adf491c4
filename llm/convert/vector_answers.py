"""What other servers answer to requests for vectors and ranks, in the form that was asked for. Pure.

Vectors come as lists or, from servers that do as OpenAI, as base64; LM Studio gives lists whatever is asked for.
Ranks come as {"results": [{"index", "relevance_score"}]} (Jina, Cohere, vLLM, llama.cpp) or as a bare list of
{"index", "score"} (text-embeddings-inference), in any order.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from typing import Any

from llm.convert.vectors import document_texts, inputs_of, rerank_answer
from llm.errors import BackendFailed
from llm.wire.vectors import EmbeddingRequest, RerankRequest

__all__ = ["embeddings_of", "floats_of", "ranks_of", "vectors_as_asked"]


def vectors_as_asked(
    request: EmbeddingRequest, vectors: Sequence[Sequence[float]], model: str, tokens: int
) -> dict[str, Any]:
    """OpenAI's answer. Raises BackendFailed where there is not one vector for every input."""
    if len(vectors) != len(inputs_of(request)):
        raise BackendFailed("the server gave no vector for every text")
    plain = request.encoding_format == "float"
    rows = [
        {"object": "embedding", "index": index, "embedding": list(vector) if plain else _base64(vector)}
        for index, vector in enumerate(vectors)
    ]
    return {"object": "list", "data": rows, "model": model, "usage": _usage(tokens)}


def embeddings_of(request: EmbeddingRequest, answer: object, model: str) -> dict[str, Any]:
    """From an OpenAI-compatible server's answer. Raises BackendFailed for one that is none."""
    rows = answer.get("data") if isinstance(answer, dict) else None
    found = {_index(row, place): row.get("embedding") for place, row in enumerate(_rows(rows))}
    if sorted(found) != list(range(len(found))):
        raise BackendFailed("the server numbers its vectors in a way that nobody understands")
    assert isinstance(answer, dict)
    vectors = [floats_of(found[index]) for index in range(len(found))]
    return vectors_as_asked(request, vectors, str(answer.get("model") or model), _tokens(answer))


def ranks_of(request: RerankRequest, answer: object, model: str) -> dict[str, Any]:
    """The best first, as many as were asked for. Raises BackendFailed for an answer that is none."""
    told = answer if isinstance(answer, dict) else {}
    texts = document_texts(request)
    scores: dict[int, float] = {}
    for row in _rows(told.get("results", told.get("data")) if told else answer):
        score, index = row.get("relevance_score", row.get("score")), row.get("index")
        if not isinstance(index, int) or not 0 <= index < len(texts) or not isinstance(score, int | float):
            raise BackendFailed("the server gave a rank that belongs to no document")
        scores[index] = float(score)
    whole = len(texts) if request.top_n is None else min(request.top_n, len(texts))
    if len(scores) < whole:
        raise BackendFailed("the server gave no score for every document")
    lowest = float("-inf")
    ranked = rerank_answer(
        request, texts, [scores.get(index, lowest) for index in range(len(texts))], model, _tokens(told)
    )
    return {**ranked, "results": [row for row in ranked["results"] if row["relevance_score"] > lowest]}


def floats_of(vector: object) -> list[float]:
    """A list of numbers, or little-endian float32 in base64. Raises BackendFailed."""
    try:
        if isinstance(vector, str):
            data = base64.b64decode(vector, validate=True)
            return list(struct.unpack(f"<{len(data) // 4}f", data))
        if isinstance(vector, list) and vector:
            return [float(number) for number in vector]
    except (binascii.Error, struct.error, TypeError, ValueError):
        pass
    raise BackendFailed("the server sent a vector that is none")


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")


def _rows(rows: object) -> list[dict[str, Any]]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BackendFailed("the server sent something that is not a list of results")
    return rows


def _index(row: dict[str, Any], place: int) -> int:
    index = row.get("index", place)
    return index if isinstance(index, int) else place


def _tokens(answer: dict[str, Any]) -> int:
    """0 where the server does not count. Cohere's own shape counts searches, not tokens."""
    usage = answer.get("usage")
    found = (usage.get("prompt_tokens") or usage.get("total_tokens")) if isinstance(usage, dict) else 0
    return found if isinstance(found, int) else 0


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": tokens, "total_tokens": tokens}
