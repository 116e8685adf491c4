"""Onsets and offsets from probabilities, frame by frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.ears.segmenter import FRAME_S, Offset, Onset, Segmenter


def run(segmenter: Segmenter, probabilities: list[float], first_frame: int = 0) -> list[tuple[str, int, int]]:
    """(kind, frame it is dated to, frame that raised it) for every event."""
    events = []
    for i, probability in enumerate(probabilities, first_frame):
        event = segmenter.step(probability, (i + 1) * FRAME_S)
        if event is not None:
            events.append((type(event).__name__, round(event.at_s / FRAME_S), i))
    return events


LOUD, SOFT, QUIET = 0.9, 0.4, 0.1


def test_speech_begins_after_min_speech_and_is_dated_back() -> None:
    assert run(Segmenter(), [QUIET] * 5 + [LOUD] * 10) == [("Onset", 5, 7)]


def test_speech_ends_after_the_pause_and_is_dated_back_to_the_last_voice() -> None:
    events = run(Segmenter(pause_ms=160), [LOUD] * 10 + [QUIET] * 10)
    assert events == [("Onset", 0, 2), ("Offset", 10, 14)]


@pytest.mark.parametrize(("pause_ms", "frames"), [(32, 1), (100, 4), (160, 5), (500, 16)])
def test_a_shorter_silence_is_part_of_the_speech(pause_ms: int, frames: int) -> None:
    speech = [LOUD] * 5
    assert run(Segmenter(pause_ms=pause_ms), speech + [QUIET] * (frames - 1) + speech) == [("Onset", 0, 2)]
    assert run(Segmenter(pause_ms=pause_ms), speech + [QUIET] * frames)[-1] == ("Offset", 5, 4 + frames)


@pytest.mark.parametrize(("min_speech_ms", "frames"), [(1, 1), (64, 2), (96, 3), (100, 4), (384, 12)])
def test_sounds_shorter_than_min_speech_begin_nothing(min_speech_ms: int, frames: int) -> None:
    segmenter = Segmenter(min_speech_ms=min_speech_ms)
    assert run(segmenter, [LOUD] * (frames - 1) + [QUIET] * 5) == []
    assert run(segmenter, [LOUD] * frames, first_frame=100) == [("Onset", 100, 99 + frames)]


def test_taps_begin_nothing_however_many() -> None:
    assert run(Segmenter(), [LOUD, QUIET, QUIET] * 50) == []


@pytest.mark.parametrize(
    ("threshold", "probabilities", "rising"),
    [
        (0.5, [0.43, 0.37, 0.33], [True, False, False]),  # a recorded "run" that begins softly
        (0.5, [0.58, 0.99], [True, True]),  # a "t", and its vowel
        (0.5, [0.38, 0.38, 0.38], [False, False, False]),
        (0.5, [0.9, 0.36, 0.1], [True, True, False]),
        (0.8, [0.66, 0.72], [False, True]),
    ],
)
def test_what_may_be_the_beginning_of_speech_is_known_before_the_onset(
    threshold: float, probabilities: list[float], rising: list[bool]
) -> None:
    segmenter, seen = Segmenter(threshold), []
    for i, probability in enumerate(probabilities):
        segmenter.step(probability, (i + 1) * FRAME_S)
        seen.append(segmenter.rising)
    assert seen == rising


def test_a_hole_of_one_frame_is_bridged() -> None:
    assert run(Segmenter(), [LOUD, LOUD, QUIET, LOUD]) == [("Onset", 0, 3)]


def test_a_hum_under_the_threshold_begins_nothing_and_does_not_date_back_speech_far() -> None:
    assert run(Segmenter(), [SOFT] * 100) == []
    ((_, at, raised),) = run(Segmenter(), [SOFT] * 100 + [LOUD] * 5)
    assert 93 <= at <= 100
    assert raised <= 102


def test_a_soft_beginning_belongs_to_the_speech() -> None:
    assert run(Segmenter(), [QUIET, SOFT, 0.7, LOUD]) == [("Onset", 1, 3)]


def test_speech_goes_on_between_the_thresholds() -> None:
    assert run(Segmenter(), [LOUD] * 5 + [SOFT] * 40) == [("Onset", 0, 2)]


def test_a_click_in_a_pause_does_not_restart_it() -> None:
    events = run(Segmenter(pause_ms=320), [LOUD] * 5 + [QUIET] * 4 + [LOUD] + [QUIET] * 10)
    assert events[-1] == ("Offset", 5, 14)


def test_two_frames_of_voice_in_a_pause_do_restart_it() -> None:
    events = run(Segmenter(pause_ms=320), [LOUD] * 5 + [QUIET] * 4 + [LOUD] * 2 + [QUIET] * 10)
    assert events[-1] == ("Offset", 11, 20)


def test_voice_is_counted_without_the_pauses() -> None:
    segmenter = Segmenter(pause_ms=500)
    run(segmenter, [LOUD] * 5 + [QUIET] * 6 + [LOUD] * 3)
    assert segmenter.voiced_s == pytest.approx(8 * FRAME_S)
    assert segmenter.voiced
    run(segmenter, [QUIET], first_frame=14)
    assert not segmenter.voiced
    assert segmenter.in_speech
    run(segmenter, [QUIET] * 20, first_frame=15)
    assert not segmenter.in_speech
    assert segmenter.voiced_s == pytest.approx(8 * FRAME_S)
    run(segmenter, [LOUD] * 3, first_frame=35)
    assert segmenter.voiced_s == pytest.approx(3 * FRAME_S)


def test_lost_audio_is_neither_silence_nor_voice() -> None:
    segmenter = Segmenter(pause_ms=160)
    run(segmenter, [LOUD] * 5 + [QUIET] * 3)
    assert run(segmenter, [QUIET] * 4, first_frame=1000) == []  # the pause starts anew
    assert run(segmenter, [QUIET], first_frame=1004) == [("Offset", 1000, 1004)]
    segmenter = Segmenter()
    run(segmenter, [LOUD] * 2)
    assert run(segmenter, [LOUD] * 2, first_frame=1000) == []  # and so does what was collected
    assert run(segmenter, [LOUD], first_frame=1002) == [("Onset", 1000, 1002)]


def test_the_threshold_can_be_set() -> None:
    assert run(Segmenter(threshold=0.8), [0.7] * 20) == []
    assert run(Segmenter(threshold=0.3), [0.32] * 3) == [("Onset", 0, 2)]
    assert run(Segmenter(threshold=0.1), [0.12] * 3 + [0.0] * 5) == [("Onset", 0, 2), ("Offset", 3, 7)]


@given(
    st.lists(st.floats(0, 1), max_size=200),
    st.floats(0.05, 0.95),
    st.integers(32, 700),
    st.integers(32, 400),
)
def test_events_alternate_and_their_times_grow(
    probabilities: list[float], threshold: float, pause_ms: int, min_speech_ms: int
) -> None:
    segmenter = Segmenter(threshold, pause_ms, min_speech_ms)
    last_at_s, speaking = 0.0, False
    for i, probability in enumerate(probabilities):
        now_s = (i + 1) * FRAME_S
        event = segmenter.step(probability, now_s)
        if isinstance(event, Onset):
            assert not speaking
            speaking = True
        elif isinstance(event, Offset):
            assert speaking
            speaking = False
            assert now_s - event.at_s >= pause_ms / 1000 - FRAME_S / 10
        if event is not None:
            assert last_at_s - 1e-6 <= event.at_s <= now_s
            last_at_s = event.at_s
        assert segmenter.in_speech == speaking
        assert not segmenter.voiced or speaking
