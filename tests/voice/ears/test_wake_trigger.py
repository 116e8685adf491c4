"""Names of wake words, the refractory time, and where a word ends."""

from __future__ import annotations

import numpy as np
import pytest

from voice.ears.wake_trigger import WakeTrigger, locate, match_words, spoken_name, word_of_file
from voice.port import Pcm


@pytest.mark.parametrize(
    "name", ["hey jarvis", "Hey Jarvis", "hey_jarvis", "hey-jarvis", " HEY  jarvis! ", "Hey, Jarvis"]
)
def test_one_spelling(name: str) -> None:
    assert spoken_name(name) == "hey jarvis"


@pytest.mark.parametrize("stem", ["hey_jarvis", "hey_jarvis_v0.1", "hey-jarvis-v2", "Hey_Jarvis_v1.0.2"])
def test_the_word_of_a_file(stem: str) -> None:
    assert word_of_file(stem) == "hey jarvis"


def test_words_are_matched_by_name_and_keep_their_spelling() -> None:
    known = ("alexa", "hey_jarvis", "Ökonom")
    assert match_words(["Hey-Jarvis", "computer", "ökonom"], known) == {
        "hey_jarvis": "Hey-Jarvis",
        "Ökonom": "ökonom",
    }
    assert match_words([], known) == {}


def test_a_word_is_reported_once_in_its_refractory_time() -> None:
    trigger = WakeTrigger(0.5, 1500)
    heard = [trigger.step({"alexa": 0.9}, round(i * 0.08, 2)) for i in range(1, 40)]
    assert [i for i, word in enumerate(heard, 1) if word] == [1, 20, 39]


def test_the_better_of_two_is_reported_and_the_other_is_not_later() -> None:
    trigger = WakeTrigger(0.5, 1500)
    assert trigger.step({"alexa": 0.6, "hey jarvis": 0.7}, 1.0) == "hey jarvis"
    assert trigger.step({"alexa": 0.8, "hey jarvis": 0.7}, 1.08) is None


def test_words_have_their_own_refractory_time() -> None:
    trigger = WakeTrigger(0.5, 1500)
    assert trigger.step({"alexa": 0.6, "hey jarvis": 0.1}, 1.0) == "alexa"
    assert trigger.step({"alexa": 0.9, "hey jarvis": 0.7}, 1.08) == "hey jarvis"


def test_the_threshold_counts() -> None:
    trigger = WakeTrigger(0.8, 0)
    assert trigger.step({"alexa": 0.79}, 1.0) is None
    assert trigger.step({"alexa": 0.8}, 1.08) == "alexa"
    assert trigger.step({}, 1.16) is None


def sound(*parts: tuple[float, int]) -> Pcm:
    """(seconds, level) after each other, noise."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(0, level, round(seconds * 16_000)) for seconds, level in parts]).astype(
        np.int16
    )


@pytest.mark.parametrize("gap_s", [0.03, 0.06, 0.1, 0.5])
@pytest.mark.parametrize("crossing_s", [1.45, 1.53, 1.62])
def test_the_end_is_in_the_gap_and_the_start_before_the_word(gap_s: float, crossing_s: float) -> None:
    pcm = sound((1.0, 20), (0.62, 3000), (gap_s, 20), (1.0, 3000))  # the word lies from 1.0 to 1.62 s
    start, end = locate(pcm, round(crossing_s * 16_000), "alexa")
    assert 1.61 <= end / 16_000 <= 1.62 + gap_s
    assert 0.7 <= start / 16_000 <= 1.01


def test_without_a_gap_the_end_is_near_the_crossing() -> None:
    pcm = sound((1.0, 20), (2.0, 3000))
    _, end = locate(pcm, round(1.55 * 16_000), "alexa")
    assert 1.55 <= end / 16_000 <= 1.62


@pytest.mark.parametrize("length", [0, 1, 100, 320, 8000, 26_000, 30_000])
@pytest.mark.parametrize("crossing", [0, 1280, 8000, 25_600])
def test_it_makes_do_with_the_audio_there_is(length: int, crossing: int) -> None:
    pcm = sound((length / 16_000, 1000))
    start, end = locate(pcm, min(crossing, length), "hey jarvis")
    assert 0 <= start <= end <= length
