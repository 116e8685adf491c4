"""What the batcher keeps of a conversation after its reply, in the cache and beside it."""

from __future__ import annotations

from llm.batching.events import (
    CacheRamLimited,
    Cancel,
    End,
    Forget,
)
from llm.messages import Priority
from tests.llm.batched_engine import Engine, limits

VOICE, CHAT, BATCH = Priority.VOICE, Priority.INTERACTIVE, Priority.BATCH


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


def test_what_lies_idle_is_stowed_and_comes_back_for_its_next_turn() -> None:
    engine = Engine(limits(resident=20, offloaded=50))
    for number, name in enumerate("abcd"):
        engine.now += 1.0
        engine.submit(number, [*range(10 * number, 10 * number + 9)], conversation=name, max_tokens=2)
        engine.finish()
    rows = {row.conversation: row for row in engine.batcher.sequences.all}
    assert [rows[name].offloaded for name in "abcd"] == [True, True, False, False]
    assert engine.cells() == 20 and not engine.batcher.surplus
    engine.submit(9, [*range(9), *engine.written[0], 77], conversation="a", max_tokens=1)
    engine.finish()
    assert engine.ended[9] == End(9, "length", 12, 1, 10)
    assert rows["b"].offloaded and rows["c"].offloaded and not rows["a"].offloaded


def test_a_stowed_beginning_is_shared_and_stays_where_it_is() -> None:
    engine = Engine(limits(resident=0, offloaded=100))
    engine.submit(1, list(range(40)), conversation="a", max_tokens=1)
    engine.finish()
    engine.submit(2, [*range(30), 99], conversation="b", max_tokens=1)
    engine.finish()
    assert engine.admitted[2].cached == 30
    rows = {row.conversation: row for row in engine.batcher.sequences.all}
    assert rows["a"].offloaded and len(rows["a"].tokens) == 40


def test_of_what_belongs_to_no_conversation_less_stays_in_the_cache() -> None:
    engine = Engine(limits(resident=100, unowned=30, offloaded=100))
    for number, name in enumerate(("a", None, None, "b")):
        engine.now += 1.0
        engine.submit(number, [number] * 19, conversation=name, max_tokens=2)
        engine.finish()
    rows = sorted((row for row in engine.batcher.sequences.all if row.tokens), key=lambda row: row.tokens)
    assert [row.offloaded for row in rows] == [False, True, False, False]
    engine.submit(9, [*[1] * 19, *engine.written[1], 77], max_tokens=1)
    engine.finish()
    assert engine.ended[9] == End(9, "length", 22, 1, 20)


def test_no_more_is_stowed_than_there_is_room_for() -> None:
    engine = Engine(limits(resident=0, offloaded=25))
    for number, name in enumerate("abc"):
        engine.now += 1.0
        engine.submit(number, [number] * 10, conversation=name, max_tokens=1)
        engine.finish()
    assert [row.conversation for row in engine.batcher.sequences.all if row.tokens] == ["b", "c"]
    engine.tell(CacheRamLimited(12))
    assert [row.conversation for row in engine.batcher.sequences.all if row.tokens] == ["c"]
    engine.submit(9, [9] * 40, conversation="d", max_tokens=1)
    engine.finish()
    (d,) = (row for row in engine.batcher.sequences.all if row.conversation == "d")
    assert not d.offloaded and not engine.batcher.surplus, "larger than what may be offloaded: it stays in the cache"
    engine.submit(10, [*[9] * 40, *engine.written[9], 8], conversation="d", max_tokens=1)
    engine.finish()
    assert engine.admitted[10].cached == 40
