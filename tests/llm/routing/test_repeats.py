"""What the log is told again and again: once, and then once a minute with how often."""

from __future__ import annotations

from llm.routing.repeats import EVERY_S, KEPT, Repeats


def test_said_at_once_and_then_with_how_often() -> None:
    repeats = Repeats()
    assert [repeats.due("dead", now) for now in (0.0, 1.0, 2.0, EVERY_S - 0.1)] == [1, 0, 0, 0]
    assert [repeats.due("dead", now) for now in (EVERY_S, EVERY_S + 1.0)] == [4, 0]
    assert repeats.due("another", EVERY_S + 1.0) == 1
    assert repeats.due("dead", 10 * EVERY_S) == 2


def test_names_that_clients_make_up_take_no_memory() -> None:
    repeats = Repeats()
    assert all(repeats.due(number, 0.0) == 1 for number in range(KEPT + 1))
    assert repeats.due(KEPT, 1.0) == 0 and repeats.due(0, 1.0) == 1
