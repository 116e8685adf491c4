"""llama.cpp: GGUF models, many requests decoded together in one thread.

    any thread            engine thread                                                      sink
    submit, cancel  ->  commands -> Batcher (pure) -> Decoder (KV cache, one step) -> sampler -> text -> events

The Batcher decides, this file executes. Everything native is touched by the engine's thread alone, but for
the vocabulary, which is read only. Commands take effect between two steps; a step that nobody wants any more, or that
a voice turn would have to wait for, is broken off (llm/llamacpp/preemption.py).

Why this file is long: it is one thread's loop, with every command it takes and every action of the batcher.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from llm.batching import events as batch
from llm.batching.assembly import TextAssembler
from llm.batching.batcher import Batcher
from llm.engine import (
    EmbedJob,
    Encoded,
    Engine,
    EngineCard,
    EngineConfig,
    EngineEvent,
    EngineFinish,
    EngineJob,
    EngineSpec,
    EngineState,
    Prompt,
    Sink,
    SlotAction,
)
from llm.engine_thread import EngineThread
from llm.errors import BackendFailed
from llm.llamacpp.option_text import parse_shares
from llm.llamacpp.plan import kv_bytes_per_token
from llm.llamacpp.replies import Reply
from llm.llamacpp.reports import refusal, state_of
from llm.memory.cards import Cards, Division
from llm.memory.fit import FitSum
from llm.memory.gpu_builds import LLAMA_CPP, ships
from llm.messages import Message, Priority
from llm.settings import EngineSettings
from llm.stream import FinishReason, Usage
from models.errors import ModelUnreadable, ParleyError
from models.formats.gguf import GgufHeader, read_header

if TYPE_CHECKING:
    from llm.llamacpp.decoder import Outcome
    from llm.llamacpp.loaded import Loaded

__all__ = ["SPEC", "LlamaCppEngine", "divide", "load"]

MAX_COMMANDS = 4096
"""Requests and cancellations not yet looked at; they are looked at before every step."""
RUNTIME_HOST_BYTES, RUNTIME_GPU_BYTES = 512 << 20, 400 << 20
"""What CUDA takes of either for a process that computes there. Guessed; measuring corrects it."""
MAX_FAILURES = 3
"""Steps that may break one after the other before the engine gives up and lets its process be replaced."""


@dataclass(frozen=True, slots=True)
class _Ask:
    answer: Callable[[EngineState], None]


@dataclass(frozen=True, slots=True)
class _Keep:
    action: SlotAction
    sequence: int
    file: Path | None
    answer: Callable[[int | ParleyError], None]


_Command = EngineJob | EmbedJob | batch.Cancel | batch.Forget | batch.CacheRamLimited | _Ask | _Keep


class LlamaCppEngine:
    def __init__(self, config: EngineConfig, header: GgufHeader, loaded: Loaded) -> None:
        """Use `load`. Takes over `loaded` and frees it in close()."""
        from llm.llamacpp.sampling import recommended

        self._config = config
        self._loaded = loaded
        self._vocab = loaded.vocab
        self._prompts = loaded.prompts
        self._decoder = loaded.decoder
        self._preemption = loaded.decoder.preemption
        self._embeds = loaded.embeds
        self._now = config.clock.now
        self._batcher = Batcher(loaded.limits)
        self._advice = recommended(header.metadata)
        self._replies: dict[int, Reply] = {}
        self._thread: EngineThread[_Command] = EngineThread("llama.cpp", MAX_COMMANDS, lambda: self._busy)
        self._failures = 0
        self._token_bytes = max(1.0, kv_bytes_per_token(header, config.settings))
        self._adapters: batch.Adapters = ()
        self.card: EngineCard = loaded.card
        self.media_marker = loaded.projector.marker if loaded.projector is not None else ""

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
        return self._prompts.render(messages, tools, now, variables)

    def encode(self, prompt: Prompt) -> Encoded:
        return self._prompts.encode(prompt)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self._prompts.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, tokens: Sequence[int]) -> str:
        return self._vocab.detokenize(tokens)

    def grammar(self, schema: Mapping[str, Any]) -> str:
        return self._prompts.grammar(schema)

    def call_grammar(self, tools: Sequence[Mapping[str, Any]], parallel: bool, prompt: Prompt) -> str:
        return self._prompts.call_grammar(tools, parallel, prompt)

    def pair(self, query: str, document: str) -> list[int]:
        return self._prompts.pair(query, document)

    def submit(self, job: EngineJob | EmbedJob) -> None:
        self._command(job)

    def cancel(self, job_id: int) -> None:
        self._command(batch.Cancel(job_id))

    def forget(self, conversation: str) -> None:
        self._command(batch.Forget(conversation))

    @property
    def cache_ram_bytes(self) -> int:
        return self._loaded.offloaded.bytes

    def limit_cache_ram(self, cache_ram_bytes: int) -> None:
        self._command(batch.CacheRamLimited(int(cache_ram_bytes / self._token_bytes)))

    def ask_state(self, answer: Callable[[EngineState], None]) -> None:
        self._command(_Ask(answer))

    def keep(
        self, action: SlotAction, sequence: int, file: Path | None, answer: Callable[[int | ParleyError], None]
    ) -> None:
        self._command(_Keep(action, sequence, file, answer))

    def close(self, timeout_s: float) -> bool:
        """What sequences hold is put away first, where there is a place for it."""
        from llm.llamacpp.keeping import put_away

        if not self._thread.close(timeout_s):
            return False
        for reply in self._replies.values():
            reply.chain.close()
        put_away(self._loaded, self._batcher, self._config.clock)
        self._loaded.close()
        return True

    def _command(self, command: _Command) -> None:
        with self._thread.lock:
            self._thread.put(command, always=isinstance(command, batch.Cancel))
            if self._preemption is not None:
                self._preemption.heard(command, self._now())

    # ---- the engine's thread ---------------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        batcher = self._batcher
        return bool(batcher.active or batcher.waiting or self._embeds.waiting or batcher.surplus)

    def _work(self, commands: Sequence[_Command], sink: Sink) -> None:
        for command in commands:
            match command:
                case EngineJob():
                    self._accept(command, sink)
                case EmbedJob():
                    if refused := self._embeds.submit(command):
                        sink([refused])
                case batch.Cancel(job_id):
                    self._embeds.cancel(job_id)
                    self._execute(self._batcher.step(command, self._now()), sink)
                case batch.Forget(conversation):
                    if self._loaded.state_store is not None:
                        self._loaded.state_store.forget(conversation)
                    self._execute(self._batcher.step(command, self._now()), sink)
                case batch.CacheRamLimited():
                    self._execute(self._batcher.step(command, self._now()), sink)
                case _Ask(answer):
                    answer(state_of(self._batcher, self._loaded.state_store))
                case _Keep():
                    command.answer(self._keep(command, sink))
                case _:
                    assert_never(command)
        if self._embeds.waiting:
            self._embeds.step(sink)
        self._turn(sink)

    def _accept(self, job: EngineJob, sink: Sink) -> None:
        from llm.llamacpp.keeping import fetch
        from llm.llamacpp.sampling import SamplerChain, guessable, promised, with_recommended

        try:
            adapters = self._loaded.lora.chosen(job.adapters)
            sampling = with_recommended(job.sampling, self._advice)
            chain = SamplerChain(sampling, self._vocab, job.tokens, job.grammar, self._config.settings.seed)
        except ParleyError as error:
            sink([EngineEvent(job.id, error=error)])
            return
        now = self._now()
        visible = frozenset(token for mark in job.marks if (token := self._vocab.special(mark)) is not None)
        exact = promised(sampling, self._config.settings.seed)
        self._replies[job.id] = Reply(job, chain, TextAssembler(job.sampling.stop), visible, exact, now)
        media = tuple(item.place for item in job.media)
        limit, name = job.sampling.max_tokens, job.conversation
        draft = not media and guessable(sampling, self._config.settings.seed)
        work = batch.Job(job.id, job.tokens, limit, job.priority, name, media, adapters, draft, job.asked_at)
        if self._loaded.state_store:
            fetch(self._loaded, self._batcher, work, now)
        self._execute(self._batcher.step(batch.Submit(work), now), sink)

    def _turn(self, sink: Sink) -> None:
        """One round: admissions if there are any, else one decode step or several, and what came of them."""
        run = self._execute(self._batcher.step(batch.Next(), self._now()), sink)
        if run is None:
            return
        outcome = self._begin(run)
        sampled: tuple[batch.Sampled, ...] = ()
        preempted = outcome == "preempted"
        if outcome == "done" and run.rows[0].guessed:
            sampled = self._check(run.rows[0])
        elif outcome == "done" and run.more:
            sampled, preempted = self._write_on(run.rows, run.more, sink)
        elif outcome == "done":
            sampled = self._write(run.rows)
        if self._preemption is not None:
            with self._thread.lock:
                self._preemption.end()
        self._failures = self._failures + 1 if outcome == "failed" else 0
        ran = batch.Ran(sampled, failed=outcome == "failed", preempted=preempted)
        self._execute(self._batcher.step(ran, self._now()), sink, [row.job_id for row in run.rows])
        if self._failures >= MAX_FAILURES:
            raise RuntimeError("llama_decode failed several times in a row")

    def _begin(self, run: batch.Run) -> Outcome:
        if run.adapters != self._adapters:
            self._adapters = run.adapters
            self._decoder.use_adapters(self._loaded.lora.pointers(run.adapters))
        for row in run.rows:
            if row.media is not None:
                reply = self._replies.get(row.job_id)
                if reply is not None and not self._loaded.show(reply.job.media[row.media], row):
                    return "failed"
        self._let_preempt(run.rows)
        return self._decoder.run(run.rows, self._exact(run.rows))

    def _exact(self, rows: Sequence[batch.Row]) -> bool:
        alone = self._replies.get(rows[0].job_id) if len(rows) == 1 else None
        return alone is not None and alone.exact

    def _write(self, rows: Sequence[batch.Row]) -> tuple[batch.Sampled, ...]:
        """After the step a token for each row that asked."""
        replies = [self._replies.get(row.job_id) for row in rows]
        tokens = self._decoder.sample(rows, [reply.chain if reply else None for reply in replies])
        now = self._now()
        sampled: list[batch.Sampled] = []
        for row, reply, token in zip(rows, replies, tokens, strict=True):
            if reply is not None and token is not None:
                if not reply.first_at and not self._decoder.gives_numbers(rows, row):
                    reply.broken = True
                    sampled.append(batch.Sampled(row.job_id, token, broken=True))
                    continue
                reply.first_at = reply.first_at or now
                sampled.append(batch.Sampled(row.job_id, token, self._read(reply, token)))
                self._add_logprob(reply, rows, row, token)
        return tuple(sampled)

    def _write_on(self, rows: Sequence[batch.Row], more: int, sink: Sink) -> tuple[tuple[batch.Sampled, ...], bool]:
        """After a step in which each row had the last token of a reply: the next token of each, and of up to `more`
        steps that follow at once, while no reply ends and nobody comes. And whether the last of these was broken off.

        With small models a step takes as long as a page of Python: what can wait until the end of the run does.
        """
        decoder, ends, exact = self._decoder, self._vocab.ends(), self._exact(rows)
        replies = [self._replies[row.job_id] for row in rows]
        chains, places = [reply.chain for reply in replies], range(len(rows))
        told = [(row, reply, at) for at, row, reply in zip(places, rows, replies, strict=True) if not reply.gathered]
        written: list[list[int]] = []
        over: set[int] = set()
        outcome: Outcome = "done"
        while True:
            tokens = decoder.choose(places, chains)
            written.append(tokens)
            for row, reply, at in told:
                if self._read(reply, tokens[at]):
                    over.add(row.job_id)
                self._add_logprob(reply, rows, row, tokens[at])
            if over or len(written) > more or self._thread.interrupted or not ends.isdisjoint(tokens):
                break
            if told and (events := [reply.event() for _, reply, _ in told if reply.awaited]):
                sink(events)
            outcome = decoder.go_on(tokens, exact)
            if outcome != "done":
                break  # it comes again, as a step of its own
        sampled: list[batch.Sampled] = []
        for row, reply, tokens_of in zip(rows, replies, zip(*written, strict=True), strict=True):
            if reply.gathered and self._read_all(reply, tokens_of):
                over.add(row.job_id)
            sampled.append(batch.Sampled(row.job_id, tokens_of[-1], row.job_id in over, read=tokens_of[:-1]))
        return tuple(sampled), outcome == "preempted"

    def _check(self, row: batch.Row) -> tuple[batch.Sampled, ...]:
        """Guessed tokens: each is sampled as if it had been the only one, and the first that is another ends it."""
        reply = self._replies[row.job_id]
        guess = row.tokens[len(row.tokens) - row.guessed :]
        right = 0
        for token in self._decoder.check(row, reply.chain):
            done = self._read(reply, token)
            if done or right == len(guess) or token != guess[right]:
                break
            right += 1
        return (batch.Sampled(row.job_id, token, done, right),)

    def _let_preempt(self, rows: Sequence[batch.Row]) -> None:
        """From here on a command may break the step off, unless an image of it is already in the cache."""
        if self._preemption is None or any(row.media is not None for row in rows):
            return
        asked = [self._replies[row.job_id].job for row in rows]
        with self._thread.lock:
            voice = any(job.priority is Priority.VOICE for job in asked)
            self._preemption.begin({row.job_id: len(row.tokens) for row in rows}, voice, self._now())
            for command in self._thread.waiting:
                self._preemption.heard(command, self._now())

    def _read(self, reply: Reply, token: int) -> bool:
        """Whether the reply is over with this token."""
        text = ""
        ends = self._vocab.ends_turn(token)
        if token in reply.visible:
            text = reply.assembler.push(self._vocab.written(token))
        elif not ends:
            text = reply.assembler.push(self._vocab.piece(token))
        reply.add(token, text)
        return ends or reply.assembler.stopped is not None

    def _read_all(self, reply: Reply, tokens: Sequence[int]) -> bool:
        """The same for many tokens of a reply that is gathered: none but the last may end it."""
        vocab, visible = self._vocab, reply.visible
        ends = vocab.ends_turn(tokens[-1])
        shown = [
            vocab.written(token) if token in visible else vocab.piece(token)
            for token in tokens
            if token in visible or not vocab.ends_turn(token)
        ]
        reply.add_all(tokens, reply.assembler.push(b"".join(shown)))
        return ends

    def _add_logprob(self, reply: Reply, rows: Sequence[batch.Row], row: batch.Row, token: int) -> None:
        most = reply.job.sampling.logprobs
        if most is not None and not self._vocab.ends_turn(token):
            reply.add_logprob(self._decoder.logprobs(rows, row, token, most, self._vocab))

    def _execute(self, actions: list[batch.Action], sink: Sink, written: Sequence[int] = ()) -> batch.Run | None:
        """Do what the batcher wants and tell the sink, once; returns the Run, if there is one. `written`: the jobs
        that may have something new."""
        run: batch.Run | None = None
        events: list[EngineEvent] = []
        for action in actions:
            match action:
                case batch.Run():
                    run = action
                case batch.Admit(job_id):
                    self._replies[job_id].admitted_at = self._now()
                case batch.Clear(sequence):
                    self._decoder.clear(sequence)
                    self._loaded.offloaded.drop(sequence)
                case batch.Trim(sequence, keep):
                    if not self._decoder.trim(sequence, keep):
                        actions += self._batcher.step(batch.Lost(sequence), self._now())
                case batch.Copy(source, target, count):
                    self._decoder.copy(source, target, count)
                case batch.Offload(sequence):
                    if not self._loaded.offloaded.offload(sequence):
                        self._batcher.step(batch.Lost(sequence), self._now())
                case batch.Reload(source, target):
                    if not self._loaded.offloaded.reload(source, target):
                        self._batcher.step(batch.Lost(target), self._now())
                case batch.Refuse():
                    count = len(self._replies[action.job_id].job.tokens)
                    events.append(EngineEvent(action.job_id, error=refusal(action.why, self._batcher.limits, count)))
                    self._drop(action.job_id)
                case batch.End():
                    events.append(self._ended(action))
                    self._drop(action.job_id)
                case _:
                    assert_never(action)
        for job_id in written:
            reply = self._replies.get(job_id)
            if reply is not None and reply.awaited:
                events.append(reply.event())
        if events:
            sink(events)
        return run

    def _keep(self, command: _Keep, sink: Sink) -> int | ParleyError:
        """`POST /slots/{id}`."""
        from llm.llamacpp.keeping import keep_sequence

        actions, answer = keep_sequence(
            self._loaded, self._batcher, command.action, command.sequence, command.file, self._now()
        )
        self._execute(actions, sink)
        return answer() if callable(answer) else answer

    def _drop(self, job_id: int) -> None:
        self._replies.pop(job_id).chain.close()

    def _ended(self, end: batch.End) -> EngineEvent:
        reply = self._replies[end.job_id]
        if reply.broken:
            hint = "its weights are damaged, or too large for their type"
            return EngineEvent(end.job_id, error=BackendFailed("the model's logits are no numbers (NaN)", hint=hint))
        if end.reason == "failed":
            error = BackendFailed("the model could not decode this request", hint="see the worker's log")
            return EngineEvent(end.job_id, error=error)
        rest = "" if end.reason == "cancelled" else reply.assembler.finish()
        reason: FinishReason = end.reason
        usage = Usage(end.prompt_tokens, end.completion_tokens, end.cached_tokens)
        now = self._now()
        admitted = reply.admitted_at or now
        first = reply.first_at or now
        times = (admitted - reply.submitted_at, first - admitted, now - first)
        finish = EngineFinish(reason, usage, *times, reply.assembler.stopped, reply.chain.seed)
        return reply.event(rest, finish)


def load(config: EngineConfig) -> Engine:
    """Takes seconds to minutes. Raises ModelUnreadable."""
    header = read_header(config.model)
    if header.kind not in ("llm", "embedding", "rerank"):
        raise ModelUnreadable(f"{config.model.name} is not a text model but one for {header.kind or 'nothing'}")
    from llm.llamacpp.embedding_engine import EmbeddingEngine
    from llm.llamacpp.library import in_own_thread
    from llm.llamacpp.loaded import load_all

    if header.kind != "llm":
        return in_own_thread(lambda: EmbeddingEngine(config, header))
    return LlamaCppEngine(config, header, in_own_thread(lambda: load_all(config, header)))


def divide(fit: FitSum, settings: EngineSettings, cards: Cards) -> Division:
    """As llama.cpp offloads: whole layers, their cache with them, all or as many as `n_gpu_layers` says; over the
    cards by `tensor_split`, or by what is free on each, or all on `main_gpu`.
    """
    if not cards or settings.n_gpu_layers == 0 or not ships(*LLAMA_CPP):
        return Division(fit.total)
    layers = fit.attention_layers + fit.recurrent_layers + 1  # and the output
    part = 1.0 if settings.n_gpu_layers < 0 else min(1.0, settings.n_gpu_layers / layers)
    cache = int((fit.kv + fit.state) * part) if settings.offload_kqv else 0
    moved = int(fit.weights * part) + cache + fit.compute
    if settings.split_mode == "none":
        shares = (*(0.0 for _ in range(settings.main_gpu)), 1.0)
    else:
        shares = parse_shares(settings.tensor_split)
    return Division(fit.total - moved + RUNTIME_HOST_BYTES, moved + RUNTIME_GPU_BYTES, shares)


SPEC = EngineSpec("llama_cpp", load, ("gguf",), "GGUF models on CPU and GPU, many requests at once", divide=divide)
