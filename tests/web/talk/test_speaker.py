from __future__ import annotations

import numpy as np

from tests.web.moved_clock import MovedClock
from web.talk.speaker import Recorder, SilentSpeaker

RATE_HZ = 1000


def _pcm(samples: int, value: int = 1) -> np.ndarray:
    return np.full(samples, value, np.int16)


def test_audio_takes_its_time() -> None:
    clock = MovedClock()
    speaker = SilentSpeaker(clock, RATE_HZ)
    assert speaker.idle() and speaker.position() is None
    speaker.play("r1", _pcm(500))
    assert speaker.position() == ("r1", 0.0) and not speaker.idle()
    clock.seconds += 0.2
    speaker.play("r1", _pcm(100))
    assert speaker.position() == ("r1", 200.0)
    clock.seconds += 0.4
    assert speaker.idle() and speaker.position() == ("r1", 600.0)


def test_a_dry_spell_is_not_played() -> None:
    clock = MovedClock()
    speaker = SilentSpeaker(clock, RATE_HZ)
    speaker.play("r1", _pcm(100))
    clock.seconds += 5.0
    speaker.play("r1", _pcm(100))
    clock.seconds += 0.05
    assert speaker.position() == ("r1", 150.0)


def test_after_a_stop_the_position_stays() -> None:
    clock = MovedClock()
    speaker = SilentSpeaker(clock, RATE_HZ)
    speaker.play("r1", _pcm(1000))
    clock.seconds += 0.3
    speaker.stop()
    assert speaker.idle()
    clock.seconds += 3.0
    assert speaker.position() == ("r1", 300.0)
    speaker.play("r2", _pcm(100))
    assert speaker.position() == ("r2", 0.0)


def test_the_recorder_keeps_what_was_played() -> None:
    clock = MovedClock()
    recorder = Recorder(SilentSpeaker(clock, RATE_HZ), RATE_HZ)
    recorder.play("r1", _pcm(300, 1))
    clock.seconds += 10.0
    recorder.play("r2", _pcm(200, 2))
    recorder.play("r2", _pcm(200, 3))
    recorder.play("r2", _pcm(200, 4))
    clock.seconds += 0.25
    recorder.stop()
    recorder.stop()
    clock.seconds += 1.0
    recorder.play("r3", _pcm(100, 5))
    kept = recorder.audio()
    assert [int((kept == value).sum()) for value in (1, 2, 3, 4, 5)] == [300, 200, 50, 0, 100]
    assert np.all(np.diff(kept) >= 0)


def test_nothing_played_is_no_audio() -> None:
    assert len(Recorder(SilentSpeaker(MovedClock(), RATE_HZ), RATE_HZ).audio()) == 0
