"""Which audio a partial transcript is made of, and what a client sees of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.port import Pcm
from voice.whisper.rolling import RATE_HZ, WINDOW_SAMPLES, RollingTranscript, Stretch, sounds

QUIET = np.random.default_rng(1).integers(-20, 21, 200 * RATE_HZ).astype(np.int16)
LOUD = np.random.default_rng(2).integers(-6000, 6001, 200 * RATE_HZ).astype(np.int16)


@dataclass(frozen=True)
class Spoken:
    text: str
    start: int
    end: int


def spoken(words: list[tuple[int, int]]) -> tuple[Pcm, list[Spoken]]:
    """(ms of the word, ms of the pause after it): the audio, and what is where in it."""
    audio, found, at = QUIET.copy(), [], RATE_HZ // 2
    for number, (word_ms, pause_ms) in enumerate(words):
        end = at + word_ms * 16
        audio[at:end] = LOUD[at:end]
        found.append(Spoken(f"w{number}", at, end))
        at = end + pause_ms * 16
    return audio[: at + 1600], found


def recognise(said: list[Spoken], stretch: Stretch) -> str:
    """All words of the stretch; of one that is cut off at its end, what is there of it."""
    heard = []
    for word in said:
        there = min(word.end, stretch.end) - max(word.start, stretch.start)
        if there > 0:
            whole = word.start >= stretch.start and word.end <= stretch.end
            heard.append(word.text if whole else f"{word.text}~{there}")
    text = " ".join(heard)
    return text if text.startswith(stretch.prefix) else stretch.prefix + text[len(stretch.prefix) :]


WORDS = st.lists(st.tuples(st.integers(80, 700), st.sampled_from([20, 60, 400, 900])), min_size=1, max_size=120)


@given(words=WORDS, every_ms=st.lists(st.integers(300, 4000), min_size=1, max_size=20))
@settings(deadline=None, max_examples=60)
def test_what_is_sure_stays_and_every_run_is_short_and_begins_where_the_words_are_not_sure(
    words: list[tuple[int, int]], every_ms: list[int]
) -> None:
    audio, said = spoken(words)
    rolling, samples, start, fixed, sure = RollingTranscript(), 0, 0, "", ""
    for number in range(1000):
        samples = min(len(audio), samples + every_ms[number % len(every_ms)] * 16)
        if rolling.due(samples):
            stretch = rolling.next(audio[:samples])
            assert stretch.start == start, "no audio is left out, and none is heard twice once it is sure"
            assert stretch.start < stretch.end <= samples
            assert stretch.end - stretch.start <= WINDOW_SAMPLES
            before, sure = sure, f"{fixed} {stretch.prefix}".strip()
            assert sure.startswith(before), "words that two runs agreed on do not change"
            rolling.heard(stretch, recognise(said, stretch))
            assert rolling.text.startswith(sure)
            if stretch.closes:
                start, fixed = stretch.end, rolling.text
        if samples == len(audio):
            break


@pytest.mark.parametrize("every_ms", [300, 900, 2500])
def test_a_minute_with_pauses_is_heard_to_the_word(every_ms: int) -> None:
    """Pauses of 400 ms: windows are closed there, so that no word is cut."""
    audio, said = spoken([(300, 60 if number % 4 else 400) for number in range(150)])
    rolling, longest, runs = RollingTranscript(), 0, 0
    for samples in range(every_ms * 16, len(audio), every_ms * 16):
        if not rolling.due(samples):
            continue
        stretch = rolling.next(audio[:samples])
        longest = max(longest, stretch.end - stretch.start)
        rolling.heard(stretch, recognise(said, stretch))
        runs += 1
        words = rolling.text.split()
        assert words[:-1] == [word.text for word in said][: len(words) - 1]
    assert runs >= 20
    assert longest <= 17 * RATE_HZ
    assert len(rolling.text.split()) >= 140


def heard(rolling: RollingTranscript, seconds: float, text: str) -> Stretch:
    samples = int(seconds * RATE_HZ)
    assert rolling.due(samples)
    stretch = rolling.next(LOUD[:samples])
    rolling.heard(stretch, text)
    return stretch


def test_two_runs_agree_on_words_and_the_next_begins_with_them() -> None:
    rolling = RollingTranscript()
    assert heard(rolling, 1.5, "Turn on the lie").prefix == ""
    assert heard(rolling, 2.5, "Turn on the lights in").prefix == ""
    assert rolling.text == "Turn on the lights in"
    assert heard(rolling, 3.5, "Turn on the lights in the kitchen.").prefix == "Turn on the"
    assert rolling.text == "Turn on the lights in the kitchen."


def test_a_full_stop_that_was_put_too_soon_is_not_sure() -> None:
    rolling = RollingTranscript()
    heard(rolling, 1.5, "Turn on.")
    heard(rolling, 2.5, "Turn on the lights.")
    assert heard(rolling, 3.5, "Turn on the lights.").prefix == "Turn"


def test_where_whisper_is_unsure_what_was_known_stays() -> None:
    rolling = RollingTranscript()
    heard(rolling, 1.5, "one two")
    heard(rolling, 2.5, "one two three")
    heard(rolling, 3.5, "")
    assert rolling.text == "one two three"
    assert heard(rolling, 4.5, "one two three four").prefix == "one two"


def test_a_run_that_does_not_begin_as_it_should_is_dropped() -> None:
    rolling = RollingTranscript()
    heard(rolling, 1.5, "one two")
    heard(rolling, 2.5, "one two three")
    heard(rolling, 3.5, "won too three four")
    assert rolling.text == "one two three"


def test_a_second_is_needed_and_something_new() -> None:
    rolling = RollingTranscript()
    assert not rolling.due(RATE_HZ - 1)
    assert rolling.due(RATE_HZ)
    rolling.heard(rolling.next(LOUD[:RATE_HZ]), "one")
    assert not rolling.due(RATE_HZ + 4799)
    assert rolling.due(RATE_HZ + 4800)


def test_one_that_was_never_heard_is_caught_up_with() -> None:
    rolling, windows = RollingTranscript(), 0
    while rolling.due(100 * RATE_HZ):
        stretch = rolling.next(LOUD[: 100 * RATE_HZ])
        assert stretch.end - stretch.start <= WINDOW_SAMPLES
        rolling.heard(stretch, f"{windows}")
        windows += 1
        assert windows < 1000
    assert rolling.text.split() == [str(window) for window in range(windows)]


@pytest.mark.parametrize("noise", [0.0, 0.03, 0.2])
def test_a_voice_sounds_while_it_does_and_not_in_a_pause(noise: float) -> None:
    audio, said = spoken([(300, 60), (250, 60), (400, 400)])
    room = (audio + noise * LOUD[5 : len(audio) + 5]).astype(np.int16)
    end = said[-1].end
    assert sounds(room[:end])
    assert sounds(room[: end - 1600])
    assert not sounds(room[: end + 1600])
    assert not sounds(room[: said[0].start])


def test_what_was_said_since_is_known() -> None:
    audio, (first, second) = spoken([(300, 1000), (400, 500)])
    assert sounds(audio, second.end - 1600)
    assert sounds(audio, first.end)
    assert not sounds(audio, second.end)
    assert not sounds(audio, len(audio))
    assert not sounds(audio[: second.start], first.end)


@pytest.mark.parametrize("audio", [LOUD[:0], LOUD[:100], LOUD[:48_000], QUIET[:48_000], np.zeros(48_000, np.int16)])
def test_what_is_always_the_same_is_no_voice(audio: Pcm) -> None:
    assert not sounds(audio)
