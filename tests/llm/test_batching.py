"""The batcher against a model of the KV cache: rules for single cases, and random walks over any order of events.

Why this file is long: one batcher's rules, and the random walk that must keep all of them, share one small engine.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llm.batching.batcher import Batcher
from llm.batching.events import (
    Admit,
    Cancel,
    Clear,
    Copy,
    End,
    Fetch,
    Forget,
    Job,
    Limits,
    Lost,
    Media,
    Next,
    Ran,
    Refuse,
    Run,
    Sampled,
    Stow,
    Submit,
    Trim,
    Wanted,
)
from llm.messages import Priority

VOICE, CHAT, BATCH = Priority.VOICE, Priority.INTERACTIVE, Priority.BATCH


def limits(**changes: object) -> Limits:
    values: dict[str, object] = {
        "places": 2,
        "voice_places": 1,
        "sequences": 5,
        "context": 100,
        "pool": 1000,
        "step_tokens": 32,
        "queue": 4,
    }
    return Limits(**(values | changes))  # type: ignore[arg-type]


class Engine:
    """Does to lists what llama.cpp does to its KV cache. Each list item is (cell, token); copies share cells."""

    def __init__(self, of: Limits, keeps_states: bool = True) -> None:
        self.batcher = Batcher(of)
        self.kv: dict[int, list[tuple[int, int]]] = {number: [] for number in range(of.sequences)}
        self.stowed: dict[int, list[tuple[int, int]]] = {}
        self.jobs: dict[int, Job] = {}
        self.written: dict[int, list[int]] = {}
        self.ended: dict[int, End | Refuse] = {}
        self.admitted: dict[int, Admit] = {}
        self.running: Run | None = None
        self.keeps_states = keeps_states
        self.disturbed = False  # somebody came or went while the step ran
        self.now = 0.0
        self._cells = 0

    def submit(self, number: int, tokens: list[int], **more: object) -> None:
        self.jobs[number] = Job(number, tokens, **more)  # type: ignore[arg-type]
        self.written[number] = []
        self.tell(Submit(self.jobs[number]))

    def tell(self, event: object) -> None:
        self.disturbed = not isinstance(event, Next | Ran)
        for action in self.batcher.step(event, self.now):  # type: ignore[arg-type]
            match action:
                case Refuse(job_id) | End(job_id):
                    assert job_id not in self.ended, "ended twice"
                    self.ended[job_id] = action
                case Admit(job_id):
                    self.admitted[job_id] = action
                case Clear(sequence):
                    self.kv[sequence] = []
                    self.stowed.pop(sequence, None)
                case Stow(sequence):
                    assert self.kv[sequence] and sequence not in self.stowed
                    self.stowed[sequence], self.kv[sequence] = self.kv[sequence], []
                case Fetch(source, target):
                    assert not self.kv[target]
                    self.kv[target] = [(self._new_cell(), token) for _, token in self.stowed[source]]
                    if source == target:
                        del self.stowed[source]
                case Trim(sequence, keep):
                    assert keep < len(self.kv[sequence])
                    self.kv[sequence] = self.kv[sequence][:keep]
                    if not self.keeps_states:
                        self.kv[sequence] = []
                        self.tell(Lost(sequence))
                case Copy(source, target, count):
                    assert not self.kv[target] and count <= len(self.kv[source])
                    self.kv[target] = self.kv[source][:count]
                case Run():
                    assert self.running is None
                    self.running = action

    def next(self) -> Run | None:
        """Ask until there is a step or nothing to do; check the step and put its tokens into the cache."""
        while self.running is None:
            before = len(self.admitted), self.batcher.sequences.idle_tokens
            self.tell(Next())
            after = len(self.admitted), self.batcher.sequences.idle_tokens
            if self.running is None and after == before:
                return None
        self._check(self.running)
        return self._put(self.running)

    def next_unchecked(self) -> Run | None:
        """The same for prompts with images, which are larger than a step."""
        while self.running is None:
            self.tell(Next())
        return self._put(self.running)

    def _put(self, run: Run) -> Run:
        for row in run.rows:
            for token in row.tokens:
                self.kv[row.sequence].append((self._new_cell(), token))
        return run

    def _new_cell(self) -> int:
        self._cells += 1
        return self._cells

    def _check(self, run: Run) -> None:
        of = self.batcher.limits
        assert 0 < sum(len(row.tokens) for row in run.rows) <= of.step_tokens
        assert len({row.sequence for row in run.rows}) == len(run.rows), "a sequence twice in a step"
        for row in run.rows:
            assert row.tokens
            job = self.jobs[row.job_id]
            held = [token for _, token in self.kv[row.sequence]]
            assert row.start == len(held), "a hole in the positions"
            sure = row.tokens[: len(row.tokens) - row.guessed]
            assert (held + sure) == (job.tokens + self.written[row.job_id])[: row.start + len(sure)]
            assert row.sample == (row.start + len(sure) == len(job.tokens) + len(self.written[row.job_id]))
            assert not row.guessed or (row.sample and job.draft and len(run.rows) == 1 and len(self.alive()) == 1)
            assert row.guessed <= of.draft and (of.rewind or not row.guessed)
            assert row.start + len(row.tokens) <= of.context

    def ran(
        self,
        done: frozenset[int] = frozenset(),
        failed: bool = False,
        seconds: float = 0.01,
        more: int = 0,
        preempted: bool = False,
    ) -> None:
        """The step is over, and as many of those that may follow it as there may be of `more`."""
        run, self.running = self.running, None
        assert run is not None
        more = 0 if failed or self.disturbed else min(more, run.more)
        self.now += seconds * (1 + more)
        sampled = []
        for row in run.rows:
            if row.sample and not failed:
                read = tuple(self._says(row.job_id) for _ in range(more))
                self.kv[row.sequence] += [(self._new_cell(), token) for token in read]
                guess, right = row.tokens[len(row.tokens) - row.guessed :], 0
                token = self._says(row.job_id)
                while row.job_id not in done and right < len(guess) and guess[right] == token:
                    right += 1
                    token = self._says(row.job_id)
                sampled.append(Sampled(row.job_id, token, row.job_id in done, right, read))
        self.tell(Ran(tuple(sampled), failed, preempted and more > 0))

    def preempted(self) -> None:
        """The step was broken off, and what it had put into the cache is gone."""
        run, self.running = self.running, None
        assert run is not None
        for row in run.rows:
            del self.kv[row.sequence][row.start :]
        self.tell(Ran(preempted=True))

    def _says(self, number: int) -> int:
        """The model's next token. Where tokens are guessed it repeats itself, but not always."""
        written = self.written[number]
        token = 1000 + number
        if self.batcher.limits.draft:
            token += len(written) % 3 if len(written) % 11 else 7
        written.append(token)
        return token

    def alive(self) -> list[int]:
        return [number for number in self.jobs if number not in self.ended]

    def finish(self) -> None:
        for _ in range(5000):
            if self.running is None and self.next() is None:
                return
            self.ran()
        raise AssertionError("it never comes to an end")

    def cells(self) -> int:
        return len({cell for held in self.kv.values() for cell, _ in held})


