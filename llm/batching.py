"""Continuous batching: who is answered, and which tokens go into the next decode step. Pure.

    Submit -> waiting -> Admit -> prompt, in chunks -> one token a step -> End
                 |                   |                       |
                 +------ Cancel -----+------ Cancel ---------+----> End("cancelled")

The engine asks with Next until it gets a Run or nothing, runs what Run says, and reports with Ran. Every step
carries one token of each request that is writing, so that nobody's reply stalls, and as many prompt tokens
beside them as keep the step short. Every job that was submitted ends exactly once, by Refuse or by End.
Time is an argument, in seconds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import assert_never

from llm.batch_events import (
    Action,
    Admit,
    Cancel,
    Clear,
    Copy,
    End,
    EndReason,
    Event,
    Forget,
    Job,
    Limits,
    Lost,
    Next,
    Ran,
    Refuse,
    RefuseReason,
    Row,
    Run,
    Submit,
    Trim,
)
from llm.messages import Priority
from llm.sequences import KvSequence, SequenceTable

__all__ = ["Batcher", "Statistics"]

AGED_AFTER_S = 30.0
"""Batch work that has waited this long is treated as interactive, so that it is not starved."""
FIRST_CHUNK = 64
"""Prompt tokens in a step while the machine's speed is not yet known."""
SMALLEST_CHUNK = 16


@dataclass(slots=True)
class Statistics:
    """Counted since the start. `widths[n]`: decode steps that carried n sequences."""

    steps: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cancelled: int = 0
    refused: int = 0
    widths: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class _Waiting:
    job: Job
    since: float


@dataclass(slots=True)
class _Active:
    job: Job
    row: KvSequence
    cached: int
    limit: int
    """Tokens it may write."""
    written: int = 0
    pending: int | None = None
    """Sampled, not yet in the KV cache."""
    sampling: bool = False
    """Its token is being computed."""

    @property
    def unread(self) -> int:
        """Prompt tokens not yet in the KV cache."""
        return 0 if self.written else max(0, len(self.job.tokens) - len(self.row.tokens))


