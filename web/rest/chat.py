"""POST /v1/chat/completions."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm.convert.chat import ChunkWriter, completion, parse_chat, to_request
from llm.messages import GenerateRequest
from llm.stream import Finish, Relayed, StartedOver, StreamEvent
from web.http.body import read_client_object
from web.http.direct import Direct
from web.http.generation import Generation
from web.http.sse import LastPiece, data_line

__all__ = ["ROUTES"]


async def _complete(request: Request) -> Response:
    """Whole or streamed; what a backend wrote in this format already is passed on as it is."""
    chat = parse_chat(await read_client_object(request))
    generation = Generation(request, stream=bool(chat.stream))
    usage = chat.stream_options is not None and bool(chat.stream_options.include_usage)
    asked = to_request(
        chat,
        user=generation.principal.share(chat.user),
        relay="stream" if chat.stream else "whole",
        relay_usage=usage,
        on_route=generation.on_route,
        on_wait=generation.on_wait,
    )
    asked = await generation.with_media(asked)
    answer_id, model = f"chatcmpl-{secrets.token_hex(12)}", asked.model or "default"
    if chat.stream:
        writer = ChunkWriter(answer_id, model, generation.created, usage, asked.n)
        return generation.streamed(_lines(generation, asked, writer))
    events = await generation.while_connected(lambda: _collect(generation, asked))
    finish = events[-1]
    assert isinstance(finish, Finish)
    if isinstance(events[0], Relayed):
        return generation.whole(events[0].data)
    model, created = finish.model or model, generation.created
    return generation.whole(completion(events, id=answer_id, model=model, created=created, choices=asked.n))


async def _lines(generation: Generation, asked: GenerateRequest, writer: ChunkWriter) -> AsyncGenerator[bytes, None]:
    relayed = False
    async with aclosing(generation.events(asked)) as events:
        async for event in events:
            if isinstance(event, Relayed):
                relayed = True
                yield event.data
                continue
            if not relayed:
                yield b"".join(data_line(chunk) for chunk in writer.chunks(event))
            if isinstance(event, Finish):
                yield LastPiece(b"data: [DONE]\n\n")


async def _collect(generation: Generation, asked: GenerateRequest) -> list[StreamEvent]:
    gathered: list[StreamEvent] = []
    async with aclosing(generation.events(asked, gathered=True)) as events:
        async for event in events:
            if isinstance(event, StartedOver):
                gathered.clear()
            else:
                gathered.append(event)
    return gathered


ROUTES = [Route("/v1/chat/completions", Direct(_complete), methods=["POST"])]
