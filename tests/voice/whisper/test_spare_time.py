"""When a partial transcript may be made."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voice.whisper.spare_time import SpareTime


def test_how_long_a_run_takes_has_to_be_known() -> None:
    spare = SpareTime(0.2, 0.3)
    assert not spare.free(0.0)
    spare.transcribed(0.3, alike=True)
    assert spare.free(0.0)


def test_a_slow_machine_makes_none_until_it_was_quick_again() -> None:
    spare = SpareTime(0.2, 0.3)
    spare.transcribed(0.1, alike=True)
    spare.ran(0.0, 0.5, to_its_end=True)
    assert not spare.free(1000.0)
    spare.transcribed(0.4, alike=True)
    assert not spare.free(1000.0)
    spare.transcribed(0.2, alike=True)
    assert spare.free(1000.0)
    spare.transcribed(2.0, alike=True)
    assert not spare.free(1000.0)


def test_a_long_transcript_that_takes_long_says_nothing_about_a_short_one() -> None:
    spare = SpareTime(0.2, 0.3)
    spare.transcribed(0.1, alike=True)
    spare.transcribed(2.0, alike=False)
    assert spare.free(0.0)
    spare = SpareTime(0.2, 0.3)
    spare.transcribed(0.2, alike=False)
    assert spare.free(0.0)


def test_a_run_that_was_given_up_takes_time_and_says_nothing_about_a_whole_one() -> None:
    spare = SpareTime(0.5, 0.3)
    spare.transcribed(0.1, alike=True)
    spare.ran(0.0, 2.0, to_its_end=False)
    assert not spare.free(3.9)
    assert spare.free(4.0)


@given(
    share=st.floats(0.05, 1.0),
    steps=st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(0.001, 2.0), st.booleans()), max_size=60),
)
def test_runs_take_their_share_of_the_time_and_one_run_more_at_most(
    share: float, steps: list[tuple[float, float, bool]]
) -> None:
    spare = SpareTime(share, 10.0)
    spare.transcribed(0.1, alike=True)
    now = taken = last = 0.0
    for wait_s, run_s, to_its_end in steps:
        now += wait_s
        if spare.free(now):
            spare.ran(now, now + run_s, to_its_end=to_its_end)
            now, taken, last = now + run_s, taken + run_s, run_s
        assert taken <= share * now + last + 1e-6
