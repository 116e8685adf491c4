from __future__ import annotations

import threading

import numpy as np
import pytest

from models.errors import BadInput
from models.espeak_ng import library


def test_words_and_phonemes_have_places_in_the_audio() -> None:
    said = library().speak("Hello small world", "en-us", phonemes=True)
    assert said.rate_hz == 22_050
    assert [word.name for word in said.words] == ["Hello", "small", "world"]
    samples = [word.sample for word in said.words]
    assert samples == sorted(samples)
    assert samples[-1] < len(said.pcm)
    names = "".join(sound.name for sound in said.phonemes)
    assert names.startswith("hə")
    assert "ɔːl" in names


def test_every_word_has_sound_under_it() -> None:
    said = library().speak("one two three four", "en-us")
    starts = [word.sample for word in said.words]
    for start, end in zip(starts, [*starts[1:], len(said.pcm)], strict=True):
        assert np.abs(said.pcm[start:end].astype(np.int32)).max() > 3000


@pytest.mark.parametrize("voice", ["en-us", "en-gb", "EN-GB", "en-gb+f3", "fr-fr", "de", "cmn"])
def test_voices_are_found_by_their_ids(voice: str) -> None:
    assert len(library().speak("1 2 3", voice).pcm) > 11_025


def test_all_listed_voices_can_be_chosen() -> None:
    voices = library().voices()
    assert len(voices) > 100
    for voice in voices:
        library().speak("1", voice.id)


def test_an_unknown_voice_is_refused() -> None:
    with pytest.raises(BadInput) as error:
        library().speak("hello", "klingonese")
    assert error.value.param == "voice"


def test_speed_changes_the_length() -> None:
    slow, fast = (len(library().speak("the capital of france is paris", "en-us", wpm).pcm) for wpm in (100, 300))
    assert slow > 1.8 * fast


@pytest.mark.parametrize(
    "text", ["", "\0", "a\0b", "\x1b[31m", "\ud800", "<speak><break time='9s'/></speak>", "\n\n"]
)
def test_odd_texts_end(text: str) -> None:
    assert len(library().speak(text, "en-us").pcm) < 30 * 22_050


def test_threads_take_turns() -> None:
    texts = ["one", "a much longer sentence than the other one"] * 4
    lengths: dict[int, int] = {}

    def speak(index: int) -> None:
        lengths[index] = len(library().speak(texts[index], "en-us").pcm)

    threads = [threading.Thread(target=speak, args=(index,)) for index in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(lengths[long] > 2 * lengths[short] for long in (1, 3, 5, 7) for short in (0, 2, 4, 6))
