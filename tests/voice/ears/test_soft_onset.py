"""A voice that begins softly is heard from its beginning; the room before it is not."""

from __future__ import annotations

import pytest

from voice.ears.soft_onset import FRAME_S, PAD_S, SoftOnset

ROOM = (0.01, 30.0)
SOFT = (0.1, 45.0)


def begin(*parts: tuple[tuple[float, float], int]) -> float:
    """Frames of (probability, level) and how many; the onset follows at once. How long before it the beginning is."""
    soft, at = SoftOnset(), 0
    for (probability, level_db), count in parts:
        for _ in range(count):
            at += 1
            soft.hear(probability, level_db, at * FRAME_S)
    return at * FRAME_S - soft.begin(at * FRAME_S)


def test_after_a_quiet_room_it_begins_at_the_onset() -> None:
    assert begin((ROOM, 80)) == 0


def test_a_soft_beginning_is_followed_back() -> None:
    assert begin((ROOM, 60), (SOFT, 12)) == pytest.approx(12 * FRAME_S + PAD_S)


def test_over_the_closure_of_a_consonant() -> None:
    assert begin((ROOM, 60), (SOFT, 6), (ROOM, 3), (SOFT, 4)) == pytest.approx(13 * FRAME_S + PAD_S)


def test_not_over_a_pause() -> None:
    assert begin((ROOM, 60), (SOFT, 6), (ROOM, 5), (SOFT, 4)) == pytest.approx(4 * FRAME_S + PAD_S)


@pytest.mark.parametrize(
    "sound", [(0.01, 60.0), (0.2, 35.0)], ids=["loud, no voice", "voice-like, as quiet as the room"]
)
def test_a_noise_is_no_beginning(sound: tuple[float, float]) -> None:
    assert begin((ROOM, 60), (sound, 12)) == 0


def test_never_further_than_this() -> None:
    assert begin((ROOM, 60), (SOFT, 40)) < 0.8 + PAD_S + FRAME_S


def test_steady_noise_that_sounds_a_little_like_a_voice_is_the_room() -> None:
    assert begin((SOFT, 90)) == 0


def test_what_lies_before_a_gap_is_not_reached() -> None:
    soft = SoftOnset()
    for at in range(1, 60):
        soft.hear(*SOFT, at * FRAME_S)
    soft.hear(*ROOM, 100 * FRAME_S)
    assert soft.begin(100 * FRAME_S) == 100 * FRAME_S


def test_with_nothing_heard_before() -> None:
    assert SoftOnset().begin(0.3) == 0.3
