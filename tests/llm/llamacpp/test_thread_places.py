"""Threads that compute together have a core each. With the real OpenMP, in a thread of the test's own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

pytest.importorskip("llama_cpp")

from llm.llamacpp import thread_places
from llm.llamacpp.openmp import openmp
from llm.llamacpp.thread_places import ThreadPlaces

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

pytestmark = pytest.mark.skipif(openmp is None or len(CORES) < 2, reason="another OpenMP, or one core")


def in_a_thread(work: Callable[[], None]) -> None:
    """What it binds ends with it. Raises what `work` raises."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


def others() -> list[set[int]]:
    """Where the threads of this thread's team may run, but for itself."""
    return [os.sched_getaffinity(thread) for thread in thread_places._team(len(CORES))]


def test_each_thread_of_a_step_has_a_core_of_its_own() -> None:
    def work() -> None:
        places = ThreadPlaces()
        places.take(len(CORES))
        mine = os.sched_getaffinity(0)
        bound = [*others(), mine]
        assert all(len(cores) == 1 for cores in bound) and set().union(*bound) == set(CORES)
        places.leave()
        assert os.sched_getaffinity(0) == set(CORES), "the caller does other things, too"
        assert all(len(cores) == 1 for cores in others())

    in_a_thread(work)


def test_a_caller_that_has_moved_to_the_core_of_another_changes_places_with_it() -> None:
    def work() -> None:
        places = ThreadPlaces()
        for core in CORES * 2:
            os.sched_setaffinity(0, {core})
            places.take(len(CORES))
            assert os.sched_getaffinity(0) == {core}
            assert set().union(*others()) == set(CORES) - {core}
            places.leave()

    in_a_thread(work)


def test_one_thread_and_other_numbers_than_there_are_cores_are_not_bound() -> None:
    def work() -> None:
        places = ThreadPlaces()
        places.take(1)
        assert os.sched_getaffinity(0) == set(CORES)
        places.take(len(CORES))
        places.leave()
        places.take(len(CORES) + 1)
        assert os.sched_getaffinity(0) == set(CORES)
        team = thread_places._team(len(CORES) + 1)
        assert len(team) == len(CORES) and all(os.sched_getaffinity(thread) == set(CORES) for thread in team)

    in_a_thread(work)


def test_another_thread_that_calls_has_a_team_of_its_own() -> None:
    places = ThreadPlaces()

    def work() -> None:
        places.take(len(CORES))
        assert set().union(*others(), os.sched_getaffinity(0)) == set(CORES)
        places.leave()

    in_a_thread(work)
    in_a_thread(work)


def test_where_somebody_has_chosen_the_cores_nothing_is_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_PROC_BIND", "false")

    def work() -> None:
        places = ThreadPlaces()
        places.take(len(CORES))
        assert os.sched_getaffinity(0) == set(CORES)
        assert all(cores == set(CORES) for cores in others())

    in_a_thread(work)
