"""Between the event loop and the engine's thread: requests go over, text comes back, nobody blocks.

The engine hands over what a step gave once a step. A reply's text waits in its outbox until it is taken; it is
joined there, so a slow reader gets larger pieces, and it is bounded by the reply's own length (the context).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import anyio

from llm.engine import Engine, EngineEvent, EngineFinish, EngineJob, EngineState, Prompt
from llm.errors import WorkerDied
from llm.messages import GenerateRequest, Priority
from models.clock import Clock
from models.errors import ParleyError

__all__ = ["Bridge", "Outbox"]

THREAD_FROM_CHARS = 2000
"""Longer prompts are rendered and tokenized in a thread, shorter ones at once: the way there costs more."""
MAX_CONVERSATION_CHARS = 256


class Outbox:
    """What one reply has given and nobody has taken yet. One reader."""

    def __init__(self) -> None:
        self.over = False
        self._text: list[str] = []
        self._finish: EngineFinish | None = None
        self._error: ParleyError | None = None
        self._news = anyio.Event()

    def put(self, event: EngineEvent) -> None:
        if event.text:
            self._text.append(event.text)
        if event.finish is not None or event.error is not None:
            self.over = True
            self._finish, self._error = event.finish, event.error
        self._news.set()

    async def take(self) -> tuple[str, EngineFinish | None]:
        """All text since the last call, and the finish if that was all. Raises the reply's error. Cancel-safe."""
        while not self._text and not self.over:
            await self._news.wait()
            self._news = anyio.Event()
        text, self._text = "".join(self._text), []
        if self._error is not None:
            raise self._error
        return text, self._finish


class Bridge:
    """Made in the event loop. `died` is set, with a reason, when the engine cannot go on."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        self.died = anyio.Event()
        self.reason = ""
        self._loop = asyncio.get_running_loop()
        self._ids = count(1)
        self._outboxes: dict[int, Outbox] = {}
        engine.start(self._sink, self._on_death)

    @asynccontextmanager
    async def reply(self, job: EngineJob) -> AsyncIterator[Outbox]:
        """Submit a job (its id is set here); leaving the block before it is over cancels it. Raises Overloaded."""
        number = next(self._ids)
        outbox = self._outboxes[number] = Outbox()
        try:
            self.engine.submit(_numbered(job, number))
            yield outbox
        finally:
            del self._outboxes[number]
            if not outbox.over:
                self.engine.cancel(number)

    async def render(self, request: GenerateRequest) -> tuple[Prompt, list[int]]:
        """The prompt of a chat request and its tokens. Raises BadInput."""

        def work() -> tuple[Prompt, list[int]]:
            tools = () if request.tool_choice == "none" else request.tools
            # A voice turn cannot wait for thoughts that nobody hears.
            thinking = False if request.priority is Priority.VOICE else None
            prompt = self.engine.render(request.messages, tools, self.clock.wall(), thinking)
            return prompt, self.engine.tokenize(prompt.text, add_special=True, parse_special=True)

        if sum(len(message.content) for message in request.messages) < THREAD_FROM_CHARS and not request.tools:
            return work()
        return await anyio.to_thread.run_sync(work)

    async def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]:
        def work() -> list[int]:
            return self.engine.tokenize(text, add_special=add_special, parse_special=parse_special)

        return work() if len(text) < THREAD_FROM_CHARS else await anyio.to_thread.run_sync(work)

    async def grammar(self, schema: Mapping[str, Any]) -> str:
        """The grammar of a JSON schema. Raises BadInput."""
        return await anyio.to_thread.run_sync(self.engine.grammar, schema)

    async def state(self) -> EngineState:
        """Waits for the end of the step that runs."""
        answers: list[EngineState] = []
        here = anyio.Event()

        def answer(state: EngineState) -> None:
            answers.append(state)
            self._post(here.set)

        self.engine.ask_state(answer)
        with anyio.move_on_after(30.0):
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
            outbox = self._outboxes.get(event.job_id)
            if outbox is not None:  # else its reader has gone
                outbox.put(event)


def _numbered(job: EngineJob, number: int) -> EngineJob:
    return EngineJob(number, job.tokens, job.sampling, job.grammar, job.conversation, job.priority)
