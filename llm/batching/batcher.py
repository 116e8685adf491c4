"""Continuous batching: who is answered, and which tokens go into the next decode step. Pure.

    Submit -> waiting -> Admit -> prompt, in chunks -> one token a step -> End
                 |                   |                       |
                 +------ Cancel -----+------ Cancel ---------+----> End("cancelled")

The engine asks with Next until it gets a Run or nothing, runs what Run says, and reports with Ran. Every step
carries one token of each request that is writing, so that nobody's reply stalls, and as many prompt tokens
beside them as keep the step short. Every job that was submitted ends exactly once, by Refuse or by End.
Time is an argument, in seconds.

Why this file is long: it is one state machine, and its rules keep one set of books.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import assert_never

from llm.batching.drafting import Payoff
from llm.batching.events import (
    Action,
    Adapters,
    Admit,
    CacheRamLimited,
    Cancel,
    Clear,
    Copy,
    Emptied,
    End,
    EndReason,
    Event,
    Forget,
    Job,
    Limits,
    Lost,
    Next,
    Offload,
    Ran,
    Refuse,
    RefuseReason,
    Reload,
    Restored,
    Row,
    Run,
    Submit,
    Trim,
    Wanted,
)
from llm.batching.guessing import guess, judge
from llm.batching.pace import Pace
from llm.batching.requests import Active, Statistics, Waiting, next_row, rank
from llm.batching.sequences import KvSequence, SequenceTable, common_prefix
from llm.messages import Priority

__all__ = ["Batcher", "Statistics"]

FORGOTTEN_S = 60.0
"""A request of a conversation that is over may still be on its way from the socket to here for so long."""
LATE_S = 1.0
"""One that was given up with the conversation may even begin here after that was forgotten, by another connection: it
is kept like any other unless its client turns out to be gone."""
WORTH_WAITING = 64
"""Tokens that another request is about to compute: where those who want them, too, would compute so many more, it is
cheaper to wait."""


class Batcher:
    def __init__(self, limits: Limits) -> None:
        most = limits.places + limits.voice_places
        if limits.sequences < most or limits.step_tokens < most or limits.pool < limits.context:
            raise ValueError("too few sequences, too small a step or too small a pool")
        self.limits = limits
        self.sequences = SequenceTable(limits.sequences, limits.rewind)
        self.statistics = Statistics()
        self._waiting: list[Waiting] = []
        self._active: dict[int, Active] = {}
        self._tidy = True  # nothing idle is to be offloaded
        self._doomed: set[int] = set()  # sequences to empty when their request ends
        self._forgotten: dict[str, float] = {}  # conversations that are over, and since when
        self._unkept: set[int] = set()  # waiting requests of such conversations
        self._running: tuple[Row, ...] = ()
        self._running_since = 0.0
        self._adapters: Adapters = ()  # of the last step
        self._pace = Pace(limits)
        self._payoff = Payoff()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def active(self) -> int:
        return len(self._active)

    @property
    def surplus(self) -> bool:
        """Whether something idle is to be offloaded: ask for it with Next even when there is nothing to run."""
        if not self._tidy:
            self._tidy = not self.limits.offloaded or self._surplus() is None
        return not self._tidy

    @property
    def _reads_voice(self) -> bool:
        return any(active.job.priority is Priority.VOICE and active.unread for active in self._active.values())

    @property
    def reserved(self) -> int:
        """Cells for all that the running requests may ever write."""
        return sum(len(one.job.tokens) + one.job.extra + one.limit for one in self._active.values())

    def step(self, event: Event, now: float) -> list[Action]:
        match event:
            case Submit(job):
                return self._submit(job, now)
            case Cancel(job_id):
                return self._cancel(job_id, now)
            case Forget(conversation):
                return self._forget(conversation, now)
            case Next():
                return self._next(now)
            case Ran():
                return self._ran(event, now)
            case Lost(sequence):
                return self._lost(sequence, now)
            case Restored():
                return self._restored(event, now)
            case Emptied(sequence):
                row = self.sequences.all[sequence]
                return [self._clear(row)] if row.holder is None and row.tokens else []
            case Wanted(sequence):
                return self._wanted(self.sequences.all[sequence])
            case CacheRamLimited(offloaded):
                self.limits = replace(self.limits, offloaded=min(offloaded, self.limits.offloaded))
                self._tidy = False
                return [self._clear(row) for row in self.sequences.too_many(None, self.limits.offloaded)]
            case _:
                assert_never(event)

    # ---- coming and going ------------------------------------------------------------------------------------

    def _submit(self, job: Job, now: float) -> list[Action]:
        voice = job.priority is Priority.VOICE
        if voice:
            self._pace.voice(now)
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
        self._waiting.append(Waiting(job, now))
        if self._since_forgotten_s(job) < 0:
            self._not_kept(self._waiting[-1])
        return []

    def _cancel(self, job_id: int, now: float) -> list[Action]:
        for index, waiting in enumerate(self._waiting):
            if waiting.job.id == job_id:
                del self._waiting[index]
                self._unkept.discard(job_id)
                self.statistics.cancelled += 1
                return [End(job_id, "cancelled", len(waiting.job.tokens), 0, 0)]
        active = self._active.get(job_id)
        return [] if active is None else self._end(active, "cancelled", now)

    def _forget(self, conversation: str, now: float) -> list[Action]:
        """Requests of it that wait, or come late, are answered and leave nothing."""
        self._forgotten = {name: at for name, at in self._forgotten.items() if now < at + FORGOTTEN_S}
        self._forgotten[conversation] = now
        for waiting in self._waiting:
            if waiting.job.conversation == conversation:
                self._not_kept(waiting)
        row = self.sequences.of(conversation)
        if row is None:
            return []
        row.conversation = None
        if row.holder is not None:
            self._doomed.add(row.id)
            return []
        return [self._clear(row)]

    def _since_forgotten_s(self, job: Job) -> float:
        """From the end of its conversation to this request. Negative: it was asked before that."""
        return inf if job.conversation is None else job.asked_at - self._forgotten.get(job.conversation, -inf)

    def _not_kept(self, waiting: Waiting) -> None:
        waiting.job = replace(waiting.job, conversation=None)
        self._unkept.add(waiting.job.id)

    def _end(self, active: Active, reason: EndReason, now: float, clear: bool = False) -> list[Action]:
        del self._active[active.job.id]
        if active.job.priority is Priority.VOICE:
            self._pace.voice(now)
        self.sequences.release(active.row, now)
        self._tidy = False
        self.statistics.cancelled += reason == "cancelled"
        end = End(active.job.id, reason, len(active.job.tokens), active.written, active.cached)
        given_up = reason == "cancelled" and self._since_forgotten_s(active.job) < LATE_S
        if clear or given_up or active.row.id in self._doomed:
            return [self._clear(active.row), end]
        return [end]

    def _clear(self, row: KvSequence) -> Clear:
        self._doomed.discard(row.id)
        row.tokens = []
        row.conversation = None
        row.extra = 0
        row.offloaded = False
        return Clear(row.id)

    def _restored(self, event: Restored, now: float) -> list[Action]:
        """It counts as used now, or it would be the first to go."""
        row = self.sequences.all[event.sequence]
        assert row.holder is None and not row.tokens, "only an empty sequence takes a state"
        self.sequences.hold(row, -1, event.conversation, len(event.tokens), event.tokens, event.adapters)
        self.sequences.release(row, now)
        self._tidy = False
        return []

    def _surplus(self) -> KvSequence | None:
        return self.sequences.surplus(self.limits.resident, self.limits.unowned, self.limits.offloaded)

    # ---- beside the cache ------------------------------------------------------------------------------------

    def _offload(self) -> list[Action]:
        """One sequence at most: a step is waiting for it. Voice turns do not wait."""
        if self._tidy or self._reads_voice:
            return []
        row = self._surplus() if self.limits.offloaded else None
        if row is None:
            self._tidy = True
            return []
        gone = self.sequences.too_many(row, self.limits.offloaded)
        actions: list[Action] = [self._clear(other) for other in gone]
        if row not in gone:
            row.offloaded = True
            self.statistics.offloaded += 1
            actions.append(Offload(row.id))
        return actions

    def _wanted(self, row: KvSequence) -> list[Action]:
        free = self.limits.pool - self.reserved - self.sequences.idle_tokens
        if not row.offloaded or row.size > free:
            return []
        row.offloaded = self._tidy = False
        self.statistics.reloaded += 1
        return [Reload(row.id, row.id)]

    # ---- the next step ---------------------------------------------------------------------------------------

    def _next(self, now: float) -> list[Action]:
        """One admission if there may be one, else one sequence to offload, else the next Run. The engine may answer
        an admission with Lost, and the next one, which may want to copy from it, must know.
        """
        if self._running:
            return []
        if actions := self._admit(now) or self._offload():
            return actions
        self._adapters = self._next_adapters()
        self._running = self._plan(now)
        if not self._running:
            return []
        self._running_since = now
        self.statistics.steps += 1
        self.statistics.widths[len(self._running)] += 1
        return [Run(self._running, self._adapters, self._more())]

    def _admit(self, now: float) -> list[Action]:
        """Move the first of the queue that may start to a sequence.

        By rank, then by arrival: 1. no place of its kind is free: the next may still have one; 2. another is
        computing the beginning they have in common (a system prompt, the same prompt for several choices): in a
        moment it can be shared; 3. room for all it may ever write is reserved, so that no reply is cut off by
        another. Idle sequences are emptied for it; where that is not enough, nobody overtakes it.
        """
        if not self._waiting:
            return []
        voices = sum(active.job.priority is Priority.VOICE for active in self._active.values())
        others = len(self._active) - voices
        places, kept = self.limits.places, self.limits.voice_places
        for waiting in sorted(self._waiting, key=lambda item: rank(item, now)):
            voice = waiting.job.priority is Priority.VOICE
            if (voices + others >= places + kept) if voice else (others + max(0, voices - kept) >= places):  # 1
                continue
            if self._shared_soon(waiting):  # 2
                continue
            actions = self._place(waiting.job)
            if actions is not None:  # 3
                self._waiting.remove(waiting)
            return actions or []
        return []

    def _shared_soon(self, waiting: Waiting) -> bool:
        """Never for one that ranks lower, whose prompt may itself have to wait. Looked for once, then remembered."""
        if waiting.behind is not None:
            leader = self._active.get(waiting.behind[0])
            if leader is not None and leader.unread and len(leader.row.tokens) < waiting.behind[1]:
                return True
        waiting.behind = None
        job = waiting.job
        if not self.sequences.rewind or len(job.tokens) < WORTH_WAITING:
            return False
        head = job.tokens[:-1]
        most = 0
        for active in self._active.values():
            first = active.job.priority.value <= job.priority.value
            if active.unread > 1 and first and active.job.adapters == job.adapters:
                common = common_prefix(active.job.tokens, head)
                if common > max(most, len(active.row.tokens)):
                    most, waiting.behind = common, (active.job.id, common)
        if waiting.behind is None:
            return False
        place = self.sequences.place(job.tokens, job.conversation, job.adapters)
        if place is None or self._again(waiting, most, most - place.keep) < WORTH_WAITING:
            waiting.behind = None
        return waiting.behind is not None

    def _again(self, waiting: Waiting, common: int, left: int) -> int:
        """Tokens that would be computed more than once if all who have this beginning in common began now, and were
        without its last `left` tokens: one reader after the other may come too late for a few of them."""
        if left <= 0 or left >= WORTH_WAITING:
            return left
        beginning, adapters = waiting.job.tokens[:common], waiting.job.adapters
        jobs = [other.job for other in self._waiting] + [other.job for other in self._active.values() if other.unread]
        alike = sum(job.tokens[:common] == beginning and job.adapters == adapters for job in jobs)
        return (alike - 1) * left  # the first reader's are no repetition

    def _place(self, job: Job) -> list[Action] | None:
        place = self.sequences.place(job.tokens, job.conversation, job.adapters)
        assert place is not None, "there are as many sequences as places"
        row, donor = place.sequence, place.donor
        limit = self.limits.context - len(job.tokens)
        limit = limit if job.max_tokens is None else max(1, min(limit, job.max_tokens))
        needed = len(job.tokens) + job.extra + limit
        offloaded = donor if donor is not None else row if place.keep else None
        offloaded = offloaded if offloaded is not None and offloaded.offloaded else None
        victims = self._make_room(needed if offloaded is None else max(needed, offloaded.size), row, donor)
        if victims is None:
            return None
        actions: list[Action] = [self._clear(victim) for victim in victims if victim is not donor]
        if row.tokens and place.clear:
            actions.append(Clear(row.id))
        if offloaded is not None:
            self.statistics.reloaded += 1
            actions.append(Reload(offloaded.id, row.id))
            if place.keep < len(offloaded.tokens):
                actions.append(Trim(row.id, place.keep))
        elif not place.clear and place.keep < len(row.tokens):
            actions.append(Trim(row.id, place.keep))
        if donor is not None and offloaded is None:
            actions.append(Copy(donor.id, row.id, place.keep))
            if donor in victims:
                actions.append(self._clear(donor))
        if job.id in self._unkept:
            self._unkept.discard(job.id)
            self._doomed.add(row.id)
        self.sequences.hold(row, job.id, job.conversation, place.keep, job.tokens, job.adapters, job.extra)
        self._active[job.id] = Active(job, row, place.keep, limit)
        self.statistics.cached_tokens += place.keep
        return [*actions, Admit(job.id, row.id, place.keep)]

    def _make_room(self, needed: int, row: KvSequence, donor: KvSequence | None) -> list[KvSequence] | None:
        """The idle sequences to empty so that `needed` tokens fit; None if they do not fit even then.

        The donor goes last: it is emptied after the copy, which then holds the only reference to its tokens.
        """
        free = self.limits.pool - self.reserved - needed
        if free < 0:
            return None
        victims: list[KvSequence] = []
        idle = self.sequences.idle_tokens - row.cells
        while idle > free:
            victim = self.sequences.victim((row, donor, *victims)) or donor
            assert victim is not None, "the idle tokens are somebody's"
            idle -= victim.cells
            victims.append(victim)
        return victims

    def _next_adapters(self) -> Adapters:
        """One pass over the weights knows one set of adapters: requests with different ones take turns."""
        wanted = list(
            dict.fromkeys(one.job.adapters for one in self._active.values() if one.unread or one.pending is not None)
        )
        if len(wanted) < 2:
            return wanted[0] if wanted else self._adapters
        after = wanted.index(self._adapters) + 1 if self._adapters in wanted else 0
        return wanted[after % len(wanted)]

    def _plan(self, now: float) -> tuple[Row, ...]:
        """One token of every reply; then prompts, by priority and arrival, as far as the chunk reaches.

        While the prompt of a voice turn is read, it is alone with other voice turns, for a moment.
        """
        rows: list[Row] = []
        mine = [active for active in self._active.values() if active.job.adapters == self._adapters]
        if self._pace.makes_way(mine, now):
            mine = [active for active in mine if active.job.priority is Priority.VOICE]
        alone = len(self._active) == 1 and not self._waiting
        for active in mine:
            if active.pending is not None:
                ahead = guess(active, active.pending, self.limits, self.statistics, self._payoff, alone)
                rows.append(next_row(active, [active.pending, *ahead], sample=True, guessed=len(ahead)))
                active.pending = None
        chunk, others = self._pace.chunks(len(rows), now)
        shown = False
        for active in sorted(mine, key=lambda item: item.job.priority.value):
            room = chunk if active.job.priority is Priority.VOICE else min(chunk, others)
            if room <= 0 or not active.unread:
                continue
            start = len(active.row.tokens)
            number, media = active.next_media(start)
            if media is not None and media.start <= start:  # whole, and one of them a step: it takes its time
                if not shown:
                    part = active.job.tokens[start : media.start + media.count]
                    rows.append(next_row(active, part, sample=False, media=number))
                    shown = True
                    chunk -= media.cells
                    others -= media.cells
                continue
            end = len(active.job.tokens) if media is None else media.start
            part = active.job.tokens[start : min(start + room, end)]
            chunk -= len(part)
            others -= len(part)
            rows.append(next_row(active, part, sample=len(part) == active.unread))
        return tuple(rows)

    def _more(self) -> int:
        """Steps that may follow the one that was just planned: while all there is to do is to write these replies."""
        writing = len(self._running) == len(self._active) and not self._waiting
        if not writing or any(
            len(row.tokens) > 1 or not row.sample or row.media is not None for row in self._running
        ):
            return 0
        left = min(active.limit - active.written for active in self._active.values())
        guessing = self._payoff.wanted and any(active.lookup is not None for active in self._active.values())
        return min(self._pace.burst(guessing), left) - 1

    # ---- what came of it -------------------------------------------------------------------------------------

    def _ran(self, event: Ran, now: float) -> list[Action]:
        rows, self._running = self._running, ()
        if event.failed:
            return self._fail(rows, now)
        self.statistics.preempted += event.preempted
        if event.preempted and not event.sampled:
            return self._undo(rows)
        steps = 1 + max((len(sampled.read) for sampled in event.sampled), default=0)
        self.statistics.prompt_tokens += self._pace.ran(rows, now - self._running_since, steps)
        self.statistics.steps += steps - 1
        self.statistics.widths[len(rows)] += steps - 1
        actions: list[Action] = []
        for sampled in event.sampled:
            active = self._active.get(sampled.job_id)
            if active is None or not active.sampling:
                continue  # cancelled while its step ran
            if sampled.broken:
                actions += self._end(active, "failed", now, clear=True)
                continue
            active.sampling = False
            active.row.tokens.extend(sampled.read)
            written = 1 + sampled.right + len(sampled.read)
            active.written += written
            self.statistics.completion_tokens += written
            actions += judge(active, rows, sampled, self.statistics, self._payoff, now - self._running_since)
            if sampled.done:
                actions += self._end(active, "stop", now)
            elif active.written >= active.limit:
                actions += self._end(active, "length", now)
            else:
                active.pending = sampled.token
        return actions

    def _fail(self, rows: tuple[Row, ...], now: float) -> list[Action]:
        """The step broke: what its sequences hold is unknown, so their requests end and they are emptied."""
        touched = {row.sequence for row in rows}
        actions: list[Action] = []
        for active in list(self._active.values()):
            if active.row.id in touched:
                touched.discard(active.row.id)
                actions += self._end(active, "failed", now, clear=True)
        return [*actions, *(self._clear(self.sequences.all[number]) for number in sorted(touched))]

    def _undo(self, rows: tuple[Row, ...]) -> list[Action]:
        """As if the step had never been planned; a request may have ended in the meantime."""
        self.statistics.steps -= 1
        self.statistics.widths[len(rows)] -= 1
        actions: list[Action] = []
        for row in rows:
            held = self.sequences.all[row.sequence]
            del held.tokens[row.start :]
            active = self._active.get(row.job_id)
            if active is not None:
                active.sampling = False
                active.pending = row.tokens[0] if active.written else None
                self.statistics.guessed_tokens -= row.guessed
            elif not held.tokens:
                actions.append(self._clear(held))
        return actions

    def _lost(self, sequence: int, now: float) -> list[Action]:
        """1. nobody's; 2. a prompt that is read anew; 3. a reply in the middle, which cannot go on."""
        row = self.sequences.all[sequence]
        row.tokens = []
        row.offloaded = False
        for active in list(self._active.values()):
            if active.row is not row:
                continue
            if active.written or active.sampling:  # 3
                return self._end(active, "failed", now, clear=True)
            self.statistics.cached_tokens -= active.cached  # 2
            active.cached = 0
        return []  # 1
