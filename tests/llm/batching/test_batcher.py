"""The batcher's rules: who is admitted, what goes into a step, and what ends."""

from __future__ import annotations

import pytest

from llm.batching.batcher import Batcher
from llm.batching.events import (
    Cancel,
    End,
    Lost,
    Media,
    Refuse,
)
from llm.messages import Priority
from tests.llm.batched_engine import Engine, limits

VOICE, CHAT, BATCH = Priority.VOICE, Priority.INTERACTIVE, Priority.BATCH


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


def test_limits_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError):
        Batcher(limits(sequences=2))
    with pytest.raises(ValueError):
        Batcher(limits(pool=50))
    with pytest.raises(ValueError):
        Batcher(limits(step_tokens=2))