def test_eight_requests_are_decoded_together() -> None:
    engine = Engine(limits(places=8, sequences=9, queue=8))
    for number in range(8):
        engine.submit(number, [number + 1, 2], max_tokens=5)
    engine.finish()
    assert engine.batcher.statistics.widths[8] >= 4
    assert all(end.reason == "length" and end.completion_tokens == 5 for end in engine.ended.values())  # type: ignore[union-attr]


def test_quick_steps_of_replies_follow_each_other_at_once_while_nobody_else_comes() -> None:
    engine = Engine(limits(places=2, context=200))
    engine.submit(1, [1, 2], max_tokens=50)
    engine.submit(2, [3, 4], max_tokens=30)
    engine.next()
    engine.ran(seconds=0.001)
    run = engine.next()
    assert run is not None and run.more == 0, "how long a step takes is not known yet"
    engine.ran(seconds=0.005)
    run = engine.next()
    assert run is not None and run.more == 9
    engine.ran(seconds=0.001, more=9)
    assert len(engine.written[1]) == len(engine.written[2]) == 12
    assert engine.batcher.statistics.widths[2] == 12
    engine.submit(3, [5, 6], priority=VOICE, max_tokens=1)
    run = engine.next()
    assert run is not None and run.more == 0, "somebody else's prompt is to be read"
    while len(engine.written[2]) < 28:
        engine.ran(seconds=0.001)
        run = engine.next()
    assert run is not None and run.more == 1, "one of them has two tokens left"
    engine.ran(seconds=0.001, more=9)
    assert engine.ended[2].completion_tokens == 30  # type: ignore[union-attr]
    engine.next()
    engine.ran(seconds=0.1)
    run = engine.next()
    assert run is not None and run.more == 0, "steps are slow now"


