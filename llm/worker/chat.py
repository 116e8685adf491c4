"""POST /v1/chat/completions of the worker."""

from __future__ import annotations

import secrets
import string
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm.convert.chat import ChunkWriter, completion, parse_chat, to_request
from llm.convert.formats import grammar_schema, is_strict
from llm.engine import EngineFinish, EngineJob, Prompt
from llm.json_schema.strict import must_hold
from llm.messages import GenerateRequest
from llm.replies.parser import ReplyParser, marks_of
from llm.replies.tool_calls import Said, named_tools, schema_of
from llm.stream import ChoiceEnd, Finish, StreamEvent, TextDelta, Usage, UsageSoFar
from llm.worker.answers import EventStream, JsonAnswer, event, read_body, unless_gone
from llm.worker.bridge import Bridge, Taken
from llm.worker.server import server_of
from models.errors import BadInput

__all__ = ["ROUTES", "total"]

_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class _Work:
    """One job and one parser for every choice."""

    jobs: list[EngineJob]
    parsers: list[ReplyParser]


async def _chat(request: Request) -> Response:
    server = server_of(request)
    asked_at = server.clock.now()
    chat = parse_chat(await read_body(request))
    asked = to_request(chat)
    server.check_model(asked.model)
    if any(message.media for message in asked.messages):  # to read an image takes seconds
        prepared = await unless_gone(request.receive, lambda: _prepare(server.bridge, asked, asked_at))
        if prepared is None:
            return Response(status_code=499)
        work = prepared
    else:
        work = await _prepare(server.bridge, asked, asked_at)
    answer_id = f"chatcmpl-{secrets.token_hex(12)}"
    created = int(server.clock.wall().timestamp())
    if chat.stream:
        usage = chat.stream_options is not None and bool(chat.stream_options.include_usage)
        so_far = chat.stream_options is not None and bool(chat.stream_options.continuous_usage_stats)
        writer = ChunkWriter(answer_id, server.name, created, usage, asked.n, so_far)
        return EventStream(_lines(server.bridge, work, writer))
    events = await unless_gone(request.receive, lambda: _collect(server.bridge, work))
    if events is None:
        return Response(status_code=499)  # nobody reads it
    return JsonAnswer(completion(events, id=answer_id, model=server.name, created=created, choices=asked.n))


async def _prepare(bridge: Bridge, asked: GenerateRequest, asked_at: float) -> _Work:
    """Raises BadInput, also for a grammar beside a tool that must be called: one of them would be broken."""
    forced = named_tools(asked.tools, asked.tool_choice)
    schema = grammar_schema(asked.response_format)
    if forced is not None and (schema is not None or asked.grammar is not None):
        raise BadInput("a tool that must be called excludes a response format or grammar", param="tool_choice")
    prompt = await bridge.render(asked)
    single = asked.parallel_tool_calls is False
    grammar = asked.grammar
    if forced is not None:
        for tool in forced:
            if tool["function"].get("strict") is True:
                must_hold(schema_of(tool), "tools")
        grammar = await bridge.call_grammar(forced, not single and asked.tool_choice == "required", prompt)
    elif schema is not None:
        if is_strict(asked.response_format):
            must_hold(schema, "response_format")
        grammar = await bridge.grammar(schema)
    encoded = await bridge.encode(prompt)
    template = bridge.engine.card.chat_template
    tools = () if asked.tool_choice == "none" else asked.tools
    jobs = [
        EngineJob(
            id=0,
            tokens=encoded.tokens,
            sampling=replace(
                asked.sampling,
                stop=(*asked.sampling.stop, *prompt.stop),
                seed=None if asked.sampling.seed is None else asked.sampling.seed + choice,
            ),
            grammar=grammar,
            conversation=asked.conversation if choice == 0 else None,
            priority=asked.priority,
            media=encoded.media,
            adapters=asked.adapters,
            marks=marks_of(template, bool(tools)),
            asked_at=asked_at,
        )
        for choice in range(asked.n)
    ]
    return _Work(jobs, [_parser(template, prompt, asked, single) for _ in jobs])


def _parser(template: str, prompt: Prompt, asked: GenerateRequest, single: bool) -> ReplyParser:
    tools = () if asked.tool_choice == "none" else asked.tools
    return ReplyParser(template, prompt.text, tools, _call_id, single=single)


def _call_id() -> str:
    """Nine letters and digits: Mistral's templates accept nothing else."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(9))


async def _events(bridge: Bridge, work: _Work) -> AsyncGenerator[list[StreamEvent], None]:
    """What is new, joined as far as the reader is behind; the last ends with the Finish."""
    finishes: dict[int, EngineFinish] = {}
    prompt, written = len(work.jobs[0].tokens), 0
    async with bridge.replies(work.jobs) as replies:
        while not replies.over:
            events: list[StreamEvent] = []
            for taken in await replies.take():
                parser = work.parsers[taken.choice]
                events += _said(taken, parser)
                written += len(taken.tokens)
                if taken.finish is not None:
                    finishes[taken.choice] = taken.finish
                    if len(work.jobs) > 1:
                        events.append(ChoiceEnd(taken.choice, parser.reason(taken.finish.reason)))
            if replies.over:
                reason = work.parsers[0].reason(finishes[0].reason)
                events.append(Finish(reason, total([finishes[choice] for choice in sorted(finishes)])))
            elif written:
                events.append(UsageSoFar(Usage(prompt, written)))
            if events:
                yield events


def _said(taken: Taken, parser: ReplyParser) -> list[StreamEvent]:
    """The logprobs go with the first text of the piece; where it has none, alone."""
    said: list[Said] = parser.push(taken.text)
    if taken.finish is not None:
        said += parser.finish()
    events: list[StreamEvent] = [replace(piece, choice=taken.choice) for piece in said]
    if taken.logprobs:
        at = next((number for number, piece in enumerate(said) if isinstance(piece, TextDelta)), None)
        if at is None:
            events.append(TextDelta("", taken.choice, taken.logprobs))
        else:
            first = said[at]
            assert isinstance(first, TextDelta)
            events[at] = TextDelta(first.text, taken.choice, taken.logprobs)
    return events


def total(finishes: list[EngineFinish]) -> Usage:
    """Of all replies: their common prompt counts once."""
    first = finishes[0].usage
    written = sum(finish.usage.completion_tokens for finish in finishes)
    return Usage(first.prompt_tokens, written, first.cached_tokens)


async def _lines(bridge: Bridge, work: _Work, writer: ChunkWriter) -> AsyncGenerator[bytes, None]:
    async with aclosing(_events(bridge, work)) as batches:
        async for events in batches:
            yield b"".join(event(chunk) for piece in events for chunk in writer.chunks(piece))
    yield b"data: [DONE]\n\n"


async def _collect(bridge: Bridge, work: _Work) -> list[StreamEvent]:
    whole = _Work([replace(job, whole=True) for job in work.jobs], work.parsers)
    async with aclosing(_events(bridge, whole)) as batches:
        return [event async for events in batches for event in events]


ROUTES = [Route("/v1/chat/completions", _chat, methods=["POST"])]
