"""POST /v1/chat/completions."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llm.convert.chat import ChunkWriter, completion, parse_chat, to_request
from llm.convert.media_fetch import with_media
from llm.errors import BackendFailed
from llm.messages import GenerateRequest
from llm.port import Generator
from llm.stream import Finish, ReasoningDelta, Relayed, StartedOver, StreamEvent, TextDelta, ToolCallDelta
from web.guards.authenticate import principal_of
from web.http.body import read_object
from web.http.direct import Direct
from web.http.route_header import RouteHeader
from web.http.sse import EventStream, LastPiece, WaitComment, data_line, while_connected
from web.services import services_of

__all__ = ["ROUTES", "without_ours"]

"""nginx's status for a client that did not wait; nobody reads it but the log."""
_MOST_BYTES, _EVENT_BYTES = 64 << 20, 160
"""Of a reply that is gathered, and of each of its pieces beside the text; no model writes so much."""
_OURS = "parley_"
"""Fields between the gateway and its slots. From outside they could jump the queue, or reach another's memory."""


def without_ours(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if not name.startswith(_OURS)}


async def _complete(request: Request) -> Response:
    """Whole or streamed. A client that hangs up stops the decoder."""
    chat = parse_chat(without_ours(await read_object(request)))
    principal, services = principal_of(request), services_of(request)
    told, waits = RouteHeader(request), WaitComment()
    usage = chat.stream_options is not None and bool(chat.stream_options.include_usage)
    asked = to_request(
        chat,
        user=principal.share(chat.user),
        relay="stream" if chat.stream else "whole",
        relay_usage=usage,
        on_route=told,
        on_wait=waits.tell if chat.stream else None,
    )
    if any(message.media for message in asked.messages):
        asked = await while_connected(request.receive, lambda: with_media(asked), scope=request.scope)
    answer_id = f"chatcmpl-{secrets.token_hex(12)}"
    created = int(services.clock.wall().timestamp())
    model = asked.model or "default"
    if chat.stream:
        writer = ChunkWriter(answer_id, model, created, usage, asked.n)
        stream = EventStream(_events(services.router, asked, writer), waits)
        told.headers = stream.headers
        return stream
    events = await while_connected(request.receive, lambda: _collect(services.router, asked), scope=request.scope)
    finish = events[-1]
    assert isinstance(finish, Finish)
    if isinstance(events[0], Relayed):
        return Response(events[0].data, media_type="application/json", headers=told.headers)
    whole = completion(events, id=answer_id, model=finish.model or model, created=created, choices=asked.n)
    return JSONResponse(whole, headers=told.headers)


async def _events(generator: Generator, asked: GenerateRequest, writer: ChunkWriter) -> AsyncGenerator[bytes, None]:
    finished = relayed = False
    async with aclosing(generator.generate(asked)) as stream:
        async for event in stream:
            if isinstance(event, Relayed):
                relayed = True
                yield event.data
                continue
            finished = isinstance(event, Finish)
            if not relayed:
                yield b"".join(data_line(chunk) for chunk in writer.chunks(event))
            if finished:
                yield LastPiece(b"data: [DONE]\n\n")
    if not finished:
        raise BackendFailed("the model's answer ended in the middle")


async def _collect(generator: Generator, asked: GenerateRequest) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    size = 0
    async with aclosing(generator.generate(asked)) as stream:
        async for event in stream:
            if isinstance(event, StartedOver):
                events.clear()
                size = 0
                continue
            events.append(event)
            size += _EVENT_BYTES + _length(event)
            if size > _MOST_BYTES:
                raise BackendFailed("the model's answer has no end", hint="set max_tokens, or ask for a stream")
    if not events or not isinstance(events[-1], Finish):
        raise BackendFailed("the model's answer ended in the middle")
    return events


def _length(event: StreamEvent) -> int:
    match event:
        case TextDelta() | ReasoningDelta():
            return len(event.text)
        case ToolCallDelta():
            return len(event.arguments)
        case Relayed():
            return len(event.data)
    return 0


ROUTES = [Route("/v1/chat/completions", Direct(_complete), methods=["POST"])]
