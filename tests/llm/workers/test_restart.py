from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llm.workers.restart import Ended, Ready, Restart, RestartEvent, Started, Wait


def test_a_worker_that_never_starts_is_hopeless_but_is_tried_on() -> None:
    restart = Restart(first_s=0.1, longest_s=1.0, patience=3)
    waits = []
    for _ in range(6):
        restart.step(Started(), 0.0)
        waits += [wait.seconds for wait in restart.step(Ended(), 0.5)]
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert restart.hopeless
    restart.step(Started(), 10.0)
    restart.step(Ready(), 11.0)
    assert not restart.hopeless


def test_a_steady_worker_that_is_killed_starts_at_once() -> None:
    restart = Restart(steady_s=30.0)
    restart.step(Started(), 0.0)
    restart.step(Ready(), 1.0)
    assert restart.step(Ended(), 100.0) == [Wait(0.0)]
    assert restart.starts == 1


def test_a_worker_that_dies_young_is_slowed_but_not_hopeless() -> None:
    restart = Restart(first_s=0.1, patience=2)
    for _ in range(5):
        restart.step(Started(), 0.0)
        restart.step(Ready(), 0.1)
        (wait,) = restart.step(Ended(), 0.2)
    assert wait.seconds == 1.6
    assert not restart.hopeless


@given(st.lists(st.tuples(st.sampled_from([Started(), Ready(), Ended()]), st.floats(0.0, 100.0)), max_size=80))
def test_any_order_of_events_gives_a_bounded_pause(walk: list[tuple[RestartEvent, float]]) -> None:
    restart = Restart(longest_s=15.0)
    now = 0.0
    for event, passed in walk:
        now += passed
        for wait in restart.step(event, now):
            assert 0.0 <= wait.seconds <= 15.0
