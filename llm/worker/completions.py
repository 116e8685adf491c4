"""Text completions of the worker: POST /v1/completions (OpenAI) and POST /completion (llama.cpp)."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm.convert.chat import parse_body
from llm.convert.completions import (
    TextWriter,
    adapters_of,
    completion_sampling,
    native_answer,
    native_prompts,
    native_sampling,
    native_settings,
    only_fields,
    priority_of,
    prompts_of,
)
from llm.engine import Encoded, EngineFinish, EngineJob, Prompt
from llm.stream import TokenLogprob, Usage
from llm.wire.completions import CompletionRequest, NativeCompletionRequest
from llm.worker.answers import EventStream, JsonAnswer, event, read_body, unless_gone
from llm.worker.bridge import Bridge, Taken
from llm.worker.chat import total
from llm.worker.server import server_of
from models.errors import BadInput

__all__ = ["ROUTES"]

MEDIA_MARK = "<__media__>"
"""llama.cpp's, in a `prompt_string`."""


async def _openai(request: Request) -> Response:
    asked = parse_body(CompletionRequest, await read_body(request))
    server = server_of(request)
    server.check_model(asked.model)
    sampling = completion_sampling(asked)
    count = asked.n or 1
    jobs: list[EngineJob] = []
    echoes: list[str] = []
    for prompt in prompts_of(asked.prompt):
        tokens = await _tokens(server.bridge, prompt)
        for choice in range(count):
            seed = None if sampling.seed is None else sampling.seed + choice
            job = EngineJob(0, tokens, replace(sampling, seed=seed), asked.grammar)
            priority, adapters = priority_of(asked.parley_priority), adapters_of(asked)
            name = asked.parley_conversation if not jobs else None
            jobs.append(replace(job, priority=priority, adapters=adapters, conversation=name))
            echoed = prompt if isinstance(prompt, str) else server.bridge.engine.detokenize(prompt)
            echoes.append(echoed if asked.echo else "")
    writer = TextWriter(
        id=f"cmpl-{secrets.token_hex(12)}",
        model=server.name,
        created=int(server.clock.wall().timestamp()),
        include_usage=asked.stream_options is not None and bool(asked.stream_options.include_usage),
    )
    if asked.stream:
        return EventStream(_openai_lines(server.bridge, jobs, echoes, writer, count))
    done = await unless_gone(request.receive, lambda: _collect(server.bridge, jobs))
    if done is None:
        return Response(status_code=499)
    choices = [
        writer.choice(n, echoes[n] + text, logprobs, end.reason) for n, (text, logprobs, _, end) in enumerate(done)
    ]
    return JsonAnswer(writer.whole(choices, _usage([end for *_, end in done], count)))


async def _openai_lines(
    bridge: Bridge, jobs: list[EngineJob], echoes: list[str], writer: TextWriter, count: int
) -> AsyncGenerator[bytes, None]:
    finishes: dict[int, EngineFinish] = {}
    async with bridge.replies(jobs) as replies:
        while not replies.over:
            chunks = []
            for taken in _within(await replies.take(), jobs):
                text, echoes[taken.choice] = echoes[taken.choice] + taken.text, ""
                reason = None if taken.finish is None else taken.finish.reason
                chunks.append(writer.chunk(taken.choice, text, taken.logprobs, reason))
                if taken.finish is not None:
                    finishes[taken.choice] = taken.finish
            yield b"".join(event(chunk) for chunk in chunks)
    usage = _usage([finishes[choice] for choice in sorted(finishes)], count)
    yield b"".join(event(chunk) for chunk in writer.usage(usage))
    yield b"data: [DONE]\n\n"


async def _native(request: Request) -> Response:
    asked = parse_body(NativeCompletionRequest, await read_body(request))
    server = server_of(request)
    bridge = server.bridge
    if asked.grammar and asked.json_schema is not None:
        raise BadInput("grammar and json_schema exclude each other", param="grammar")
    grammar = asked.grammar or None
    if asked.json_schema is not None:
        grammar = await bridge.grammar(asked.json_schema)
    several = isinstance(asked.prompt, list) and not any(isinstance(part, int) for part in asked.prompt or [0])
    conversation = asked.parley_conversation or (f"id_slot {asked.id_slot}" if asked.id_slot >= 0 else None)
    sampling, settings = native_sampling(asked), native_settings(asked)
    if isinstance(asked.prompt, dict):
        prompts = [await _with_media(bridge, asked.prompt)]
    else:
        prompts = [Encoded(await _mixed(bridge, prompt)) for prompt in native_prompts(asked.prompt)]
    jobs = [
        EngineJob(
            id=0,
            tokens=prompt.tokens,
            sampling=sampling,
            grammar=grammar,
            conversation=conversation if number == 0 else None,
            priority=priority_of(asked.parley_priority),
            media=prompt.media,
            adapters=adapters_of(asked),
        )
        for number, prompt in enumerate(prompts)
    ]

    def piece(taken: Taken) -> dict[str, Any]:
        tokens = taken.tokens if asked.return_tokens else ()
        answer = native_answer(
            server.name,
            taken.text,
            taken.finish,
            index=taken.choice,
            logprobs=taken.logprobs,
            tokens=tokens,
            settings=settings,
        )
        return answer if taken.finish is None else only_fields(answer, asked.response_fields)

    if asked.stream:
        return EventStream(_native_lines(bridge, jobs, piece))
    done = await unless_gone(request.receive, lambda: _collect(bridge, jobs))
    if done is None:
        return Response(status_code=499)
    whole = [piece(Taken(number, text, probs, ids, end)) for number, (text, probs, ids, end) in enumerate(done)]
    return JsonAnswer(whole if several else whole[0])


