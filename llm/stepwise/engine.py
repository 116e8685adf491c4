"""An engine over any StepModel: requests in turns, one token each, with the same rules as llama.cpp's engine.

The Batcher decides who is admitted, which cache is reused and how much of a prompt goes into a step; here every row
of a step is a pass of its own through the weights. So several replies run side by side, voice goes first and prompts
do not hold up running replies, but eight replies cost eight passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, assert_never

from llm.batching import events as batch
from llm.batching.assembly import TextAssembler
from llm.batching.batcher import Batcher
from llm.engine import (
    EmbedJob,
    Encoded,
    EngineCard,
    EngineConfig,
    EngineEvent,
    EngineFinish,
    EngineJob,
    EngineState,
    Prompt,
    Sink,
    SlotAction,
)
from llm.engine_thread import EngineThread
from llm.errors import BackendFailed
from llm.llamacpp.reports import refusal, state_of
from llm.messages import Message
from llm.stepwise.port import Logits, StepModel
from llm.stepwise.sampling import Sampler
from llm.stepwise.text import FolderText, Piecewise
from llm.stream import TokenLogprob, Usage
from models.errors import BadInput, ParleyError

__all__ = ["StepEngine"]

MAX_COMMANDS = 4096
MAX_FAILURES = 3


@dataclass(slots=True)
class _Reply:
    job: EngineJob
    sampler: Sampler
    pieces: Piecewise
    assembler: TextAssembler
    submitted_s: float
    admitted_s: float = 0.0
    first_s: float = 0.0


@dataclass(slots=True)
class _News:
    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    tokens: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ask:
    answer: Callable[[EngineState], None]


_Command = EngineJob | batch.Cancel | batch.Forget | _Ask


class StepEngine:
    """An Engine. `load` is called in the engine's thread before anything else, for some libraries want that."""

    media_marker = ""

    def __init__(
        self, config: EngineConfig, model: StepModel, text: FolderText, limits: batch.Limits, card: EngineCard
    ) -> None:
        self.card = card
        self._config = config
        self._model = model
        self._text = text
        self._now = config.clock.now
        self._batcher = Batcher(limits)
        self._replies: dict[int, _Reply] = {}
        self._thread: EngineThread[_Command] = EngineThread("model", MAX_COMMANDS, lambda: self._busy)
        self._failures = 0

    # ---- any thread ------------------------------------------------------------------------------------------

    def start(self, sink: Sink, on_death: Callable[[str], None]) -> None:
        self._thread.start(partial(self._work, sink=sink), on_death)

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        now: datetime,
        variables: Mapping[str, Any],
    ) -> Prompt:
        if any(message.media for message in messages):
            raise BadInput("this engine reads text only", param="messages", hint="ask a vision model of another slot")
        template = self._text.template
        return Prompt(template.render(messages, tools, now, variables), template.stop)

    def encode(self, prompt: Prompt) -> Encoded:
        return Encoded(self.tokenize(prompt.text, add_special=True, parse_special=True))

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._text.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, tokens: Sequence[int]) -> str:
        return self._text.detokenize(tokens)

    def grammar(self, schema: Mapping[str, Any]) -> str:
        raise _no_grammar("response_format")

    def call_grammar(self, tools: Sequence[Mapping[str, Any]], parallel: bool, prompt: Prompt) -> str:
        raise _no_grammar("tool_choice")

    def pair(self, query: str, document: str) -> list[int]:
        raise BadInput("this model cannot rerank", hint="load a rerank model")

    def submit(self, job: EngineJob | EmbedJob) -> None:
        if isinstance(job, EmbedJob):
            raise BadInput("this engine cannot make embeddings", hint="load an embedding model in GGUF form")
        self._thread.put(job)

    def cancel(self, job_id: int) -> None:
        self._thread.put(batch.Cancel(job_id), always=True)

    def forget(self, conversation: str) -> None:
        self._thread.put(batch.Forget(conversation))

    @property
    def cache_ram_bytes(self) -> int:
        return 0

    def limit_cache_ram(self, cache_ram_bytes: int) -> None:
        """Nothing is kept out of the cache."""

    def ask_state(self, answer: Callable[[EngineState], None]) -> None:
        self._thread.put(_Ask(answer))

    def keep(
        self, action: SlotAction, sequence: int, file: Path | None, answer: Callable[[int | ParleyError], None]
    ) -> None:
        answer(
            BadInput("this engine cannot save states to files", hint="use a GGUF model, which runs with llama.cpp")
        )

    def close(self, timeout_s: float) -> bool:
        if not self._thread.close(timeout_s):
            return False
        self._model.close()
        return True

    # ---- the engine's thread ---------------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        return bool(self._batcher.active or self._batcher.waiting)

    def _work(self, commands: Sequence[_Command], sink: Sink) -> None:
        for command in commands:
            match command:
                case EngineJob():
                    self._accept(command, sink)
                case batch.Cancel() | batch.Forget():
                    self._execute(self._batcher.step(command, self._now()), {}, sink)
                case _Ask(answer):
                    answer(state_of(self._batcher))
                case _:
                    assert_never(command)
        self._turn(sink)

    def _accept(self, job: EngineJob, sink: Sink) -> None:
        try:
            if job.grammar is not None:
                raise _no_grammar("grammar")
            if job.adapters:
                raise BadInput("this engine has no LoRA adapters", param="lora")
            sampler = Sampler(job.sampling, job.tokens, self._text.ends, self._config.settings.seed)
        except ParleyError as error:
            sink([EngineEvent(job.id, error=error)])
            return
        now = self._now()
        visible = frozenset(token for mark in job.marks if (token := self._text.special(mark)) is not None)
        pieces = Piecewise(self._text, visible)
        self._replies[job.id] = _Reply(job, sampler, pieces, TextAssembler(job.sampling.stop), now)
        work = batch.Job(job.id, job.tokens, job.sampling.max_tokens, job.priority, job.conversation)
        self._execute(self._batcher.step(batch.Submit(work), now), {}, sink)

    def _turn(self, sink: Sink) -> None:
        run = self._execute(self._batcher.step(batch.Next(), self._now()), {}, sink)
        if run is None:
            return
        try:
            logits = [self._model.extend(row.sequence, row.tokens) for row in run.rows]
        except Exception as error:  # out of memory, for one: the requests in the step end, others go on
            self._failures += 1
            self._execute(self._batcher.step(batch.Ran(failed=True), self._now()), {}, sink)
            if self._failures >= MAX_FAILURES:
                raise RuntimeError(f"the model failed {MAX_FAILURES} times in a row: {error}") from error
            return
        self._failures = 0
        now = self._now()
        news: dict[int, _News] = {}
        sampled = []
        for row, values in zip(run.rows, logits, strict=True):
            reply = self._replies.get(row.job_id)
            if reply is None or not row.sample:
                continue
            token = reply.sampler.sample(values)
            reply.first_s = reply.first_s or now
            news[row.job_id], done = self._read(reply, token, values)
            sampled.append(batch.Sampled(row.job_id, token, done))
        self._execute(self._batcher.step(batch.Ran(tuple(sampled)), now), news, sink)

    def _read(self, reply: _Reply, token: int, logits: Logits) -> tuple[_News, bool]:
        """(what is certain now, whether the reply is over)."""
        ends = token in self._text.ends
        piece = reply.pieces.push(token)
        text = reply.assembler.push(piece.encode("utf-8", "replace"))
        most = reply.job.sampling.logprobs
        logprobs = () if most is None or ends else (self._text.logprob(logits, token, most),)
        return _News(text, logprobs, (token,)), ends or reply.assembler.stopped is not None

    def _execute(self, actions: list[batch.Action], news: dict[int, _News], sink: Sink) -> batch.Run | None:
        run: batch.Run | None = None
        events: list[EngineEvent] = []
        for action in actions:
            match action:
                case batch.Run():
                    run = action
                case batch.Admit(job_id):
                    self._replies[job_id].admitted_s = self._now()
                case batch.Clear(sequence):
                    self._model.clear(sequence)
                case batch.Trim(sequence, keep):
                    if not self._model.trim(sequence, keep):
                        self._batcher.step(batch.Lost(sequence), self._now())
                case batch.Copy(source, target, count):
                    if not self._model.copy(source, target, count):
                        self._batcher.step(batch.Lost(target), self._now())
                case batch.Offload() | batch.Reload():
                    raise AssertionError("its limits offload nothing")
                case batch.Refuse():
                    count = len(self._replies[action.job_id].job.tokens)
                    error = refusal(action.why, self._batcher.limits, count)
                    events.append(EngineEvent(action.job_id, error=error))
                    del self._replies[action.job_id]
                case batch.End():
                    events.append(self._ended(action, news.pop(action.job_id, _News())))
                    del self._replies[action.job_id]
                case _:
                    assert_never(action)
        for job_id, one in news.items():
            if one.text or one.logprobs or self._replies[job_id].job.sampling.logprobs is not None:
                events.append(EngineEvent(job_id, one.text, logprobs=one.logprobs, tokens=one.tokens))
        if events:
            sink(events)
        return run

    def _ended(self, end: batch.End, news: _News) -> EngineEvent:
        reply = self._replies[end.job_id]
        if end.reason == "failed":
            error = BackendFailed("the model could not compute this request", hint="see the worker's log")
            return EngineEvent(end.job_id, error=error)
        text = news.text
        if end.reason != "cancelled":
            text += reply.assembler.push(reply.pieces.rest().encode("utf-8", "replace"))
            text += reply.assembler.finish()
        usage = Usage(end.prompt_tokens, end.completion_tokens, end.cached_tokens)
        now = self._now()
        admitted = reply.admitted_s or now
        first = reply.first_s or now
        times = (admitted - reply.submitted_s, first - admitted, now - first)
        finish = EngineFinish(end.reason, usage, *times, reply.assembler.stopped, reply.sampler.seed)
        return EngineEvent(end.job_id, text, finish, logprobs=news.logprobs, tokens=news.tokens)


def _no_grammar(param: str) -> BadInput:
    return BadInput(
        "this engine cannot hold a reply to a grammar",
        param=param,
        hint="use a GGUF model, which runs with llama.cpp",
    )
