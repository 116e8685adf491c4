"""What is on its way to the client, and when that is news."""

from __future__ import annotations

import numpy as np

from voice.session.in_flight import InFlight
from voice.session.outgoing import AudioOut
from voice.turn.events import Missing


def piece(reply: str = "r", seconds: float = 0.1) -> AudioOut:
    return AudioOut(reply, np.zeros(round(seconds * 1000), np.int16), 1000, "", False)


def test_what_arrives_in_time_is_no_news() -> None:
    in_flight = InFlight(0.3)
    first = piece()
    in_flight.said(first, 1.0)
    in_flight.written(first, 100)
    assert not in_flight.idle and in_flight.news(1.2) is None
    in_flight.arrived(99)
    assert not in_flight.idle
    in_flight.arrived(100)
    assert in_flight.idle and in_flight.news(5.0) is None


def test_what_is_late_is_told_with_all_that_is_behind_it_until_nothing_is() -> None:
    in_flight = InFlight(0.3)
    pieces = [piece(), piece(), piece(seconds=0.5)]
    in_flight.said(pieces[0], 1.0)
    in_flight.written(pieces[0], 100)
    in_flight.said(pieces[1], 1.2)
    assert in_flight.news(1.31) == Missing("r", 0.2), "it does not matter that one was never written"
    assert in_flight.news(1.4) is None, "nothing new"
    in_flight.said(pieces[2], 1.5)
    in_flight.written(pieces[1], 200)
    in_flight.arrived(100)
    assert in_flight.news(1.5) == Missing("r", 0.6), "none of them is late, and what is behind is known"
    in_flight.written(pieces[2], 700)
    in_flight.arrived(700)
    assert in_flight.news(1.6) == Missing("r", 0.0) and in_flight.idle
    assert in_flight.news(1.7) is None


def test_the_same_seconds_are_news_where_they_are_others() -> None:
    """Over a slow link there is always as much on its way."""
    in_flight = InFlight(0.3)
    for number in range(5):
        now = 1.0 + number
        each = piece()
        in_flight.said(each, now)
        in_flight.written(each, number)
        in_flight.arrived(number - 1)
        assert in_flight.news(now + 0.4) == Missing("r", 0.1)


def test_only_the_last_reply_counts_and_what_has_no_samples_does_not() -> None:
    in_flight = InFlight(0.0)
    in_flight.said(piece("a"), 1.0)
    in_flight.said(piece("b"), 2.0)
    in_flight.said(piece("b", 0.0), 2.0)
    assert in_flight.news(2.2) is None, "so soon it is never late"
    assert in_flight.news(2.31) == Missing("b", 0.1)
