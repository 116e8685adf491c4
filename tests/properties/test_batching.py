"""The batcher in any order of any events; the model of the KV cache checks every step."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llm.batching.batcher import Batcher
from llm.batching.events import (
    Cancel,
    End,
    Forget,
    Job,
    Limits,
    Lost,
    Next,
    Ran,
    Refuse,
    Sampled,
    Submit,
    Wanted,
)
from llm.messages import Priority
from tests.llm.batched_engine import Engine, limits

VOICE, CHAT, BATCH = Priority.VOICE, Priority.INTERACTIVE, Priority.BATCH


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
        unowned=st.integers(0, 60),
        offloaded=st.sampled_from([0, 20, 100]),
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
        unowned: int,
        offloaded: int,
    ) -> None:
        sequences = places + voice + spare
        of = Limits(places, voice, sequences, context, context + pool, step, queue, rewind=rewind, draft=draft)
        of = replace(of, resident=resident, unowned=unowned, offloaded=offloaded)
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
                there, nowhere = self.engine.kv[row.id], self.engine.offloaded.get(row.id, [])
                there, nowhere = (nowhere, there) if row.offloaded else (there, nowhere)
                assert [token for _, token in there] == row.tokens and not nowhere
            assert sum(map(len, self.engine.offloaded.values())) <= self.engine.batcher.limits.offloaded

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