def test_a_long_prompt_goes_in_chunks_beside_a_running_reply_that_gets_a_token_in_every_step() -> None:
    engine = Engine(limits(context=500, pool=1000))
    engine.submit(1, [1, 2, 3])
    engine.next()
    engine.ran()
    engine.submit(2, [7] * 200, max_tokens=1)
    while 2 not in engine.ended:
        run = engine.next()
        assert run is not None and run.rows[0].job_id == 1 and len(run.rows[0].tokens) == 1
        assert sum(len(row.tokens) for row in run.rows) <= 32
        engine.ran()
    assert len(engine.written[1]) >= 200 / 31


def test_a_slow_machine_gets_smaller_chunks_and_a_fast_one_larger() -> None:
    def chunk(seconds: float) -> int:
        engine = Engine(limits(context=5000, pool=5000, step_tokens=512))
        engine.submit(1, list(range(4000)))
        sizes = []
        for _ in range(6):
            run = engine.next()
            assert run is not None
            sizes.append(len(run.rows[0].tokens))
            engine.ran(seconds=seconds * sizes[-1])
        assert sizes[0] == 64
        return sizes[-1]

    assert chunk(0.01) == 16
    assert chunk(0.001) == 100
    assert chunk(0.00001) == 512


def test_where_wide_steps_are_cheap_nothing_narrower_is_read() -> None:
    def sizes(wide_s: float, narrow_s: float) -> set[int]:
        engine = Engine(limits(context=5000, pool=5000, step_tokens=512))
        engine.submit(0, [9], priority=VOICE, max_tokens=1)
        engine.finish()
        engine.submit(1, list(range(4000)))
        found = []
        for _ in range(12):
            run = engine.next()
            assert run is not None
            found.append(len(run.rows[0].tokens))
            engine.ran(seconds=(wide_s if found[-1] >= 64 else narrow_s) * found[-1])
        return set(found[6:])

    assert sizes(0.0022, 0.0120) == {64}
    assert sizes(0.1, 0.12) == {8}


def test_a_voice_prompt_is_read_alone_but_not_for_long() -> None:
    engine = Engine(limits(places=2, voice_places=1, sequences=4, step_tokens=16))
    engine.submit(1, [1, 2], priority=CHAT)
    engine.next()
    engine.ran(seconds=0.1)
    engine.submit(2, list(range(90)), priority=VOICE)
    with_chat = []
    for _ in range(6):
        run = engine.next()
        assert run is not None
        with_chat.append(any(row.job_id == 1 for row in run.rows))
        engine.ran(seconds=0.1)
    assert not any(with_chat[:3]) and any(with_chat[3:])


def test_a_common_beginning_that_is_being_read_is_waited_for() -> None:
    engine = Engine(limits(places=3, sequences=4, context=300, step_tokens=32))
    head = list(range(200))
    for number in range(3):
        engine.submit(number, [*head, 1000 + number], priority=CHAT)
    engine.submit(3, [5, 6], priority=VOICE)
    engine.next()
    assert set(engine.admitted) == {0, 3}, "the others wait for the first, and nobody waits for them"
    while len(engine.admitted) < 4:
        engine.ran()
        assert engine.next() is not None
    assert [engine.admitted[number].cached for number in (0, 1, 2)] == [0, 200, 200]