class Batcher:
    def __init__(self, limits: Limits) -> None:
        most = limits.places + limits.voice_places
        if limits.sequences < most or limits.step_tokens < most or limits.pool < limits.context:
            raise ValueError("too few sequences, too small a step or too small a pool")
        self.limits = limits
        self.sequences = SequenceTable(limits.sequences, limits.rewind)
        self.statistics = Statistics()
        self._waiting: list[_Waiting] = []
        self._active: dict[int, _Active] = {}
        self._doomed: set[int] = set()  # sequences to empty when their request ends
        self._running: tuple[Row, ...] = ()
        self._running_since = 0.0
        self._token_s: float | None = None  # what one prompt token costs in a step

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def active(self) -> int:
        return len(self._active)

    def step(self, event: Event, now: float) -> list[Action]:
        match event:
            case Submit(job):
                return self._submit(job, now)
            case Cancel(job_id):
                return self._cancel(job_id, now)
            case Forget(conversation):
                return self._forget(conversation)
            case Next():
                return self._next(now)
            case Ran():
                return self._ran(event, now)
            case Lost(sequence):
                return self._lost(sequence, now)
            case _:
                assert_never(event)

    # ---- coming and going ------------------------------------------------------------------------------------

    def _submit(self, job: Job, now: float) -> list[Action]:
        voice = job.priority is Priority.VOICE
        ahead = sum((waiting.job.priority is Priority.VOICE) == voice for waiting in self._waiting)
        why: RefuseReason | None = None
        if not job.tokens:
            why = "empty"
        elif len(job.tokens) >= self.limits.context:
            why = "too_long"
        elif ahead >= self.limits.queue:
            why = "queue_full"
        if why is not None:
            self.statistics.refused += 1
            return [Refuse(job.id, why)]
        self._waiting.append(_Waiting(job, now))
        return []

    def _cancel(self, job_id: int, now: float) -> list[Action]:
        for index, waiting in enumerate(self._waiting):
            if waiting.job.id == job_id:
                del self._waiting[index]
                self.statistics.cancelled += 1
                return [End(job_id, "cancelled", len(waiting.job.tokens), 0, 0)]
        active = self._active.get(job_id)
        return [] if active is None else self._end(active, "cancelled", now)

    def _forget(self, conversation: str) -> list[Action]:
        for waiting in self._waiting:
            if waiting.job.conversation == conversation:
                waiting.job = replace(waiting.job, conversation=None)
        row = self.sequences.of(conversation)
        if row is None:
            return []
        row.conversation = None
        if row.holder is not None:
            self._doomed.add(row.id)
            return []
        return [self._clear(row)]

    def _end(self, active: _Active, reason: EndReason, now: float, clear: bool = False) -> list[Action]:
        del self._active[active.job.id]
        self.sequences.release(active.row, now)
        self.statistics.cancelled += reason == "cancelled"
        end = End(active.job.id, reason, len(active.job.tokens), active.written, active.cached)
        if clear or active.row.id in self._doomed:
            return [self._clear(active.row), end]
        return [end]

    def _clear(self, row: KvSequence) -> Clear:
        self._doomed.discard(row.id)
        row.tokens = []
        row.conversation = None
        return Clear(row.id)

    # ---- the next step ---------------------------------------------------------------------------------------

    def _next(self, now: float) -> list[Action]:
        """One admission if there may be one; else the next Run. The engine may answer an admission with Lost,
        and the next one, which may want to copy from it, must know.
        """
        if self._running:
            return []
        if admitted := self._admit(now):
            return admitted
        self._running = self._plan()
        if not self._running:
            return []
        self._running_since = now
        self.statistics.steps += 1
        self.statistics.widths[len(self._running)] += 1
        return [Run(self._running)]

    def _admit(self, now: float) -> list[Action]:
        """Move the first of the queue that may start to a sequence.

        By rank, then by arrival: 1. no place of its kind is free: the next may still have one; 2. room for all
        it may ever write is reserved, so that no reply is cut off by another. Idle sequences are emptied for
        it; where that is not enough, nobody overtakes it.
        """
        voices = sum(active.job.priority is Priority.VOICE for active in self._active.values())
        others = len(self._active) - voices
        places, kept = self.limits.places, self.limits.voice_places
        for waiting in sorted(self._waiting, key=lambda item: _rank(item, now)):
            voice = waiting.job.priority is Priority.VOICE
            if (voices + others >= places + kept) if voice else (others + max(0, voices - kept) >= places):  # 1
                continue
            actions = self._place(waiting.job)
            if actions is not None:  # 2
                self._waiting.remove(waiting)
            return actions or []
        return []

    def _place(self, job: Job) -> list[Action] | None:
        place = self.sequences.place(job.tokens, job.conversation)
        assert place is not None, "there are as many sequences as places"
        row, donor = place.sequence, place.donor
        limit = self.limits.context - len(job.tokens)
        limit = limit if job.max_tokens is None else max(1, min(limit, job.max_tokens))
        victims = self._make_room(len(job.tokens) + limit, row, donor)
        if victims is None:
            return None
        actions: list[Action] = [self._clear(victim) for victim in victims if victim is not donor]
        if row.tokens and place.clear:
            actions.append(Clear(row.id))
        elif place.keep < len(row.tokens):
            actions.append(Trim(row.id, place.keep))
        if donor is not None:
            actions.append(Copy(donor.id, row.id, place.keep))
            if donor in victims:
                actions.append(self._clear(donor))
        self.sequences.hold(row, job.id, job.conversation, place.keep, job.tokens)
        self._active[job.id] = _Active(job, row, place.keep, limit)
        self.statistics.cached_tokens += place.keep
        return [*actions, Admit(job.id, row.id, place.keep)]

    def _make_room(self, needed: int, row: KvSequence, donor: KvSequence | None) -> list[KvSequence] | None:
        """The idle sequences to empty so that `needed` tokens fit; None if they do not fit even then.

        The donor goes last: it is emptied after the copy, which then holds the only reference to its tokens.
        """
        reserved = sum(len(active.job.tokens) + active.limit for active in self._active.values())
        free = self.limits.pool - reserved - needed
        if free < 0:
            return None
        victims: list[KvSequence] = []
        idle = self.sequences.idle_tokens - len(row.tokens)
        while idle > free:
            victim = self.sequences.victim((row, donor, *victims)) or donor
            assert victim is not None, "the idle tokens are somebody's"
            idle -= len(victim.tokens)
            victims.append(victim)
        return victims

    def _plan(self) -> tuple[Row, ...]:
        """One token of every reply; then prompts, by priority and arrival, as far as the chunk reaches."""
        rows: list[Row] = []
        for active in self._active.values():
            if active.pending is not None:
                rows.append(_row(active, [active.pending], sample=True))
                active.pending = None
        chunk = self._chunk(len(rows))
        for active in sorted(self._active.values(), key=lambda item: item.job.priority.value):
            if chunk > 0 and active.unread:
                start = len(active.row.tokens)
                part = active.job.tokens[start : start + chunk]
                chunk -= len(part)
                rows.append(_row(active, part, sample=len(part) == active.unread))
        return tuple(rows)

    def _chunk(self, replies: int) -> int:
        """Prompt tokens for this step: as many as keep it short, for replies and cancellations wait on it."""
        wanted = FIRST_CHUNK if self._token_s is None else int(self.limits.step_s / max(self._token_s, 1e-9))
        return max(0, min(self.limits.step_tokens - replies, max(SMALLEST_CHUNK, wanted)))

    # ---- what came of it -------------------------------------------------------------------------------------

    def _ran(self, event: Ran, now: float) -> list[Action]:
        rows, self._running = self._running, ()
        if event.failed:
            return self._fail(rows, now)
        self._learn(rows, now)
        actions: list[Action] = []
        for sampled in event.sampled:
            active = self._active.get(sampled.job_id)
            if active is None or not active.sampling:
                continue  # cancelled while its step ran
            active.sampling = False
            active.written += 1
            self.statistics.completion_tokens += 1
            if sampled.done:
                actions += self._end(active, "stop", now)
            elif active.written >= active.limit:
                actions += self._end(active, "length", now)
            else:
                active.pending = sampled.token
        return actions

    def _learn(self, rows: tuple[Row, ...], now: float) -> None:
        """What a prompt token costs. A lone token is a reply (or costs as much) and says little about prompts."""
        tokens = sum(len(row.tokens) for row in rows)
        prompt_tokens = sum(len(row.tokens) for row in rows if len(row.tokens) > 1)
        self.statistics.prompt_tokens += prompt_tokens
        if prompt_tokens >= SMALLEST_CHUNK:
            cost = (now - self._running_since) / tokens
            self._token_s = cost if self._token_s is None else 0.7 * self._token_s + 0.3 * cost

    def _fail(self, rows: tuple[Row, ...], now: float) -> list[Action]:
        """The step broke: what its sequences hold is unknown, so their requests end and they are emptied."""
        touched = {row.sequence for row in rows}
        actions: list[Action] = []
        for active in list(self._active.values()):
            if active.row.id in touched:
                touched.discard(active.row.id)
                actions += self._end(active, "failed", now, clear=True)
        return [*actions, *(self._clear(self.sequences.all[number]) for number in sorted(touched))]

    def _lost(self, sequence: int, now: float) -> list[Action]:
        """1. nobody's; 2. a prompt that is read anew; 3. a reply in the middle, which cannot go on."""
        row = self.sequences.all[sequence]
        row.tokens = []
        for active in list(self._active.values()):
            if active.row is not row:
                continue
            if active.written or active.sampling:  # 3
                return self._end(active, "failed", now, clear=True)
            self.statistics.cached_tokens -= active.cached  # 2
            active.cached = 0
        return []  # 1


def _rank(waiting: _Waiting, now: float) -> int:
    aged = waiting.job.priority is Priority.BATCH and now - waiting.since > AGED_AFTER_S
    return Priority.INTERACTIVE.value if aged else waiting.job.priority.value


def _row(active: _Active, tokens: list[int], sample: bool) -> Row:
    """Tokens for the next step. They count as held from now on: the step is going to put them there."""
    row = Row(active.job.id, active.row.id, len(active.row.tokens), tokens, sample)
    active.row.tokens.extend(tokens)
    active.sampling = sample
    return row
