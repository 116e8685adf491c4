"""POST /v1/chat/completions."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm.errors import BackendFailed
from llm.messages import GenerateRequest
from llm.port import Generator
from web.body import parse, read_object
from web.guards.authenticate import principal_of
from web.rest.chat_answer import ChatAnswer
from web.rest.chat_request import ChatRequest, to_generate
from web.services import services_of
from web.sse import ClientGone, EventStream, data_line, while_connected

__all__ = ["ROUTES"]

_log = structlog.get_logger("web")
_CLIENT_CLOSED = 499
"""nginx's status for a client that did not wait; nobody reads it but the log."""


async def _complete(request: Request) -> Response:
    """Whole or streamed. A client that hangs up stops the decoder."""
    body = parse(ChatRequest, await read_object(request))
    asked = to_generate(body, principal_of(request).user)
    services = services_of(request)
    answer = ChatAnswer(
        f"chatcmpl-{secrets.token_hex(12)}",
        asked.model,
        int(services.clock.wall().timestamp()),
        usage=body.wants_usage,
    )
    if body.stream:
        return EventStream(_events(services.router, asked, answer))
    try:
        await while_connected(request.receive, lambda: _listen(services.router, asked, answer))
    except ClientGone:
        _log.info("request.client_gone")
        return Response(status_code=_CLIENT_CLOSED)
    return JSONResponse(answer.whole())


async def _events(generator: Generator, asked: GenerateRequest, answer: ChatAnswer) -> AsyncGenerator[bytes, None]:
    async with aclosing(generator.generate(asked)) as stream:  # type: ignore[type-var]
        async for event in stream:
            yield b"".join(data_line(chunk) for chunk in answer.chunks(event))
    _check_finished(answer)
    yield b"data: [DONE]\n\n"


async def _listen(generator: Generator, asked: GenerateRequest, answer: ChatAnswer) -> None:
    async with aclosing(generator.generate(asked)) as stream:  # type: ignore[type-var]
        async for event in stream:
            answer.hear(event)
    _check_finished(answer)


def _check_finished(answer: ChatAnswer) -> None:
    if not answer.finished:
        raise BackendFailed("the model's answer ended in the middle")


ROUTES = [Route("/v1/chat/completions", _complete, methods=["POST"])]