@pytest.mark.parametrize(("others", "waits"), [(1, False), (2, True), (6, True)])
def test_the_end_of_a_beginning_is_waited_for_where_many_would_compute_it(others: int, waits: bool) -> None:
    engine = Engine(limits(places=8, sequences=9, context=300, step_tokens=64, queue=8))
    head = list(range(96))
    engine.submit(0, [*head, 1000], priority=CHAT)
    engine.next()
    for number in range(1, 1 + others):  # while the first 64 are being computed
        engine.submit(number, [*head, 1000 + number], priority=CHAT)
    engine.ran()
    assert engine.next() is not None
    computed = {number: len(head) - one.cached for number, one in engine.admitted.items()}
    assert computed == {0: 96} if waits else {0: 96, 1: 32}
    engine.finish()
    assert sum(len(head) - one.cached for one in engine.admitted.values()) == (96 if waits else 96 + 32)


def test_who_waits_for_a_beginning_goes_on_when_its_reader_is_gone() -> None:
    engine = Engine(limits(places=3, sequences=4, context=300, step_tokens=32))
    head = list(range(200))
    engine.submit(0, [*head, 1], priority=CHAT)
    engine.submit(1, [*head, 2], priority=CHAT)
    engine.next()
    engine.ran()
    engine.tell(Cancel(0))
    engine.next()
    assert 1 in engine.admitted and engine.admitted[1].cached == 32


def test_requests_with_other_adapters_take_turns_and_share_nothing() -> None:
    engine = Engine(limits(places=2, sequences=4, context=100))
    engine.submit(0, list(range(40)), priority=CHAT)
    engine.submit(1, list(range(40)), priority=CHAT, adapters=((0, 1.0),))
    seen = []
    for _ in range(8):
        run = engine.next()
        assert run is not None and len({engine.jobs[row.job_id].adapters for row in run.rows}) == 1
        assert run.adapters == engine.jobs[run.rows[0].job_id].adapters
        seen.append(run.rows[0].job_id)
        engine.ran()
    assert seen == [1, 0] * 4 or seen == [0, 1] * 4
    assert engine.admitted[1].cached == 0


def test_an_image_goes_into_the_cache_whole_and_alone() -> None:
    engine = Engine(limits(places=2, sequences=4, context=100, step_tokens=8))
    image = tuple(range(-20, 0))
    engine.submit(0, [1, 2, 3, *image, 4, 5], priority=CHAT, media=(Media(3, 20, 20),))
    engine.submit(1, [7, 8, *image, 9], priority=CHAT, media=(Media(2, 20, 30),))
    shown = []
    for _ in range(12):
        run = engine.next_unchecked()
        assert run is not None
        media = [row for row in run.rows if row.media is not None]
        assert len(media) <= 1 and all(row.tokens == list(image) and not row.sample for row in media)
        shown += [row.job_id for row in media]
        engine.ran()
    assert sorted(shown) == [0, 1]


def test_voice_first_and_with_places_of_its_own() -> None:
    engine = Engine(limits(places=2, voice_places=1, sequences=4))
    engine.submit(1, [1, 2], priority=BATCH)
    engine.submit(2, [3, 4], priority=BATCH)
    engine.submit(3, [5, 6], priority=BATCH)
    engine.submit(4, [5, 6], priority=CHAT)
    engine.submit(5, [7, 8], priority=VOICE)
    engine.next()
    assert set(engine.admitted) == {5, 4, 1}  # voice in its own place, then the chat, then the first of the batch
    engine.ran()  # the voice turn's prompt is read alone
    engine.next()
    engine.ran(done=frozenset({4}))
    engine.submit(6, [7, 8], priority=VOICE)
    engine.next()
    assert 6 in engine.admitted and 2 not in engine.admitted
    engine.ran(done=frozenset({5, 6}))
    engine.next()
    assert 2 in engine.admitted and 3 not in engine.admitted


def test_batch_work_that_waits_long_is_not_starved() -> None:
    engine = Engine(limits(places=1, voice_places=0))
    engine.submit(1, [1], priority=CHAT)
    engine.next()
    engine.submit(2, [2], priority=BATCH)
    engine.now += 31.0
    engine.submit(3, [3], priority=CHAT)
    engine.ran(done=frozenset({1}))
    engine.next()
    assert 2 in engine.admitted and 3 not in engine.admitted


