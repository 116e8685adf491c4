"""How many threads a step gets, on machines that behave differently."""

from __future__ import annotations

from collections.abc import Callable

from llm.llamacpp.thread_choice import TRIAL, TRY_AFTER, TRY_AFTER_MOST, ThreadChoice

SMALL, LARGE = 6_000_000, 100_000_000_000


def walk(
    choice: ThreadChoice, tokens: int, steps: int, seconds: Callable[[int], float], exact: bool = False
) -> list[int]:
    used = []
    for _ in range(steps):
        used.append(choice.choose(tokens, exact))
        choice.ran(seconds(used[-1]))
    return used


def test_it_begins_with_as_many_as_the_work_is_worth() -> None:
    assert ThreadChoice(16, SMALL).choose(1) == 1
    assert ThreadChoice(16, 5 * SMALL).choose(1) == 8
    assert ThreadChoice(16, SMALL).choose(8) == 16
    assert ThreadChoice(12, LARGE).choose(1) == 12
    assert ThreadChoice(1, LARGE).choose(1) == 1


def test_beside_a_busy_core_it_ends_with_one_and_comes_back_when_the_core_is_free() -> None:
    choice = ThreadChoice(2, SMALL)
    used = walk(choice, 8, 6 * TRY_AFTER, lambda threads: 0.002 if threads == 1 else 0.004)
    assert used[0] == 2 and used[-1] == 1
    used = walk(choice, 8, 40 * TRY_AFTER, lambda threads: 0.004 / threads)
    assert used[-1] == 2


def test_trials_become_rare_where_they_are_in_vain() -> None:
    used = walk(ThreadChoice(2, SMALL), 8, 20_000, lambda threads: 0.004 / threads)
    assert TRIAL * 20_000 // TRY_AFTER_MOST <= used.count(1) <= 1.5 * TRIAL * 20_000 // TRY_AFTER_MOST


def test_of_many_threads_it_finds_the_best_number() -> None:
    best = {1: 0.004, 2: 0.003, 4: 0.002, 8: 0.003, 16: 0.005}
    assert walk(ThreadChoice(16, SMALL), 8, 3000, best.__getitem__)[-10:].count(4) >= 8


def test_one_slow_step_changes_nothing() -> None:
    choice = ThreadChoice(2, SMALL)
    slow = iter([0.5 if n % 97 == 0 else 0.002 for n in range(10_000)])
    used = walk(choice, 8, 5000, lambda threads: next(slow) * (2 if threads == 1 else 1))
    assert used[-100:].count(2) >= 98


def test_a_thread_that_shares_its_core_by_turns_is_no_gain() -> None:
    """Of two threads one has its core for half of the time, 4 ms by 4 ms: most steps are quick, and 4 ms are long."""
    now = 0.0

    def seconds(threads: int) -> float:
        nonlocal now
        took = 0.0001 if threads == 1 else 0.00007
        if threads == 2 and now % 0.008 >= 0.004:
            took += 0.008 - now % 0.008
        now += took
        return took

    used = walk(ThreadChoice(2, SMALL // 20), 1, 20_000, seconds)
    assert used.count(2) < 20_000 * 0.1 and now < 20_000 * 0.0001 * 1.1


def test_a_trial_that_lasts_is_broken_off() -> None:
    used = walk(ThreadChoice(2, SMALL), 8, 5000, lambda threads: 0.002 if threads == 2 else 0.1)
    assert used.count(1) <= 5000 // TRY_AFTER_MOST + 6 and used[-1] == 2


def test_a_core_that_somebody_takes_for_long_is_given_up() -> None:
    choice = ThreadChoice(2, SMALL)
    assert walk(choice, 8, 2000, lambda threads: 0.002 / threads)[-1] == 2
    used = walk(choice, 8, 2 * TRY_AFTER, lambda threads: 0.002 if threads == 1 else 0.06)
    assert used.count(2) < TRY_AFTER and used[-1] == 1
    assert walk(choice, 8, 40 * TRY_AFTER, lambda threads: 0.002 / threads)[-1] == 2


def test_steps_that_grow_longer_with_the_context_are_tried_out_once() -> None:
    choice = ThreadChoice(2, LARGE)
    walk(choice, 8, 200, lambda threads: 0.04 / threads)
    assert walk(choice, 8, 2000, lambda threads: 0.2 / threads).count(1) <= TRIAL


def test_long_steps_and_lone_tokens_of_a_reply_with_a_seed_are_left_alone() -> None:
    assert set(walk(ThreadChoice(4, SMALL), 64, 2000, lambda threads: 1.0 / threads)) == {4}
    choice = ThreadChoice(4, SMALL)
    assert set(walk(choice, 1, 2000, lambda threads: 0.001 / threads, exact=True)) == {1}
    assert walk(choice, 1, 2000, lambda threads: 0.001 / threads)[-1] == 4
    assert set(walk(choice, 1, 2000, lambda threads: 0.001 / threads, exact=True)) == {1}


def test_what_somebody_asked_for_is_used() -> None:
    assert set(walk(ThreadChoice(3, SMALL, fixed=True), 8, 2000, lambda threads: 0.001 * threads)) == {3}
