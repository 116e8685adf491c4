"""The playout clock: paced, bounded, corrected, never past what was sent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.mouth.playout import Playout
from voice.session.in_flight import InFlight
from voice.session.outgoing import AudioOut


def test_it_plays_at_the_speed_of_time_from_the_first_audio_on() -> None:
    playout = Playout(0.3)
    playout.sent(1.0, now=10.0)
    assert playout.position(10.4) == pytest.approx(0.4)
    assert playout.position(99.0) == 1.0


def test_room_is_the_lead_less_what_is_buffered() -> None:
    playout = Playout(0.3)
    assert playout.room(10.0) == 0.3
    playout.sent(0.3, now=10.0)
    assert playout.room(10.0) == 0.0
    assert playout.room(10.1) == pytest.approx(0.1)


def test_after_an_underrun_time_starts_again() -> None:
    playout = Playout(0.3)
    playout.sent(0.2, now=10.0)
    playout.sent(0.2, now=15.0)
    assert playout.position(15.1) == pytest.approx(0.3)


def test_a_report_corrects_the_clock_and_never_goes_back() -> None:
    playout = Playout(0.3)
    playout.sent(2.0, now=10.0)
    playout.report(0.5, now=11.0)
    assert playout.position(11.0) == 0.5
    playout.report(0.4, now=11.1)
    assert playout.position(11.1) == 0.5
    playout.report(2.1, now=12.0)
    assert playout.position(12.0) == 2.0


def test_a_client_that_stops_reporting_may_have_stopped_playing() -> None:
    """Its words count as heard up to a little behind its last report, by its own habit; sending goes on."""
    playout = Playout(0.3)
    playout.sent(20.0, now=10.0)
    for second in (0.25, 0.5, 0.75, 1.0):
        playout.report(second, now=10.0 + second)
    assert playout.heard(11.2) == pytest.approx(1.2)
    assert playout.heard(18.0) == pytest.approx(2.5) and playout.position(18.0) == pytest.approx(8.0)
    playout.report(8.5, now=18.5)
    assert playout.heard(18.6) == pytest.approx(8.6), "it was only the network"
    slow = Playout(0.3)
    slow.sent(20.0, now=10.0)
    for second in (2.0, 4.0):
        slow.report(second, now=10.0 + second)
    assert slow.heard(17.5) == pytest.approx(7.5), "it reports every two seconds"


def test_a_client_that_reports_one_place_for_ever_plays_no_more() -> None:
    """It has lost what it was sent. One that is paused, by us, or that reports nothing any more, does not stand."""
    playout = Playout(lead_s=0.3)
    playout.sent(2.0, 0.0)
    for tenth in range(1, 11):
        playout.report(min(tenth / 10, 0.5), tenth / 10)
    assert not playout.stands(4.0)
    for second in range(2, 9):
        playout.report(0.5, float(second))
    assert playout.stands(8.0) and playout.heard(8.0) < 1.6 and not playout.stands(9.5)
    playout.hold(8.0)
    assert not playout.stands(8.1)
    playout.release(8.2)
    playout.report(0.5, 8.3)
    assert not playout.stands(8.4)


def test_what_no_clock_can_show_is_ignored() -> None:
    """Far ahead of what was sent; backwards; faster than time: neither stalls the reply nor lets it run away."""
    playout = Playout(0.3)
    playout.report(1.0, now=9.0)
    playout.sent(2.0, now=10.0)
    playout.report(0.5, now=10.5)
    for position_s in (60.0, 0.0, 0.1):
        playout.report(position_s, now=10.75)
        assert playout.position(10.75) == pytest.approx(0.75)
    playout.report(2.0, now=11.0)
    assert playout.position(11.0) == pytest.approx(1.3), "a second has passed, and it may have skipped the lead"


def test_held_it_sends_nothing_and_a_reporting_client_stands_still() -> None:
    playout = Playout(0.3)
    playout.sent(2.0, now=10.0)
    playout.report(0.5, now=10.5)
    playout.hold(10.6)
    assert playout.held and playout.room(10.6) == 0.0
    assert playout.position(11.5) == pytest.approx(0.6)
    playout.release(11.5)
    assert playout.position(11.6) == pytest.approx(0.7)


def test_held_a_client_that_reports_nothing_plays_what_it_has() -> None:
    playout = Playout(0.3)
    playout.sent(0.3, now=10.0)
    playout.hold(10.1)
    assert playout.position(11.0) == 0.3


def test_when_everything_sent_will_have_been_played() -> None:
    playout = Playout(0.3)
    playout.sent(0.5, now=10.0)
    assert playout.empties_at(10.2) == pytest.approx(10.5)


@given(
    st.lists(
        st.tuples(st.sampled_from(["send", "report", "hold", "release", "wait"]), st.floats(0, 3, allow_nan=False))
    )
)
def test_the_position_never_passes_what_was_sent_nor_goes_back_but_by_report(steps: list[tuple[str, float]]) -> None:
    playout, now, last = Playout(0.3), 100.0, 0.0
    for kind, value in steps:
        match kind:
            case "send":
                playout.sent(value, now)
            case "report":
                playout.report(value, now)
                last = 0.0
            case "hold":
                playout.hold(now)
            case "release":
                playout.release(now)
            case _:
                now += value
        position = playout.position(now)
        assert 0 <= position <= playout.sent_s
        assert position >= last - 1e-9
        assert 0 <= playout.room(now) <= playout.lead_s + playout.lag_s
        last = position


@given(
    st.lists(st.tuples(st.sampled_from(["send", "hold", "release", "wait"]), st.floats(0, 3, allow_nan=False))),
    st.floats(0, 1),
)
def test_what_is_certain_is_never_taken_back_and_never_more_than_the_clock_says(
    steps: list[tuple[str, float]], unsure_s: float
) -> None:
    playout, now, last = Playout(0.3, unsure_s=unsure_s), 100.0, 0.0
    for kind, value in steps:
        match kind:
            case "send":
                playout.sent(value, now)
            case "hold":
                playout.hold(now)
            case "release":
                playout.release(now)
            case _:
                now += value
        certain = playout.heard(now)
        assert last - 1e-9 <= certain <= playout.position(now) + 1e-9
        last = certain
    assert playout.heard(now + unsure_s + 1000) == pytest.approx(playout.sent_s)


def test_a_client_that_reports_is_believed() -> None:
    playout = Playout(0.3, unsure_s=0.3)
    playout.sent(2.0, now=10.0)
    assert playout.heard(10.5) == pytest.approx(0.2)
    playout.report(0.45, now=10.5)
    assert playout.heard(10.5) == pytest.approx(0.45)


def test_what_is_missing_is_not_played_and_time_starts_again_when_it_comes() -> None:
    playout = Playout(0.3, unsure_s=0.3)
    playout.sent(3.0, now=10.0)
    playout.missing(2.0, now=12.5)
    assert playout.position(12.5) == playout.heard(12.5) == playout.arrived_s == 1.0, "the clock had run ahead"
    playout.missing(1.0, now=14.0)
    assert playout.position(14.0) == 1.0 and playout.position(14.5) == pytest.approx(1.5)
    assert playout.heard(14.5) == pytest.approx(1.2)
    assert playout.position(16.0) == 2.0 and playout.empties_at(16.0) > 16.05, "it looks again, not all the time"
    playout.missing(0.0, now=16.0)
    assert playout.position(16.5) == pytest.approx(2.5)


def test_a_link_that_stalls_is_sent_no_more_than_two_seconds() -> None:
    playout, now = Playout(0.3), 10.0
    for _ in range(100):
        if playout.room(now) >= 0.1:
            playout.sent(0.1, now)
            playout.missing(playout.sent_s, now)
        now += 0.1
    assert 2.1 < playout.sent_s < 2.31


@pytest.mark.parametrize("round_trip_s", [0.1, 0.4, 0.8, 1.2, 2.0])
def test_over_a_link_that_is_slow_for_good_a_reply_is_played_without_a_gap(round_trip_s: float) -> None:
    """And what counts as heard is never ahead of it, though all that was sent is always on its way for long."""
    playout, in_flight = Playout(0.3, unsure_s=0.3), InFlight(0.3)
    there: list[float] = []
    played_s = gaps_s = 0.0
    for step in range(1100):
        now = step / 50
        in_flight.arrived(sum(at + round_trip_s / 2 <= now for at in there))
        missing = in_flight.news(now)
        if missing is not None:
            playout.missing(missing.seconds, now)
        while playout.sent_s < 20.0 and playout.room(now) >= 0.1 - 1e-9:
            piece = AudioOut("r", np.zeros(100, np.int16), 1000, "", False)
            playout.sent(0.1, now)
            there.append(now + round_trip_s / 2)
            in_flight.said(piece, now)
            in_flight.written(piece, len(there))
        came_s = sum(at <= now for at in there) / 10
        assert playout.heard(now) <= played_s + 1e-9
        gaps_s += 0.02 if 0 < played_s < 20.0 - 1e-9 and played_s >= came_s - 1e-9 else 0.0
        played_s = min(came_s, played_s + 0.02)
    assert played_s == pytest.approx(20.0) and gaps_s == 0.0
