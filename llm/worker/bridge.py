"""Between the event loop and the engine's thread: requests go over, text comes back, nobody blocks.

The engine hands over what a step gave once a step. A reply's text waits in its outbox until it is taken; it is
joined there, so a slow reader gets larger pieces, and it is bounded by the reply's own length (the context).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import anyio

from llm.convert.chat import template_variables
from llm.engine import (
    EmbedJob,
    Encoded,
    Engine,
    EngineEvent,
    EngineFinish,
    EngineJob,
    EngineState,
    Prompt,
    SlotAction,
)
from llm.errors import WorkerDied
from llm.messages import GenerateRequest
from llm.stream import TokenLogprob
from models.clock import Clock
from models.errors import ParleyError
from models.stoppable import run_stoppable

__all__ = ["Bridge", "Replies", "Taken"]

THREAD_FROM_CHARS = 2000
"""Longer prompts are rendered and tokenized in a thread, shorter ones at once: the way there costs more."""
ANSWER_WITHIN_S = 30.0
FIRST_PIECES = 16
APART_S = 0.004
"""The pieces after the first ones follow each other no faster, but the end does not wait: nobody sees or hears it,
and with a small model, which writes a thousand tokens and more a second, most of the time would go into telling of
each.
"""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Taken:
    """What reply number `choice` gave since the last call; `finish` if that was all of it."""

    choice: int
    text: str
    logprobs: tuple[TokenLogprob, ...]
    tokens: tuple[int, ...]
    finish: EngineFinish | None


class _Outbox:
    """What one reply has given and nobody has taken yet."""

    def __init__(self) -> None:
        self.over = False
        self.told = False
        self.text: list[str] = []
        self.logprobs: list[TokenLogprob] = []
        self.tokens: list[int] = []
        self.finish: EngineFinish | None = None

    def take(self, choice: int) -> Taken:
        taken = Taken(choice, "".join(self.text), tuple(self.logprobs), tuple(self.tokens), self.finish)
        self.text, self.logprobs, self.tokens = [], [], []
        self.told = self.over
        return taken


class Replies:
    """All replies to one request. One reader."""

    def __init__(self, count: int) -> None:
        self._outboxes = [_Outbox() for _ in range(count)]
        self._error: ParleyError | None = None
        self._vectors: tuple[list[float], ...] | None = None
        self._news = anyio.Event()
        self._complete = anyio.Event()  # nothing more is going to come
        self._pieces = 0
        self._taken_at = -inf

    @property
    def over(self) -> bool:
        """Every reply has ended and was taken."""
        return all(outbox.told for outbox in self._outboxes)

    def ended(self, choice: int) -> bool:
        return self._outboxes[choice].over

    def put(self, choice: int, event: EngineEvent) -> None:
        outbox = self._outboxes[choice]
        if event.text:
            outbox.text.append(event.text)
        outbox.logprobs.extend(event.logprobs)
        outbox.tokens.extend(event.tokens)
        outbox.finish = event.finish
        self._vectors = event.vectors
        self._error = self._error or event.error
        outbox.over = event.finish is not None or event.error is not None or event.vectors is not None
        self._news.set()
        if outbox.over and (self._error is not None or all(other.over for other in self._outboxes)):
            self._complete.set()

    async def take(self) -> list[Taken]:
        """What is new, at least one; all since the last call is joined. Raises a reply's error. Cancel-safe."""
        pause_s = self._taken_at + APART_S - anyio.current_time()
        if pause_s > 0 and self._pieces >= FIRST_PIECES and not self._complete.is_set():
            with anyio.move_on_after(pause_s):
                await self._complete.wait()
        while True:
            if self._error is not None:
                raise self._error
            fresh = [
                outbox.take(number)
                for number, outbox in enumerate(self._outboxes)
                if not outbox.told and (outbox.text or outbox.tokens or outbox.over)
            ]
            if fresh:
                self._pieces += 1
                self._taken_at = anyio.current_time()
                return fresh
            await self._news.wait()
            self._news = anyio.Event()

    async def vectors(self) -> tuple[list[float], ...]:
        """The answer to an EmbedJob. Raises its error."""
        await self.take()
        assert self._vectors is not None
        return self._vectors


