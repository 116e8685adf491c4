"""Whether threads may spin, by how long they had to wait for a core."""

from __future__ import annotations

import pytest

from llm.llamacpp.spin_choice import HOLD_MOST_S, HOLD_S, LOOK_S, LOOKS, SpinChoice


def spun(share_of: object, seconds: float) -> tuple[float, SpinChoice]:
    """The share of the time in which threads span. `share_of(now)`: what part of it they wait for a core."""
    choice, now, spinning = SpinChoice(), 0.0, 0.0
    while now < seconds:
        now += LOOK_S
        spinning += LOOK_S if choice.spins else 0.0
        choice.looked(share_of(now) * 2 * LOOK_S, 2 * LOOK_S, now)  # type: ignore[operator]
    return spinning / now, choice


def test_on_a_free_machine_and_beside_small_work_threads_spin() -> None:
    assert spun(lambda now: 0.0, 10.0)[0] == 1.0
    assert spun(lambda now: 0.1, 10.0)[0] == 1.0


def test_a_moment_without_a_core_changes_nothing() -> None:
    assert spun(lambda now: 0.6 if now % 0.2 < LOOK_S else 0.05, 10.0)[0] == 1.0


def test_beside_somebody_who_computes_nobody_spins_after_the_first_looks() -> None:
    share, choice = spun(lambda now: 0.4, 10.0)
    assert share <= (LOOKS + 0.5) * LOOK_S / 10.0 and not choice.spins


def test_when_the_others_are_done_they_spin_again() -> None:
    share, choice = spun(lambda now: 0.4 if now < 5.0 else 0.0, 10.0)
    assert choice.spins
    assert 5.0 - LOOKS * LOOK_S - 2 * HOLD_S < share * 10.0 < 5.0


def test_who_is_only_seen_while_threads_spin_is_tried_less_and_less_often() -> None:
    choice, now, tries = SpinChoice(), 0.0, []
    while now < 120.0:
        now += LOOK_S
        if choice.spins:
            tries.append(now)
        choice.looked(0.4 * LOOK_S if choice.spins else 0.0, LOOK_S, now)
    waits = [round(after - before, 1) for before, after in zip(tries, tries[1:], strict=False)]
    starts = [wait for wait in waits if wait > HOLD_S]
    assert starts == sorted(starts) and starts[0] < 1.0 and starts[-1] == pytest.approx(HOLD_MOST_S, abs=0.2)


def test_where_one_thread_computes_alone_spinning_is_tried_again_ever_later_while_it_is_in_vain() -> None:
    choice, now, tries = SpinChoice(), 0.0, []
    while now < 60.0:
        now += LOOK_S
        if choice.spins:
            choice.looked(0.4 * 2 * LOOK_S, 2 * LOOK_S, now)
        elif choice.alone(now):
            tries.append(now)
    waits = [round(after - before, 1) for before, after in zip(tries, tries[1:], strict=False)]
    assert tries[0] < 2 * HOLD_S and waits == sorted(waits) and waits[-1] > HOLD_MOST_S / 2
    until = now + HOLD_MOST_S + 1.0
    while now < until:
        now += LOOK_S
        if choice.spins:
            choice.looked(0.0, 2 * LOOK_S, now)
        else:
            choice.alone(now)
    assert choice.spins and not choice.alone(now)