def test_the_queue_is_bounded_for_each_kind() -> None:
    engine = Engine(limits(queue=2))
    for number in range(3):
        engine.submit(number, [1], priority=BATCH)
    assert engine.ended == {2: Refuse(2, "queue_full")}
    engine.submit(9, [1], priority=VOICE)
    assert 9 not in engine.ended


@pytest.mark.parametrize(("tokens", "why"), [([], "empty"), ([1] * 100, "too_long"), ([1] * 500, "too_long")])
def test_prompts_that_cannot_be(tokens: list[int], why: str) -> None:
    engine = Engine(limits())
    engine.submit(1, tokens)
    assert engine.ended == {1: Refuse(1, why)}  # type: ignore[arg-type]


def test_a_reply_that_fills_the_context_ends_by_length() -> None:
    engine = Engine(limits())
    engine.submit(1, [5] * 90)
    engine.finish()
    assert engine.ended[1] == End(1, "length", 90, 10, 0)


def test_the_next_turn_costs_only_its_new_tokens() -> None:
    engine = Engine(limits())
    engine.submit(1, [1, 2, 3], conversation="c", max_tokens=4)
    engine.finish()
    reply = engine.written[1]
    engine.submit(2, [1, 2, 3, *reply, 8, 9], conversation="c", max_tokens=1)
    engine.finish()
    # The last token written was never decoded, so it is new together with the two of the user.
    assert engine.ended[2] == End(2, "length", 9, 1, 6)


def test_after_an_interruption_the_common_part_is_kept() -> None:
    engine = Engine(limits())
    engine.submit(1, [1, 2, 3], conversation="c", max_tokens=50)
    for _ in range(6):
        engine.next()
        engine.ran()
    engine.tell(Cancel(1))
    assert engine.ended[1] == End(1, "cancelled", 3, 6, 0)
    heard = engine.written[1][:2]
    engine.submit(2, [1, 2, 3, *heard, 77, 8, 9], conversation="c", max_tokens=1)
    engine.finish()
    assert engine.ended[2] == End(2, "length", 8, 1, 5)


def test_a_forgotten_conversation_leaves_nothing() -> None:
    engine = Engine(limits())
    engine.submit(1, [1, 2, 3], conversation="c", max_tokens=2)
    engine.finish()
    assert engine.cells() > 0
    engine.tell(Forget("c"))
    assert engine.cells() == 0
    engine.submit(2, [1, 2, 3], conversation="c", max_tokens=9)
    engine.next()
    engine.tell(Forget("c"))
    assert engine.cells() > 0
    engine.ran()
    engine.finish()
    assert engine.cells() == 0 and engine.batcher.sequences.of("c") is None


def test_a_request_that_waits_or_comes_late_leaves_nothing_of_a_forgotten_conversation() -> None:
    engine = Engine(limits())
    engine.submit(1, [1, 2, 3], conversation="c", max_tokens=2)
    engine.tell(Forget("c"))
    engine.submit(2, [1, 2, 3, 4], conversation="c", max_tokens=2, asked_at=engine.now - 0.1)
    engine.submit(3, [7, 8, 9], conversation="c", max_tokens=2, asked_at=engine.now - 0.1)
    engine.tell(Cancel(3))
    engine.finish()
    assert engine.ended[1] == End(1, "length", 3, 2, 0) and engine.ended[2].reason == "length"
    assert engine.cells() == 0 and engine.batcher.sequences.of("c") is None
    engine.submit(5, [1, 2, 3], conversation="c", max_tokens=200, asked_at=engine.now + 0.1)
    engine.next()
    engine.ran()
    assert engine.cells() > 0
    engine.tell(Cancel(5))
    assert engine.cells() == 0, "given up before, but its connection was looked at later"
    engine.submit(4, [1, 2, 3], conversation="c", max_tokens=2, asked_at=engine.now + 0.2)
    engine.finish()
    assert engine.cells() > 0 and engine.batcher.sequences.of("c") is not None