class Bridge:
    """Made in the event loop. `died` is set, with a reason, when the engine cannot go on."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        self.died = anyio.Event()
        self.reason = ""
        self._loop = asyncio.get_running_loop()
        self._ids = count(1)
        self._readers: dict[int, tuple[Replies, int]] = {}
        engine.start(self._sink, self._on_death)

    @asynccontextmanager
    async def replies(self, jobs: Sequence[EngineJob | EmbedJob]) -> AsyncIterator[Replies]:
        """Submit jobs (their ids are set here); leaving the block before they are over cancels them. Raises
        Overloaded."""
        replies = Replies(len(jobs))
        numbers: list[int] = []
        try:
            for choice, job in enumerate(jobs):
                number = next(self._ids)
                numbers.append(number)
                self._readers[number] = replies, choice
                self.engine.submit(replace(job, id=number))
            yield replies
        finally:
            for choice, number in enumerate(numbers):
                del self._readers[number]
                if not replies.ended(choice):
                    self.engine.cancel(number)

    async def render(self, request: GenerateRequest) -> Prompt:
        """The prompt of a chat request. Raises BadInput."""

        def work() -> Prompt:
            tools = () if request.tool_choice == "none" else request.tools
            return self.engine.render(request.messages, tools, self.clock.wall(), template_variables(request))

        if sum(len(message.content) for message in request.messages) < THREAD_FROM_CHARS and not request.tools:
            return work()
        return await anyio.to_thread.run_sync(work)

    async def encode(self, prompt: Prompt) -> Encoded:
        """Its tokens, and its images and audio as the model reads them. Raises BadInput."""
        if len(prompt.text) < THREAD_FROM_CHARS and not prompt.media:
            return self.engine.encode(prompt)
        if prompt.media:
            return await run_stoppable(lambda given_up: self.engine.encode(replace(prompt, given_up=given_up)))
        return await anyio.to_thread.run_sync(self.engine.encode, prompt)

    async def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]:
        def work() -> list[int]:
            return self.engine.tokenize(text, add_special=add_special, parse_special=parse_special)

        return work() if len(text) < THREAD_FROM_CHARS else await anyio.to_thread.run_sync(work)

    async def grammar(self, schema: Mapping[str, Any]) -> str:
        """The grammar of a JSON schema. Raises BadInput."""
        return await anyio.to_thread.run_sync(self.engine.grammar, schema)

    async def call_grammar(self, tools: Sequence[Mapping[str, Any]], parallel: bool, prompt: Prompt) -> str:
        """The grammar of a reply that calls one of these tools. Raises BadInput."""
        return await anyio.to_thread.run_sync(self.engine.call_grammar, tools, parallel, prompt)

    async def keep(self, action: SlotAction, sequence: int, file: Path | None) -> int:
        """Save, restore or erase a sequence; its tokens. Raises BadInput, Overloaded, BackendFailed."""

        def ask(done: Callable[[int | ParleyError], None]) -> None:
            self.engine.keep(action, sequence, file, done)

        answer = await self._answer(ask)
        if isinstance(answer, ParleyError):
            raise answer
        return answer

    async def state(self) -> EngineState:
        """Waits for the end of the step that runs."""
        return await self._answer(self.engine.ask_state)

    async def _answer(self, ask: Callable[[Callable[[_Answer], None]], None]) -> _Answer:
        answers: list[_Answer] = []
        here = anyio.Event()

        def answer(state: _Answer) -> None:
            answers.append(state)
            self._post(here.set)

        ask(answer)
        with anyio.move_on_after(ANSWER_WITHIN_S):
            await here.wait()
        if not answers:
            raise WorkerDied("the engine does not answer")
        return answers[0]

    # ---- called in the engine's thread -----------------------------------------------------------------------

    def _sink(self, events: list[EngineEvent]) -> None:
        self._post(self._deliver, events)

    def _on_death(self, reason: str) -> None:
        self.reason = reason
        self._post(self.died.set)

    def _post(self, call: object, *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)  # type: ignore[arg-type]
        except RuntimeError:
            pass  # the loop has closed: nobody is left to hear it

    # ---- called in the event loop ----------------------------------------------------------------------------

    def _deliver(self, events: list[EngineEvent]) -> None:
        for event in events:
            reader = self._readers.get(event.job_id)
            if reader is not None:  # else it has gone
                replies, choice = reader
                replies.put(choice, event)
