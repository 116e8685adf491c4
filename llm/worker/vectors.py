"""POST /v1/embeddings and /v1/rerank of the worker.

A model that ranks scores query and document together. Any other ranks by the angle between their vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm.convert.chat import parse_body
from llm.convert.vectors import (
    cosine,
    document_texts,
    embedding_answer,
    inputs_of,
    normalised,
    rerank_answer,
    texts_of,
)
from llm.engine import EmbedJob
from llm.messages import ImagePart
from llm.wire.vectors import EmbeddingRequest, RerankRequest
from llm.worker.answers import JsonAnswer, read_body, unless_gone
from llm.worker.bridge import Bridge
from llm.worker.server import server_of
from models.errors import BadInput

__all__ = ["ROUTES"]


async def _embeddings(request: Request) -> Response:
    asked = parse_body(EmbeddingRequest, await read_body(request))
    server = server_of(request)
    server.check_model(asked.model)
    bridge = server.bridge
    card = bridge.engine.card
    if card.ranks:
        raise BadInput(f"{card.name} ranks documents and makes no vectors", param="model", hint="POST /v1/rerank")
    if asked.dimensions is not None and asked.dimensions > card.dimensions:
        raise BadInput(f"the vectors of this model have {card.dimensions} dimensions", param="dimensions")
    inputs = inputs_of(asked) if card.embeds_images else texts_of(asked, card.name)
    texts = [[] if isinstance(one, ImagePart) else await _tokens(bridge, one) for one in inputs]
    images = {place: _data(one, place) for place, one in enumerate(inputs) if isinstance(one, ImagePart)}
    vectors = await unless_gone(request.receive, lambda: _vectors(bridge, texts, images))
    if vectors is None:
        return Response(status_code=499)
    return JsonAnswer(embedding_answer(asked, vectors, server.name, sum(map(len, texts))))


async def _rerank(request: Request) -> Response:
    asked = parse_body(RerankRequest, await read_body(request))
    server = server_of(request)
    server.check_model(asked.model)
    bridge = server.bridge
    documents = document_texts(asked)
    if bridge.engine.card.ranks:
        texts = [bridge.engine.pair(asked.query, document) for document in documents]
    else:
        texts = [await _tokens(bridge, text) for text in (asked.query, *documents)]
    vectors = await unless_gone(request.receive, lambda: _vectors(bridge, texts))
    if vectors is None:
        return Response(status_code=499)
    if bridge.engine.card.ranks:
        scores = [vector[0] for vector in vectors]
    else:
        query, *rest = (normalised(vector) for vector in vectors)
        scores = [cosine(query, vector) for vector in rest]
    return JsonAnswer(rerank_answer(asked, documents, scores, server.name, sum(map(len, texts))))


async def _tokens(bridge: Bridge, text: str | list[int]) -> list[int]:
    if isinstance(text, str):
        return await bridge.tokenize(text, parse_special=False)
    bridge.engine.detokenize(text)  # refuses numbers that are no tokens
    return text


def _data(image: ImagePart, place: int) -> bytes:
    if not image.data:
        hint = "the gateway fetches them; a slot does not"
        raise BadInput("an image by its address", param=f"input[{place}]", hint=hint)
    return image.data


async def _vectors(
    bridge: Bridge, texts: list[list[int]], images: Mapping[int, bytes] = MappingProxyType({})
) -> tuple[list[float], ...]:
    async with bridge.replies([EmbedJob(0, tuple(texts), images)]) as replies:
        return await replies.vectors()


ROUTES = [
    Route("/v1/embeddings", _embeddings, methods=["POST"]),
    Route("/embedding", _embeddings, methods=["POST"]),
    Route("/v1/rerank", _rerank, methods=["POST"]),
    Route("/rerank", _rerank, methods=["POST"]),
]
