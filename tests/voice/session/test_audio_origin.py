"""When a session's audio began, whatever its link does."""

from __future__ import annotations

from random import Random

import pytest

from voice.session.audio_origin import AudioOrigin

FRAME_S = 0.02


def play(
    origin: AudioOrigin, from_s: float, until_s: float, came_at: float, pace: float, late_s: float = 0.0
) -> None:
    """The audio from `from_s` to `until_s` comes from `came_at` on, `pace` times as fast as it was recorded."""
    random, at = Random(1), came_at
    for number in range(1, round((until_s - from_s) / FRAME_S) + 1):
        at += FRAME_S / pace
        origin.came(from_s + number * FRAME_S, at + random.uniform(0.0, late_s))


def test_what_is_late_does_not_move_it() -> None:
    origin = AudioOrigin()
    play(origin, 0.0, 20.0, 100.0, 1.0, late_s=0.15)
    assert origin.began == pytest.approx(100.0, abs=0.02)


@pytest.mark.parametrize("pace", [1.1, 1.5, 4.0, 50.0])
def test_what_was_held_up_was_recorded_before(pace: float) -> None:
    origin = AudioOrigin()
    play(origin, 0.0, 5.0, 100.0, 1.0)
    before = 112.0  # seven seconds in which nothing came
    behind_s = 7.0 / (1 - 1 / pace)  # of audio, until it has caught up
    for share in range(10):
        play(origin, 5.0 + behind_s * share / 10, 5.0 + behind_s * (share + 1) / 10, before, pace)
        before += behind_s / 10 / pace
        assert origin.began == pytest.approx(100.0, abs=0.01)
    play(origin, 5.0 + behind_s, 8.0 + behind_s, before, 1.0)
    assert origin.began == pytest.approx(100.0, abs=0.01)


def test_after_what_was_lost_it_began_later() -> None:
    origin = AudioOrigin()
    play(origin, 0.0, 5.0, 100.0, 1.0)
    play(origin, 5.0, 5.4, 112.0, 1.0)
    assert origin.began == pytest.approx(100.0), "it may yet catch up"
    play(origin, 5.4, 5.8, 112.4, 1.0)
    assert origin.began == pytest.approx(107.0)
    assert origin.when(5.5) == pytest.approx(112.5)
    assert origin.when(4.5) == pytest.approx(104.5), "it was there before anything was lost"