async def _native_lines(
    bridge: Bridge, jobs: list[EngineJob], piece: Callable[[Taken], dict[str, Any]]
) -> AsyncGenerator[bytes, None]:
    async with bridge.replies(jobs) as replies:
        while not replies.over:
            yield b"".join(event(piece(taken)) for taken in _within(await replies.take(), jobs))


async def _tokens(bridge: Bridge, prompt: str | list[int]) -> list[int]:
    if isinstance(prompt, str):
        return await bridge.tokenize(prompt)
    if prompt and not 0 <= min(prompt) <= max(prompt) < bridge.engine.card.vocabulary:
        bridge.engine.detokenize(prompt)  # refuses numbers that are no tokens, which would crash the decoder
    return prompt


async def _mixed(bridge: Bridge, prompt: str | list[int | str]) -> list[int]:
    """Text is tokenized on its own; what a prompt begins with (BOS) is put before its first part only."""
    if isinstance(prompt, str):
        return await bridge.tokenize(prompt)
    if all(isinstance(part, int) for part in prompt):
        return await _tokens(bridge, [part for part in prompt if isinstance(part, int)])
    out: list[int] = []
    for number, part in enumerate(prompt):
        if isinstance(part, int):
            out += await _tokens(bridge, [part])
        elif number == 0:
            out += await bridge.tokenize(part)
        else:
            out += await bridge.tokenize(part, add_special=False)
    return out


async def _with_media(bridge: Bridge, prompt: dict[str, Any]) -> Encoded:
    """llama.cpp's `{"prompt_string": ..., "multimodal_data": [base64, ...]}`."""
    text, files = prompt.get("prompt_string"), prompt.get("multimodal_data", [])
    if not isinstance(text, str) or not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise BadInput('prompt: text, tokens, or {"prompt_string": ..., "multimodal_data": [...]}', param="prompt")
    if text.count(MEDIA_MARK) != len(files):
        raise BadInput(f"{len(files)} files, but {text.count(MEDIA_MARK)} times {MEDIA_MARK}", param="prompt")
    try:
        media = tuple(base64.b64decode(file, validate=True) for file in files)
    except (binascii.Error, ValueError):
        raise BadInput("multimodal_data is base64", param="prompt.multimodal_data") from None
    marker = bridge.engine.media_marker
    if media and not marker:
        raise BadInput("this model reads text only", param="prompt.multimodal_data")
    return await bridge.encode(Prompt(text.replace(MEDIA_MARK, marker) if media else text, media=media))


_Done = tuple[str, tuple[TokenLogprob, ...], tuple[int, ...], EngineFinish]


async def _collect(bridge: Bridge, jobs: list[EngineJob]) -> list[_Done]:
    jobs = [replace(job, whole=True) for job in jobs]
    texts: list[list[str]] = [[] for _ in jobs]
    logprobs: list[list[TokenLogprob]] = [[] for _ in jobs]
    tokens: list[list[int]] = [[] for _ in jobs]
    ends: dict[int, EngineFinish] = {}
    async with bridge.replies(jobs) as replies:
        while not replies.over:
            for taken in _within(await replies.take(), jobs):
                texts[taken.choice].append(taken.text)
                logprobs[taken.choice].extend(taken.logprobs)
                tokens[taken.choice].extend(taken.tokens)
                if taken.finish is not None:
                    ends[taken.choice] = taken.finish
    return [
        ("".join(texts[number]), tuple(logprobs[number]), tuple(tokens[number]), ends[number])
        for number in range(len(jobs))
    ]


def _within(news: list[Taken], jobs: list[EngineJob]) -> list[Taken]:
    """Of a job that may write nothing (the prompt is only to be read), the one token that every job makes is dropped.
    It is in no KV cache: a token gets there when the next one is computed.
    """
    return [_nothing(taken) if jobs[taken.choice].sampling.max_tokens == 0 else taken for taken in news]


def _nothing(taken: Taken) -> Taken:
    finish = taken.finish
    if finish is not None:
        usage = replace(finish.usage, completion_tokens=0)
        finish = replace(finish, reason="length", usage=usage, reply_s=0.0, stopped_by=None)
    return Taken(taken.choice, "", (), (), finish)


def _usage(finishes: list[EngineFinish], count: int) -> Usage:
    """`count` replies to each prompt, which counts once."""
    each = [total(finishes[start : start + count]) for start in range(0, len(finishes), count)]
    return Usage(
        sum(usage.prompt_tokens for usage in each),
        sum(usage.completion_tokens for usage in each),
        sum(usage.cached_tokens for usage in each),
    )


ROUTES = [
    Route("/v1/completions", _openai, methods=["POST"]),
    Route("/completion", _native, methods=["POST"]),
    Route("/completions", _native, methods=["POST"]),
]
