"""llama.cpp: GGUF models, many requests decoded together in one thread.

    any thread            engine thread                                                      sink
    submit, cancel  ->  commands -> Batcher (pure) -> Decoder (KV cache, one step) -> sampler -> text -> events

The Batcher decides, this file executes. Everything native is touched by the engine's thread alone, but for
the vocabulary, which is read only. A cancellation takes effect between two steps.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, assert_never

from llm import batch_events as batch
from llm.assembly import TextAssembler
from llm.batching import Batcher
from llm.chat_template import ChatTemplate, fallback
from llm.engine import (
    Engine,
    EngineCard,
    EngineConfig,
    EngineEvent,
    EngineFinish,
    EngineJob,
    EngineSpec,
    EngineState,
    Prompt,
    SequenceState,
    Sink,
)
from llm.errors import BackendFailed, ContextTooLong, LlmError, Overloaded
from llm.messages import Message
from llm.stream import FinishReason, Usage
from models.errors import BadInput, ModelUnreadable, ParleyError
from models.formats.gguf import GgufHeader, read_header

if TYPE_CHECKING:
    from llm.llamacpp.decoder import Decoder
    from llm.llamacpp.sampling import SamplerChain
    from llm.llamacpp.vocab import Vocab

__all__ = ["SPEC", "LlamaCppEngine", "load"]

MAX_COMMANDS = 4096
"""Requests and cancellations not yet looked at; they are looked at before every step."""
MAX_FAILURES = 3
"""Steps that may break one after the other before the engine gives up and lets its process be replaced."""


@dataclass(slots=True)
class _Reply:
    job: EngineJob
    chain: SamplerChain
    assembler: TextAssembler
    submitted_at: float
    admitted_at: float = 0.0
    first_at: float = 0.0


@dataclass(frozen=True, slots=True)
class _Ask:
    answer: Callable[[EngineState], None]


_Command = EngineJob | batch.Cancel | batch.Forget | _Ask


class LlamaCppEngine:
    def __init__(self, config: EngineConfig, header: GgufHeader, model: Any, vocab: Vocab, decoder: Decoder) -> None:
        """Use `load`. Takes over `model` and `decoder` and frees them in close()."""
        from llm.llamacpp.sampling import recommended

        self._config = config
        self._model = model
        self._vocab = vocab
        self._decoder = decoder
        self._now = config.clock.now
        self._batcher = Batcher(decoder.limits)
        self._template = _chat_template(header, vocab)
        self._advice = recommended(header.metadata)
        self._replies: dict[int, _Reply] = {}
        self._commands: deque[_Command] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._failures = 0
        self._thread: threading.Thread | None = None
        limits = decoder.limits
        self.card = EngineCard(
            name=config.name,
            context=limits.context,
            trained_context=header.context_length or limits.context,
            vocabulary=vocab.size,
            parameters=header.parameters,
            size_bytes=header.size_bytes,
            places=limits.places + limits.voice_places,
            description=header.architecture,
        )

    # ---- any thread ------------------------------------------------------------------------------------------

    def start(self, sink: Sink, on_death: Callable[[str], None]) -> None:
        self._thread = threading.Thread(target=self._work, args=(sink, on_death), name="llama.cpp", daemon=True)
        self._thread.start()

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        now: datetime,
        thinking: bool | None = None,
    ) -> Prompt:
        return Prompt(self._template.render(messages, tools, now, thinking), self._template.stop)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """A template that writes the BOS itself gets no second one."""
        if add_special and parse_special and self._vocab.adds_bos():
            bos = self._vocab.bos()
            add_special = not (bos and text.startswith(bos))
        return self._vocab.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, tokens: Sequence[int]) -> str:
        return self._vocab.detokenize(tokens)

    def grammar(self, schema: Mapping[str, Any]) -> str:
        from llama_cpp.llama_grammar import json_schema_to_gbnf

        try:
            return str(json_schema_to_gbnf(json.dumps(schema or {"type": "object"})))
        except (ValueError, TypeError, KeyError, AttributeError, AssertionError, RecursionError) as error:
            raise BadInput(
                f"this JSON schema cannot be turned into a grammar: {error}", param="response_format"
            ) from error

    def submit(self, job: EngineJob) -> None:
        self._command(job)

    def cancel(self, job_id: int) -> None:
        self._command(batch.Cancel(job_id))

    def forget(self, conversation: str) -> None:
        self._command(batch.Forget(conversation))

    def ask_state(self, answer: Callable[[EngineState], None]) -> None:
        self._command(_Ask(answer))

    def close(self, timeout_s: float) -> bool:
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                return False
        self._decoder.close()
        model, self._model = self._model, None
        if model:
            from llm.llamacpp.library import native

            native.llama_model_free(model)
        return True

    def _command(self, command: _Command) -> None:
        """A cancellation always gets in: it makes room."""
        with self._wake:
            if len(self._commands) >= MAX_COMMANDS and not isinstance(command, batch.Cancel):
                raise Overloaded("the engine has more requests than it can look at", hint="try again in a second")
            self._commands.append(command)
            self._wake.notify()

    # ---- the engine's thread ---------------------------------------------------------------------------------

    def _work(self, sink: Sink, on_death: Callable[[str], None]) -> None:
        try:
            while self._take_commands(sink):
                self._turn(sink)
        except Exception as error:  # whatever it was: the process is replaced and says why
            on_death(f"{type(error).__name__}: {error}")
        finally:
            for reply in self._replies.values():
                reply.chain.close()

    def _take_commands(self, sink: Sink) -> bool:
        """Wait while there is nothing to do. False: it is time to end."""
        with self._wake:
            while not self._commands and not self._closing and not (self._batcher.active or self._batcher.waiting):
                self._wake.wait()
            if self._closing:
                return False
            commands, self._commands = self._commands, deque()
        for command in commands:
            match command:
                case EngineJob():
                    self._accept(command, sink)
                case batch.Cancel() | batch.Forget():
                    self._execute(self._batcher.step(command, self._now()), {}, sink)
                case _Ask(answer):
                    answer(self._state())
                case _:
                    assert_never(command)
        return True

    def _accept(self, job: EngineJob, sink: Sink) -> None:
        from llm.llamacpp.sampling import SamplerChain, with_recommended

        try:
            sampling = with_recommended(job.sampling, self._advice)
            chain = SamplerChain(sampling, self._vocab, job.tokens, job.grammar, self._config.settings.seed)
        except ParleyError as error:
            sink([EngineEvent(job.id, error=error)])
            return
        now = self._now()
        self._replies[job.id] = _Reply(job, chain, TextAssembler(job.sampling.stop), now)
        work = batch.Job(job.id, job.tokens, job.sampling.max_tokens, job.priority, job.conversation)
        self._execute(self._batcher.step(batch.Submit(work), now), {}, sink)

    def _turn(self, sink: Sink) -> None:
        """One round: admissions if there are any, else one decode step and what came of it."""
        rows = self._execute(self._batcher.step(batch.Next(), self._now()), {}, sink)
        if rows is None:
            return
        if not self._decoder.run(rows):
            self._failures += 1
            self._execute(self._batcher.step(batch.Ran(failed=True), self._now()), {}, sink)
            if self._failures >= MAX_FAILURES:
                raise RuntimeError("llama_decode failed several times in a row")
            return
        self._failures = 0
        replies = [self._replies.get(row.job_id) for row in rows]
        tokens = self._decoder.sample(rows, [reply.chain if reply else None for reply in replies])
        now = self._now()
        texts: dict[int, str] = {}
        sampled = []
        for reply, token in zip(replies, tokens, strict=True):
            if reply is not None and token is not None:
                reply.first_at = reply.first_at or now
                texts[reply.job.id], done = self._read(reply, token)
                sampled.append(batch.Sampled(reply.job.id, token, done))
        self._execute(self._batcher.step(batch.Ran(tuple(sampled)), now), texts, sink)

    def _read(self, reply: _Reply, token: int) -> tuple[str, bool]:
        """(text that is certain now, whether the reply is over)."""
        if self._vocab.ends_turn(token):
            return "", True
        text = reply.assembler.push(self._vocab.piece(token))
        return text, reply.assembler.stopped is not None

    def _execute(
        self, actions: list[batch.Action], texts: dict[int, str], sink: Sink
    ) -> tuple[batch.Row, ...] | None:
        """Do what the batcher wants and tell the sink, once; returns the rows of a Run."""
        rows: tuple[batch.Row, ...] | None = None
        events: list[EngineEvent] = []
        for action in actions:
            match action:
                case batch.Run():
                    rows = action.rows
                case batch.Admit(job_id):
                    self._replies[job_id].admitted_at = self._now()
                case batch.Clear(sequence):
                    self._decoder.clear(sequence)
                case batch.Trim(sequence, keep):
                    if not self._decoder.trim(sequence, keep):
                        self._batcher.step(batch.Lost(sequence), self._now())
                case batch.Copy(source, target, count):
                    self._decoder.copy(source, target, count)
                case batch.Refuse():
                    events.append(EngineEvent(action.job_id, error=self._refusal(action)))
                    self._drop(action.job_id)
                case batch.End():
                    events.append(self._ended(action, texts.pop(action.job_id, "")))
                    self._drop(action.job_id)
                case _:
                    assert_never(action)
        events += [EngineEvent(job_id, text) for job_id, text in texts.items() if text]
        if events:
            sink(events)
        return rows

    def _drop(self, job_id: int) -> None:
        self._replies.pop(job_id).chain.close()

    def _ended(self, end: batch.End, text: str) -> EngineEvent:
        reply = self._replies[end.job_id]
        if end.reason == "failed":
            error = BackendFailed("the model could not decode this request", hint="the worker's log says more")
            return EngineEvent(end.job_id, error=error)
        if end.reason != "cancelled":
            text += reply.assembler.finish()
        reason: FinishReason = end.reason
        usage = Usage(end.prompt_tokens, end.completion_tokens, end.cached_tokens)
        now = self._now()
        admitted = reply.admitted_at or now
        first = reply.first_at or now
        times = (admitted - reply.submitted_at, first - admitted, now - first)
        return EngineEvent(end.job_id, text, EngineFinish(reason, usage, *times))

    def _refusal(self, refuse: batch.Refuse) -> LlmError | BadInput:
        limits = self._batcher.limits
        match refuse.why:
            case "too_long":
                count = len(self._replies[refuse.job_id].job.tokens)
                return ContextTooLong(
                    f"the prompt has {count} tokens; this model holds {limits.context}, the reply included",
                    hint="send less history, or give the slot a larger ctx_size",
                    param="messages",
                )
            case "queue_full":
                return Overloaded(f"{limits.queue} requests are waiting already", hint="try again in a few seconds")
            case "empty":
                return BadInput("the prompt is empty", param="messages")
            case _:
                assert_never(refuse.why)

    def _state(self) -> EngineState:
        counted = self._batcher.statistics
        return EngineState(
            busy=self._batcher.active,
            waiting=self._batcher.waiting,
            sequences=tuple(
                SequenceState(row.id, row.holder is not None, len(row.tokens), row.conversation, row.holder)
                for row in self._batcher.sequences.all
            ),
            counters={
                "steps": counted.steps,
                "prompt_tokens": counted.prompt_tokens,
                "cached_tokens": counted.cached_tokens,
                "completion_tokens": counted.completion_tokens,
                "cancelled": counted.cancelled,
                "refused": counted.refused,
            },
            widths=dict(counted.widths),
        )


def _chat_template(header: GgufHeader, vocab: Vocab) -> ChatTemplate:
    bos, eos = vocab.bos(), vocab.eos()
    if header.chat_template is not None:
        return ChatTemplate(header.chat_template, bos, eos)
    return fallback(vocab.has, bos, eos)


def load(config: EngineConfig) -> Engine:
    """Takes seconds to minutes. Raises ModelUnreadable."""
    header = read_header(config.model)
    if header.kind != "llm":
        raise ModelUnreadable(f"{config.model.name} is no text model but for {header.kind or 'nothing'}")
    from llm.llamacpp.decoder import Decoder
    from llm.llamacpp.model import load_model
    from llm.llamacpp.vocab import Vocab

    model, limits = load_model(config, header)
    vocab = Vocab(model)
    decoder = Decoder(model, config.settings, limits)
    decoder.warm_up(vocab.first_token())
    return LlamaCppEngine(config, header, model, vocab, decoder)


SPEC = EngineSpec("llama_cpp", load, ("gguf",), "GGUF models on CPU and GPU, many requests at once")
