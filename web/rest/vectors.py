"""POST /v1/embeddings and /v1/rerank: vectors and ranks from the models in the slots."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm.convert.chat import parse_body
from llm.local_vectors import ask_vectors
from llm.wire.vectors import EmbeddingRequest, RerankRequest
from web.body import read_object
from web.guards.authenticate import principal_of
from web.rest.chat import without_ours
from web.services import services_of
from web.sse import ClientGone, while_connected

__all__ = ["ROUTES"]

_CLIENT_CLOSED = 499


async def _embeddings(request: Request) -> Response:
    """OpenAI's request and answer; without `model`, an embedding model if there is one, else the text model."""
    body = without_ours(await read_object(request))
    parse_body(EmbeddingRequest, body)
    return await _ask(request, "embeddings", body)


async def _rerank(request: Request) -> Response:
    """Jina's and Cohere's request: {"query", "documents", "top_n"?}."""
    body = without_ours(await read_object(request))
    parse_body(RerankRequest, body)
    return await _ask(request, "rerank", body)


async def _ask(request: Request, path: Literal["embeddings", "rerank"], body: dict[str, object]) -> Response:
    services, user = services_of(request), principal_of(request).user
    try:
        answer = await while_connected(
            request.receive, lambda: ask_vectors(services.pool, services.http, path, body, user)
        )
    except ClientGone:
        return Response(status_code=_CLIENT_CLOSED)
    return JSONResponse(answer)


ROUTES = [
    Route("/v1/embeddings", _embeddings, methods=["POST"]),
    Route("/v1/rerank", _rerank, methods=["POST"]),
]
"""Their answers are the worker's, as they are."""
