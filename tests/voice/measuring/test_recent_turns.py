"""The ring of the last turns: bounded, the latest first, with medians, and without words."""

from __future__ import annotations

from dataclasses import asdict

from models.clock import SystemClock
from voice.measuring.recent_turns import FIRST_SOUND, KEPT, RecentTurns
from voice.session.outgoing import TurnComplete


def turn(number: int, **latency: float) -> TurnComplete:
    said = ("what I said", "what it said", "what was heard")
    return TurnComplete(f"r-{number}", *said, (), False, 3, 5, 0.0, 1.0, {"speech_end": 0.0, **latency})


def test_it_is_bounded_and_gives_the_latest_first() -> None:
    recent = RecentTurns(SystemClock())
    assert recent.latest() == () and recent.spreads() == {}
    for number in range(1, KEPT + 6):
        recent.add("s-1", turn(number, endpoint=float(number)))
    assert recent.count == KEPT + 5 and len(recent.latest()) == KEPT
    assert [one.reply for one in recent.latest(2)] == [f"r-{KEPT + 5}", f"r-{KEPT + 4}"]
    assert recent.latest(0) == ()
    spread = recent.spreads()["endpoint"]
    assert (spread.turns, spread.median_ms, spread.p95_ms) == (KEPT, 105.5, 196.0)


def test_the_first_sound_is_what_the_client_played_or_else_what_we_sent() -> None:
    recent = RecentTurns(SystemClock())
    recent.add("s-1", turn(1, first_audio_sent=400.0))
    recent.add("s-1", turn(2, first_audio_sent=400.0, first_audio_played=500.0))
    recent.add("s-1", turn(3, done=900.0))
    assert [one.first_sound_ms for one in recent.latest()] == [None, 500.0, 400.0]
    assert (recent.spreads()[FIRST_SOUND].turns, recent.spreads()[FIRST_SOUND].median_ms) == (2, 450.0)
    assert "speech_end" not in recent.spreads()
    assert "said" not in str([asdict(one) for one in recent.latest()])
