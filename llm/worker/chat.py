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
from llm.reasoning import ReasoningSplitter, opened_by
from llm.stream import Finish, StreamEvent
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
    job, splitter = await _job(server.bridge, asked)
    answer_id = f"chatcmpl-{secrets.token_hex(12)}"
    created = int(server.clock.wall().timestamp())
    if chat.stream:
        usage = chat.stream_options is not None and chat.stream_options.include_usage
        writer = ChunkWriter(answer_id, server.name, created, usage)
        return EventStream(_events(server.bridge, job, splitter, writer))
    events = await unless_gone(request.receive, lambda: _collect(server.bridge, job, splitter))
    if events is None:
        return Response(status_code=499)  # nobody reads it
    return JsonAnswer(completion(events, id=answer_id, model=server.name, created=created))


async def _job(bridge: Bridge, asked: GenerateRequest) -> tuple[EngineJob, ReasoningSplitter]:
    if asked.tools and asked.tool_choice not in (None, "auto", "none"):
        raise BadInput("a tool cannot be forced here", param="tool_choice", hint='"auto" and "none" are served')
    schema = grammar_schema(asked.response_format)
    grammar = None if schema is None else await bridge.grammar(schema)
    prompt, tokens = await bridge.render(asked)
    sampling = replace(asked.sampling, stop=(*asked.sampling.stop, *prompt.stop))
    job = EngineJob(0, tokens, sampling, grammar, asked.conversation, asked.priority)
    return job, ReasoningSplitter(inside=opened_by(prompt.text))


async def _events(
    bridge: Bridge, job: EngineJob, splitter: ReasoningSplitter, writer: ChunkWriter
) -> AsyncGenerator[bytes, None]:
    async with bridge.reply(job) as outbox:
        finish = None
        while finish is None:
            text, finish = await outbox.take()
            pieces: list[StreamEvent] = [*splitter.push(text)]
            if finish is not None:
                pieces += [*splitter.finish(), Finish(finish.reason, finish.usage)]
            if pieces:
                yield b"".join(event(chunk) for piece in pieces for chunk in writer.chunks(piece))
    yield b"data: [DONE]\n\n"


async def _collect(bridge: Bridge, job: EngineJob, splitter: ReasoningSplitter) -> list[StreamEvent]:
    async with bridge.reply(job) as outbox:
        texts, finish = [], None
        while finish is None:
            text, finish = await outbox.take()
            texts.append(text)
    return [*splitter.push("".join(texts)), *splitter.finish(), Finish(finish.reason, finish.usage)]


ROUTES = [Route("/v1/chat/completions", _chat, methods=["POST"])]