def test_a_step_that_fails_ends_its_requests_and_nobody_elses() -> None:
    engine = Engine(limits(step_tokens=32, context=90))
    engine.submit(1, [1] * 40)
    engine.submit(2, [2] * 40)
    engine.next()  # only tokens of 1 fit
    engine.ran(failed=True)
    assert engine.ended == {1: End(1, "failed", 40, 0, 0)}
    engine.finish()
    assert engine.ended[2].reason == "length"  # type: ignore[union-attr]


def test_a_state_that_cannot_be_cut_is_computed_anew() -> None:
    engine = Engine(limits(), keeps_states=False)
    engine.submit(1, [1, 2, 3], conversation="c", max_tokens=3)
    engine.finish()
    engine.submit(2, [1, 2, 9, 9], conversation="c", max_tokens=1)
    engine.finish()
    assert engine.ended[2] == End(2, "length", 4, 1, 0)


def test_a_reply_that_loses_its_state_fails_and_nobody_elses() -> None:
    engine = Engine(limits())
    for number in (1, 2):
        engine.submit(number, [number, 2, 3], max_tokens=5)
    engine.next()
    engine.ran()
    lost = engine.admitted[1].sequence
    engine.kv[lost] = []
    engine.tell(Lost(lost))
    assert engine.ended == {1: End(1, "failed", 3, 1, 0)}
    engine.finish()
    assert engine.ended[2].reason == "length"  # type: ignore[union-attr]


def test_a_reply_that_is_alone_is_guessed_ahead_and_is_the_same() -> None:
    steps = {}
    for draft in (0, 8):
        engine = Engine(limits(context=400, draft=draft))
        engine.submit(1, [5, 6, 7], max_tokens=200)
        if draft:
            engine.finish()
            counted = engine.batcher.statistics
            assert 100 < counted.right_tokens < counted.guessed_tokens
        else:
            engine.finish()
        end = engine.ended[1]
        assert isinstance(end, End) and (end.reason, end.completion_tokens) == ("length", 200)
        assert len(engine.written[1]) == 200
        steps[draft] = engine.batcher.statistics.steps
    assert steps[8] < steps[0] / 2


def test_nothing_is_guessed_beside_others_nor_where_it_may_not_be() -> None:
    engine = Engine(limits(context=400, draft=8))
    engine.submit(1, [5, 6, 7], max_tokens=100)
    engine.submit(2, [5, 6, 8], max_tokens=100)
    for _ in range(60):
        engine.next()
        engine.ran()
    assert engine.batcher.statistics.guessed_tokens == 0
    engine.tell(Cancel(2))
    engine.finish()
    assert engine.batcher.statistics.right_tokens > 10, "alone again"
    for changes, job in (({"rewind": False}, {}), ({}, {"draft": False})):
        engine = Engine(limits(context=400, draft=8, **changes))
        engine.submit(1, [5, 6, 7], max_tokens=100, **job)
        engine.finish()
        assert engine.batcher.statistics.guessed_tokens == 0


def test_a_small_pool_serves_one_after_the_other_and_loses_nothing() -> None:
    engine = Engine(limits(places=4, sequences=6, pool=100))
    for number in range(4):
        engine.submit(number, [number + 1] * 30, max_tokens=40, conversation=str(number))
    engine.finish()
    assert sorted(engine.ended) == [0, 1, 2, 3]


def test_what_lies_idle_is_stowed_and_comes_back_for_its_next_turn() -> None:
    engine = Engine(limits(resident=20, stowed=50))
    for number, name in enumerate("abcd"):
        engine.now += 1.0
        engine.submit(number, [*range(10 * number, 10 * number + 9)], conversation=name, max_tokens=2)
        engine.finish()
    rows = {row.conversation: row for row in engine.batcher.sequences.all}
    assert [rows[name].stowed for name in "abcd"] == [True, True, False, False]
    assert engine.cells() == 20 and not engine.batcher.surplus
    engine.submit(9, [*range(9), *engine.written[0], 77], conversation="a", max_tokens=1)
    engine.finish()
    assert engine.ended[9] == End(9, "length", 12, 1, 10)
    assert rows["b"].stowed and rows["c"].stowed and not rows["a"].stowed


