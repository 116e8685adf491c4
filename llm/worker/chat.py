"""POST /v1/chat/completions of the worker."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm.convert import ChunkWriter, completion, grammar_schema, parse_chat, to_request
from llm.engine import EngineJob
from llm.messages import GenerateRequest
from llm.stream import Finish, StreamEvent, TextDelta
from llm.worker.answers import EventStream, JsonAnswer, event, read_body, unless_gone
from llm.worker.bridge import Bridge
from llm.worker.server import server_of
from models.errors import BadInput

__all__ = ["ROUTES"]


async def _chat(request: Request) -> Response:
    chat = parse_chat(await read_body(request))
    asked = to_request(chat)
    server = server_of(request)
    server.check_model(asked.model)
    job = await _job(server.bridge, asked)
    answer_id = f"chatcmpl-{secrets.token_hex(12)}"
    created = int(server.clock.wall().timestamp())
    if chat.stream:
        usage = chat.stream_options is not None and chat.stream_options.include_usage
        return EventStream(_events(server.bridge, job, ChunkWriter(answer_id, server.name, created, usage)))
    events = await unless_gone(request.receive, lambda: _collect(server.bridge, job))
    if events is None:
        return Response(status_code=499)  # nobody reads it
    return JsonAnswer(completion(events, id=answer_id, model=server.name, created=created))


async def _job(bridge: Bridge, asked: GenerateRequest) -> EngineJob:
    if asked.tools and asked.tool_choice not in (None, "auto", "none"):
        raise BadInput("a tool cannot be forced here", param="tool_choice", hint='"auto" and "none" are served')
    schema = grammar_schema(asked.response_format)
    grammar = None if schema is None else await bridge.grammar(schema)
    prompt, tokens = await bridge.render(asked)
    sampling = replace(asked.sampling, stop=(*asked.sampling.stop, *prompt.stop))
    return EngineJob(0, tokens, sampling, grammar, asked.conversation, asked.priority)


async def _events(bridge: Bridge, job: EngineJob, writer: ChunkWriter) -> AsyncGenerator[bytes, None]:
    async with bridge.reply(job) as outbox:
        finish = None
        while finish is None:
            text, finish = await outbox.take()
            pieces: list[StreamEvent] = [TextDelta(text)] if text else []
            if finish is not None:
                pieces.append(Finish(finish.reason, finish.usage))
            yield b"".join(event(chunk) for piece in pieces for chunk in writer.chunks(piece))
    yield b"data: [DONE]\n\n"


async def _collect(bridge: Bridge, job: EngineJob) -> list[StreamEvent]:
    async with bridge.reply(job) as outbox:
        texts, finish = [], None
        while finish is None:
            text, finish = await outbox.take()
            texts.append(text)
    return [TextDelta("".join(texts)), Finish(finish.reason, finish.usage)]


ROUTES = [Route("/v1/chat/completions", _chat, methods=["POST"])]
