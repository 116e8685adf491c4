"""POST /v1/completions: OpenAI's old text completions, for clients that put their prompts together themselves."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm.convert.chat import parse_body
from llm.convert.completions import TextWriter, adapters_of, completion_sampling, prompts_of
from llm.messages import GenerateRequest
from llm.stream import ChoiceEnd, Finish, FinishReason, TextDelta, TokenLogprob, Usage
from llm.wire.completions import CompletionRequest
from models.errors import BadInput
from web.http.body import read_client_object
from web.http.generation import Generation
from web.http.side_by_side import side_by_side
from web.http.sse import LastPiece, data_line

__all__ = ["ROUTES"]

_AT_ONCE = 8
"""Prompts of a request that are answered at a time: about as many as a slot writes in one step."""


@dataclass(slots=True)
class _Choice:
    text: str = ""
    logprobs: list[TokenLogprob] = field(default_factory=list)
    reason: FinishReason | None = None


@dataclass(slots=True)
class _Piece:
    """Of the choice of that number. `usage` is of its prompt, and comes with the last one of that."""

    number: int
    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    reason: FinishReason | None = None
    usage: Usage | None = None


async def _complete(request: Request) -> Response:
    """Several prompts are gone on with side by side, each `n` times."""
    asked = parse_body(CompletionRequest, await read_client_object(request))
    generation = Generation(request, stream=bool(asked.stream))
    sampling, extra = completion_sampling(asked), dict(asked.model_extra or {})
    prompts, named = prompts_of(asked.prompt), extra.get("user")
    if asked.echo and not all(isinstance(prompt, str) for prompt in prompts):
        raise BadInput("tokens are not echoed", param="echo", hint="send the prompt as a text")
    jobs = [
        GenerateRequest(
            messages=(),
            model=asked.model,
            prompt=prompt if isinstance(prompt, str) else tuple(prompt),
            sampling=sampling,
            n=asked.n or 1,
            user=generation.principal.share(named if isinstance(named, str) else None),
            grammar=asked.grammar or None,
            adapters=adapters_of(asked),
            extra=extra,
            on_route=generation.on_route,
            on_wait=generation.on_wait,
        )
        for prompt in prompts
    ]
    writer = TextWriter(
        id=f"cmpl-{secrets.token_hex(12)}",
        model=asked.model or "default",
        created=generation.created,
        include_usage=asked.stream_options is not None and bool(asked.stream_options.include_usage),
    )
    pieces = side_by_side(
        [
            _pieces(generation, job, place * job.n, writer, echo=bool(asked.echo), gathered=not asked.stream)
            for place, job in enumerate(jobs)
        ],
        _AT_ONCE,
    )
    if asked.stream:
        return generation.streamed(_lines(pieces, writer))
    choices = [_Choice() for _ in range(len(jobs) * (asked.n or 1))]
    usage = Usage(0, 0)

    async def work() -> None:
        nonlocal usage
        async with aclosing(pieces) as found:
            async for piece in found:
                choice = choices[piece.number]
                choice.text += piece.text
                choice.logprobs += piece.logprobs
                choice.reason = piece.reason or choice.reason
                usage = _sum(usage, piece.usage)

    await generation.while_connected(work)
    rows = [
        writer.choice(number, choice.text, tuple(choice.logprobs), choice.reason)
        for number, choice in enumerate(choices)
    ]
    return generation.whole(writer.whole(rows, usage))


async def _pieces(
    generation: Generation, job: GenerateRequest, first: int, writer: TextWriter, *, echo: bool, gathered: bool
) -> AsyncGenerator[_Piece, None]:
    """Of one prompt, whose choices are numbered from `first` on."""
    ended, finish, begun = set[int](), None, False
    async with aclosing(generation.events(job, gathered=gathered)) as events:
        async for event in events:
            if echo and not begun:
                for choice in range(job.n):
                    yield _Piece(first + choice, str(job.prompt))
            begun = True
            match event:
                case TextDelta():
                    yield _Piece(first + event.choice, event.text, event.logprobs)
                case ChoiceEnd(choice=choice, reason=reason):
                    ended.add(choice)
                    yield _Piece(first + choice, reason=reason)
                case Finish():
                    finish = event
    assert finish is not None
    writer.model = finish.model or writer.model
    for choice in range(job.n):
        if choice not in ended:
            yield _Piece(first + choice, reason=finish.reason)
    yield _Piece(first, usage=finish.usage or Usage(0, 0))


def _sum(total: Usage, more: Usage | None) -> Usage:
    if more is None:
        return total
    return Usage(
        total.prompt_tokens + more.prompt_tokens,
        total.completion_tokens + more.completion_tokens,
        total.cached_tokens + more.cached_tokens,
    )


async def _lines(pieces: AsyncGenerator[_Piece, None], writer: TextWriter) -> AsyncGenerator[bytes, None]:
    usage = Usage(0, 0)
    async with aclosing(pieces) as found:
        async for piece in found:
            usage = _sum(usage, piece.usage)
            if piece.usage is None:
                yield data_line(writer.chunk(piece.number, piece.text, piece.logprobs, piece.reason))
    told = b"".join(data_line(chunk) for chunk in writer.usage(usage))
    yield LastPiece(told + b"data: [DONE]\n\n")


ROUTES = [Route("/v1/completions", _complete, methods=["POST"])]