def test_a_stowed_beginning_is_shared_and_stays_where_it_is() -> None:
    engine = Engine(limits(resident=0, stowed=100))
    engine.submit(1, list(range(40)), conversation="a", max_tokens=1)
    engine.finish()
    engine.submit(2, [*range(30), 99], conversation="b", max_tokens=1)
    engine.finish()
    assert engine.admitted[2].cached == 30
    rows = {row.conversation: row for row in engine.batcher.sequences.all}
    assert rows["a"].stowed and len(rows["a"].tokens) == 40


def test_of_what_belongs_to_no_conversation_less_stays_in_the_cache() -> None:
    engine = Engine(limits(resident=100, nobodys=30, stowed=100))
    for number, name in enumerate(("a", None, None, "b")):
        engine.now += 1.0
        engine.submit(number, [number] * 19, conversation=name, max_tokens=2)
        engine.finish()
    rows = sorted((row for row in engine.batcher.sequences.all if row.tokens), key=lambda row: row.tokens)
    assert [row.stowed for row in rows] == [False, True, False, False]
    engine.submit(9, [*[1] * 19, *engine.written[1], 77], max_tokens=1)
    engine.finish()
    assert engine.ended[9] == End(9, "length", 22, 1, 20)


def test_no_more_is_stowed_than_there_is_room_for() -> None:
    engine = Engine(limits(resident=0, stowed=25))
    for number, name in enumerate("abc"):
        engine.now += 1.0
        engine.submit(number, [number] * 10, conversation=name, max_tokens=1)
        engine.finish()
    assert [row.conversation for row in engine.batcher.sequences.all if row.tokens] == ["b", "c"]
    engine.submit(9, [9] * 40, conversation="d", max_tokens=1)
    engine.finish()
    (d,) = (row for row in engine.batcher.sequences.all if row.conversation == "d")
    assert not d.stowed and not engine.batcher.surplus, "larger than all that may be stowed: it stays in the cache"
    engine.submit(10, [*[9] * 40, *engine.written[9], 8], conversation="d", max_tokens=1)
    engine.finish()
    assert engine.admitted[10].cached == 40


def test_limits_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError):
        Batcher(limits(sequences=2))
    with pytest.raises(ValueError):
        Batcher(limits(pool=50))
    with pytest.raises(ValueError):
        Batcher(limits(step_tokens=2))


