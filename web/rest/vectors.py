"""POST /v1/embeddings and /v1/rerank: vectors and ranks from our slots and from the backends that have them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm.convert.chat import parse_body
from llm.convert.media_fetch import check_size, fetched
from llm.convert.vectors import inputs_of, wire_inputs
from llm.messages import ImagePart
from llm.port import VectorPath
from llm.wire.vectors import EmbeddingRequest, RerankRequest
from web.guards.authenticate import principal_of
from web.http.body import read_client_object
from web.http.route_header import RouteHeader
from web.http.sse import while_connected
from web.services import services_of

__all__ = ["ROUTES"]


async def _embeddings(request: Request) -> Response:
    """OpenAI's request and answer; without `model`, an embedding model if there is one, else the text model."""
    body = await read_client_object(request)
    asked = parse_body(EmbeddingRequest, body)
    if asked.has_objects:
        body["input"] = await while_connected(request.receive, lambda: _as_sent(asked), scope=request.scope)
    return await _ask(request, "embeddings", body)


async def _as_sent(asked: EmbeddingRequest) -> list[object]:
    """Texts as texts; images that are only named are fetched, under the rules of those of a chat."""
    inputs = inputs_of(asked)
    images = [one for one in inputs if isinstance(one, ImagePart)]
    found = await fetched(images, param="input")
    filled = [found[one.url] if isinstance(one, ImagePart) and one.url else one for one in inputs]
    check_size((one for one in filled if isinstance(one, ImagePart)), "input")
    return wire_inputs(filled)


async def _rerank(request: Request) -> Response:
    """Jina's and Cohere's request: {"query", "documents", "top_n"?}."""
    body = await read_client_object(request)
    parse_body(RerankRequest, body)
    return await _ask(request, "rerank", body)


async def _ask(request: Request, path: VectorPath, body: dict[str, object]) -> Response:
    router, told, named = services_of(request).router, RouteHeader(request), body.get("user")
    user = principal_of(request).share(named if isinstance(named, str) else None)
    answer = await while_connected(
        request.receive, lambda: router.vectors(path, body, user, told), scope=request.scope
    )
    return JSONResponse(answer, headers=told.headers)


ROUTES = [
    Route("/v1/embeddings", _embeddings, methods=["POST"]),
    Route("/v1/rerank", _rerank, methods=["POST"]),
]
"""A slot's answers are the worker's, as they are; other servers' are put into the same form."""
