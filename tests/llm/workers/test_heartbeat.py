"""Who is hung: missed several health checks in a row, for long enough."""

from __future__ import annotations

from llm.workers.heartbeat import MISSES, Heartbeat


def test_silence_counts_from_the_last_answer() -> None:
    beat = Heartbeat(30.0, 100.0)
    assert beat.every_s == 5.0
    assert [beat.step(False, 100.0 + at) for at in (10, 20, 29)] == [False] * 3
    assert not beat.step(True, 129.5)
    assert [beat.step(False, at) for at in (140.0, 150.0, 159.0, 160.0)] == [False, False, False, True]
    assert beat.silent_since == 129.5


def test_one_lost_answer_after_a_pause_of_the_machine_means_nothing() -> None:
    beat = Heartbeat(30.0, 0.0)
    assert not beat.step(True, 5.0)
    assert [beat.step(False, 3600.0) for _ in range(MISSES)] == [False] * (MISSES - 1) + [True]
    assert not beat.step(True, 3601.0) and not beat.step(False, 7200.0)


def test_a_short_patience_asks_more_often() -> None:
    assert Heartbeat(2.0, 0.0).every_s == 0.5
