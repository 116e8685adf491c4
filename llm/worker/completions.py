"""Text completions of the worker: POST /v1/completions (OpenAI) and POST /completion (llama.cpp)."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm.convert import parse_body
from llm.convert_completions import (
    completion_sampling,
    native_answer,
    native_sampling,
    one_prompt,
    priority_of,
    text_answer,
    text_chunk,
)
from llm.engine import EngineFinish, EngineJob
from llm.wire.completions import CompletionRequest, NativeCompletionRequest
from llm.worker.answers import EventStream, JsonAnswer, event, read_body, unless_gone
from llm.worker.bridge import Bridge
from llm.worker.server import server_of
from models.errors import BadInput

__all__ = ["ROUTES"]

_Chunks = Callable[[str, EngineFinish | None], list[dict[str, Any]]]


async def _openai(request: Request) -> Response:
    asked = parse_body(CompletionRequest, await read_body(request))
    server = server_of(request)
    server.check_model(asked.model)
    tokens = await _tokens(server.bridge, one_prompt(asked.prompt))
    priority = priority_of(asked.parley_priority)
    sampling = completion_sampling(asked)
    job = EngineJob(0, tokens, sampling, asked.grammar, asked.parley_conversation, priority)
    head = (f"cmpl-{secrets.token_hex(12)}", server.name, int(server.clock.wall().timestamp()))
    if asked.stream:
        usage = asked.stream_options is not None and asked.stream_options.include_usage
        chunks = _events(server.bridge, job, lambda text, finish: text_chunk(*head, text, finish, usage))
        return EventStream(_with_done(chunks))
    result = await unless_gone(request.receive, lambda: _collect(server.bridge, job))
    return Response(status_code=499) if result is None else JsonAnswer(text_answer(*head, *result))


async def _native(request: Request) -> Response:
    asked = parse_body(NativeCompletionRequest, await read_body(request))
    server = server_of(request)
    if asked.grammar and asked.json_schema is not None:
        raise BadInput("grammar and json_schema exclude each other", param="grammar")
    grammar = asked.grammar or None
    if asked.json_schema is not None:
        grammar = await server.bridge.grammar(asked.json_schema)
    tokens = await _tokens(server.bridge, asked.prompt)
    priority = priority_of(asked.parley_priority)
    job = EngineJob(0, tokens, native_sampling(asked), grammar, asked.parley_conversation, priority)
    if asked.stream:
        return EventStream(_events(server.bridge, job, lambda *piece: [native_answer(server.name, *piece)]))
    result = await unless_gone(request.receive, lambda: _collect(server.bridge, job))
    return Response(status_code=499) if result is None else JsonAnswer(native_answer(server.name, *result))


async def _tokens(bridge: Bridge, prompt: str | list[int]) -> list[int]:
    if isinstance(prompt, str):
        return await bridge.tokenize(prompt)
    bridge.engine.detokenize(prompt)  # refuses numbers that are no tokens, which would crash the decoder
    return prompt


async def _events(bridge: Bridge, job: EngineJob, chunks: _Chunks) -> AsyncGenerator[bytes, None]:
    async with bridge.reply(job) as outbox:
        finish = None
        while finish is None:
            text, finish = await outbox.take()
            yield b"".join(event(chunk) for chunk in chunks(text, finish))


async def _with_done(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in chunks:
            yield chunk
        yield b"data: [DONE]\n\n"
    finally:
        await chunks.aclose()


async def _collect(bridge: Bridge, job: EngineJob) -> tuple[str, EngineFinish]:
    async with bridge.reply(job) as outbox:
        texts: list[str] = []
        while True:
            text, finish = await outbox.take()
            texts.append(text)
            if finish is not None:
                return "".join(texts), finish


ROUTES = [
    Route("/v1/completions", _openai, methods=["POST"]),
    Route("/completion", _native, methods=["POST"]),
]
