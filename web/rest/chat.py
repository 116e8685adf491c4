"""POST /v1/chat/completions."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm.convert import ChunkWriter, completion, parse_chat, to_request
from llm.errors import BackendFailed
from llm.messages import GenerateRequest
from llm.port import Generator
from llm.stream import Finish, StreamEvent
from llm.wire.chat import ChatRequest
from models.errors import BadInput
from web.body import read_object
from web.guards.authenticate import principal_of
from web.services import services_of
from web.sse import ClientGone, EventStream, data_line, while_connected

__all__ = ["ROUTES"]

_log = structlog.get_logger("web")
_CLIENT_CLOSED = 499
"""nginx's status for a client that did not wait; nobody reads it but the log."""
_OURS = "parley_"
"""Fields between the gateway and its slots. From outside they could jump the queue, or reach another's memory."""
_LARGEST = 2**31 - 1


async def _complete(request: Request) -> Response:
    """Whole or streamed. A client that hangs up stops the decoder."""
    body = {name: value for name, value in (await read_object(request)).items() if not name.startswith(_OURS)}
    chat = parse_chat(body)
    _check_served(chat)
    asked = to_request(chat, user=principal_of(request).user)
    services = services_of(request)
    answer_id = f"chatcmpl-{secrets.token_hex(12)}"
    created = int(services.clock.wall().timestamp())
    model = asked.model or "default"
    if chat.stream:
        usage = chat.stream_options is not None and chat.stream_options.include_usage
        return EventStream(_events(services.router, asked, ChunkWriter(answer_id, model, created, usage)))
    try:
        events = await while_connected(request.receive, lambda: _collect(services.router, asked))
    except ClientGone:
        _log.info("request.client_gone")
        return Response(status_code=_CLIENT_CLOSED)
    finish = events[-1]
    assert isinstance(finish, Finish)
    return JSONResponse(completion(events, id=answer_id, model=finish.model or model, created=created))


def _check_served(chat: ChatRequest) -> None:
    """Raises BadInput for what would otherwise be left out in silence, or cannot be a number for an engine."""
    kind = (chat.response_format or {}).get("type", "text")
    if kind != "text":
        raise BadInput("only the text response format is served here", param="response_format.type")
    for name in ("max_tokens", "max_completion_tokens", "top_k", "seed"):
        value = getattr(chat, name)
        if value is not None and abs(value) > _LARGEST:
            raise BadInput(f"{name}: at most {_LARGEST}", param=name)


async def _events(generator: Generator, asked: GenerateRequest, writer: ChunkWriter) -> AsyncGenerator[bytes, None]:
    finished = False
    async with aclosing(generator.generate(asked)) as stream:
        async for event in stream:
            finished = isinstance(event, Finish)
            yield b"".join(data_line(chunk) for chunk in writer.chunks(event))
    if not finished:
        raise BackendFailed("the model's answer ended in the middle")
    yield b"data: [DONE]\n\n"


async def _collect(generator: Generator, asked: GenerateRequest) -> list[StreamEvent]:
    async with aclosing(generator.generate(asked)) as stream:
        events = [event async for event in stream]
    if not events or not isinstance(events[-1], Finish):
        raise BackendFailed("the model's answer ended in the middle")
    return events


ROUTES = [Route("/v1/chat/completions", _complete, methods=["POST"])]