class Walk(RuleBasedStateMachine):
    """Any order of everything. The engine checks every step; the invariants check what lies between."""

    @initialize(
        places=st.integers(1, 4),
        voice=st.integers(0, 2),
        spare=st.integers(0, 3),
        context=st.integers(8, 60),
        pool=st.integers(0, 200),
        step=st.integers(8, 40),
        queue=st.integers(1, 5),
        rewind=st.booleans(),
        keeps=st.booleans(),
        draft=st.sampled_from([0, 1, 6]),
        resident=st.integers(0, 60),
        nobodys=st.integers(0, 60),
        stowed=st.sampled_from([0, 20, 100]),
    )
    def begin(
        self,
        places: int,
        voice: int,
        spare: int,
        context: int,
        pool: int,
        step: int,
        queue: int,
        rewind: bool,
        keeps: bool,
        draft: int,
        resident: int,
        nobodys: int,
        stowed: int,
    ) -> None:
        sequences = places + voice + spare
        of = Limits(places, voice, sequences, context, context + pool, step, queue, rewind=rewind, draft=draft)
        of = replace(of, resident=resident, nobodys=nobodys, stowed=stowed)
        self.engine = Engine(of, keeps)
        self.count = 0

    @rule(
        head=st.integers(0, 40),
        tail=st.lists(st.integers(0, 2), max_size=30),
        priority=st.sampled_from(list(Priority)),
        conversation=st.sampled_from([None, "a", "b", "c"]),
        max_tokens=st.none() | st.integers(1, 20),
    )
    def submit(
        self, head: int, tail: list[int], priority: Priority, conversation: str | None, max_tokens: int | None
    ) -> None:
        self.count += 1
        tokens = [*range(head), *tail]
        self.engine.submit(self.count, tokens, priority=priority, conversation=conversation, max_tokens=max_tokens)

    @rule(number=st.integers(1, 40))
    def cancel(self, number: int) -> None:
        self.engine.tell(Cancel(number))

    @rule(conversation=st.sampled_from(["a", "b", "c"]))
    def forget(self, conversation: str) -> None:
        self.engine.tell(Forget(conversation))

    @rule(sequence=st.integers(0, 8))
    def wanted(self, sequence: int) -> None:
        if sequence < len(self.engine.batcher.sequences.all):
            self.engine.tell(Wanted(sequence))

    @rule()
    def more(self) -> None:
        """A second question while a step runs has no answer."""
        if self.engine.running is not None:
            assert self.engine.batcher.step(Next(), self.engine.now) == []
        self.engine.next() if self.engine.running is None else None

    @precondition(lambda self: self.engine.running is not None)
    @rule(
        done=st.frozensets(st.integers(1, 40), max_size=5),
        seconds=st.floats(0.0, 0.002) | st.floats(0.0, 40.0),
        more=st.integers(0, 12),
        preempted=st.booleans(),
    )
    def ran(self, done: frozenset[int], seconds: float, more: int, preempted: bool) -> None:
        self.engine.ran(done, seconds=seconds, more=more, preempted=preempted)

    @precondition(lambda self: self.engine.running is not None)
    @rule()
    def broke(self) -> None:
        self.engine.ran(failed=True)

    @precondition(lambda self: self.engine.running is not None)
    @rule()
    def preempted(self) -> None:
        self.engine.preempted()

    @invariant()
    def places_are_kept(self) -> None:
        if not hasattr(self, "engine"):
            return
        batcher = self.engine.batcher
        active = [self.engine.jobs[row.holder] for row in batcher.sequences.all if row.holder is not None]
        assert len(active) == batcher.active <= batcher.limits.places + batcher.limits.voice_places
        assert sum(job.priority is not VOICE for job in active) <= batcher.limits.places

    @invariant()
    def the_cache_fits(self) -> None:
        if hasattr(self, "engine"):
            assert self.engine.cells() <= self.engine.batcher.limits.pool
            for row in self.engine.batcher.sequences.all:
                there, nowhere = self.engine.kv[row.id], self.engine.stowed.get(row.id, [])
                there, nowhere = (nowhere, there) if row.stowed else (there, nowhere)
                assert [token for _, token in there] == row.tokens and not nowhere
            assert sum(map(len, self.engine.stowed.values())) <= self.engine.batcher.limits.stowed

    def teardown(self) -> None:
        """Left alone, everything comes to its end, exactly once, and only idle sequences remain."""
        if hasattr(self, "engine"):
            self.engine.finish()
            assert set(self.engine.ended) == set(self.engine.jobs)
            assert self.engine.batcher.active == self.engine.batcher.waiting == 0
            assert not self.engine.batcher.surplus


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_event_in_any_state_is_answered(data: st.DataObject) -> None:
    """Also events that no engine would send: no exception, and every job ends at most once."""
    batcher = Batcher(limits())
    ended: list[int] = []
    sequences = st.integers(0, 4)
    ids = st.integers(0, 50)
    event = st.one_of(
        st.builds(Submit, st.builds(Job, st.just(0), st.lists(st.integers(0, 2), max_size=50))),
        st.builds(Cancel, ids),
        st.builds(Forget, st.sampled_from(["a", "b"])),
        st.just(Next()),
        st.builds(Ran, st.lists(st.builds(Sampled, ids, ids, st.booleans()), max_size=3).map(tuple), st.booleans()),
        st.builds(Ran, st.just(()), st.just(False), st.just(True)),
        st.builds(Lost, sequences),
    )
    for number, event_now in enumerate(data.draw(st.lists(event, max_size=50))):
        if isinstance(event_now, Submit):
            event_now = Submit(replace(event_now.job, id=number))  # ids are never used twice
        ended += [a.job_id for a in batcher.step(event_now, 0.0) if isinstance(a, (End, Refuse))]
    assert len(ended) == len(set(ended))
