from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llm.batching.sequences import KvSequence, SequenceTable, common_prefix

tokens = st.lists(st.integers(0, 2), max_size=40)


@given(tokens, tokens)
def test_common_prefix_is_what_a_loop_finds(a: list[int], b: list[int]) -> None:
    slow = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        slow += 1
    assert common_prefix(a, b) == slow


def filled(table: SequenceTable, number: int, held: list[int], conversation: str | None, used: float) -> KvSequence:
    row = table.all[number]
    row.tokens, row.conversation, row.last_used = held, conversation, used
    return row


def test_a_conversation_finds_its_own_sequence_and_keeps_what_is_alike() -> None:
    table = SequenceTable(4)
    mine = filled(table, 2, [1, 2, 3, 9, 9], "me", 1.0)
    place = table.place([1, 2, 3, 4, 5], "me")
    assert place is not None
    assert (place.sequence, place.keep, place.donor, place.clear) == (mine, 3, None, False)


def test_the_last_token_is_always_computed_anew() -> None:
    table = SequenceTable(2)
    filled(table, 0, [1, 2, 3], "me", 1.0)
    place = table.place([1, 2, 3], "me")
    assert place is not None and place.keep == 2


def test_a_common_beginning_is_copied_even_from_a_sequence_in_use() -> None:
    table = SequenceTable(3)
    busy = filled(table, 0, list(range(100)), "other", 1.0)
    busy.holder = 7
    place = table.place([*range(60), 500, 501], "me")
    assert place is not None
    assert place.donor is busy and place.keep == 60 and place.sequence is table.all[1] and place.clear


def test_a_few_common_tokens_are_not_worth_a_copy() -> None:
    table = SequenceTable(3)
    filled(table, 0, list(range(100)), "other", 1.0)
    place = table.place([0, 1, 2, 500, 501], "me")
    assert place is not None and place.donor is None and place.keep == 0


def test_nobodys_chat_that_goes_on_is_taken_over() -> None:
    table = SequenceTable(3)
    old = filled(table, 1, list(range(50)), None, 1.0)
    place = table.place([*range(50), 500, 501], None)
    assert place is not None and place.sequence is old and place.keep == 50 and place.donor is None


def test_when_all_are_taken_the_least_missed_goes_first_nobodys_then_the_oldest() -> None:
    table = SequenceTable(3)
    filled(table, 0, [1] * 5, "a", 1.0)
    unowned = filled(table, 1, [2] * 5, None, 9.0)
    filled(table, 2, [3] * 5, "b", 2.0)
    first = table.place([7, 8], "c")
    assert first is not None and first.sequence is unowned and first.clear
    table.hold(unowned, 1, "c", 0, [7, 8])
    second = table.place([7, 9], "d")
    assert second is not None and second.sequence.conversation == "a"
    for row in table.all:
        row.holder = 1
    assert table.place([1, 2], "e") is None


def test_a_second_request_of_a_conversation_gets_a_copy_and_becomes_its_owner() -> None:
    table = SequenceTable(3)
    first = filled(table, 0, list(range(40)), "me", 1.0)
    first.holder = 1
    place = table.place([*range(40), 99], "me")
    assert place is not None and place.donor is first and place.sequence is not first
    table.hold(place.sequence, 2, "me", place.keep, [*range(40), 99])
    assert table.of("me") is place.sequence and first.conversation is None


def test_states_that_cannot_be_cut_are_reused_whole_or_not_at_all() -> None:
    table = SequenceTable(2, rewind=False)
    filled(table, 0, list(range(40)), "me", 1.0)
    whole = table.place([*range(40), 99], "me")
    assert whole is not None and whole.keep == 40 and not whole.clear
    cut = table.place([*range(39), 98, 99], "me")
    assert cut is not None and cut.keep == 0 and cut.clear
