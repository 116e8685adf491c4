"""The small Whisper runs in faster-whisper, hears its words from new voices, and silence as silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.recipes.whisper_mini.build import build
from models.recipes.whisper_mini.fit import VOICES, spoken
from models.recipes.whisper_mini.tokens import LANGUAGES, WORDS, vocabulary
from tests.speech_models import whisper_mini

PAD = np.zeros(8000, np.float32)
NEW_VOICES = ("en-us+m1", "en-gb+f4", "en-us-nyc")


@pytest.fixture(scope="module")
def whisper() -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(str(whisper_mini()), device="cpu", compute_type="int8", cpu_threads=1)


def hear(whisper: Any, audio: np.ndarray[Any, Any], **options: Any) -> tuple[str, Any]:
    segments, info = whisper.transcribe(audio.astype(np.float32), beam_size=1, **options)
    return "".join(segment.text for segment in segments).strip(), info


def test_it_hears_its_words_from_voices_it_was_not_fitted_on(whisper: Any) -> None:
    assert not set(NEW_VOICES) & set(VOICES)
    right = sum(
        hear(whisper, np.concatenate([PAD, spoken(word, voice, 165, 45), PAD]))[0] == word
        for word in WORDS
        for voice in NEW_VOICES
    )
    assert right >= 0.8 * len(WORDS) * len(NEW_VOICES)


@pytest.mark.parametrize("loudness", [0.0, 1e-4, 1e-2, 0.3])
@pytest.mark.parametrize("time_stamps", [True, False])
def test_silence_and_noise_are_no_words(whisper: Any, loudness: float, time_stamps: bool) -> None:
    noise = np.random.default_rng(3).normal(0, loudness, 40_000) if loudness else np.zeros(40_000)
    assert hear(whisper, noise, without_timestamps=not time_stamps)[0] == ""


def test_languages_are_detected_and_asked_for(whisper: Any) -> None:
    assert whisper.model.is_multilingual
    audio = np.concatenate([PAD, spoken("music", "en-us", 165, 45), PAD])
    assert hear(whisper, audio)[1].language == "en"
    assert hear(whisper, audio, language="de")[1].language == "de"
    assert set(LANGUAGES) <= set(whisper.supported_languages)


def test_words_have_times(whisper: Any) -> None:
    audio = np.concatenate([PAD, spoken("music", "en-us", 165, 45), PAD])
    segments, _ = whisper.transcribe(audio, beam_size=1, word_timestamps=True)
    [word] = [word for segment in segments for word in segment.words]
    assert word.word.strip() == "music"
    assert 0 <= word.start < word.end <= len(audio) / 16_000


def test_long_audio_is_heard_window_by_window(whisper: Any) -> None:
    audio = np.concatenate([PAD, spoken("hello", "en-us", 165, 45), np.zeros(35 * 16_000, np.float32)])
    assert hear(whisper, audio)[0] == "hello"


def test_an_english_only_model_can_be_made(tmp_path: Path) -> None:
    from faster_whisper import WhisperModel

    build(tmp_path, multilingual=False)
    whisper = WhisperModel(str(tmp_path), device="cpu", compute_type="int8", cpu_threads=1)
    assert not whisper.model.is_multilingual
    # espeak-ng says nothing twice in the same way: one word may be missed, most may not.
    said = {word: hear(whisper, np.concatenate([PAD, spoken(word, "en-us", 165, 45), PAD]))[0] for word in WORDS}
    assert sum(word == heard for word, heard in said.items()) >= 0.8 * len(WORDS), said


def test_the_vocabulary_is_in_whispers_order() -> None:
    known = vocabulary(multilingual=True)
    assert len(set(known.tokens)) == len(known.tokens)
    assert known.tokens[known.end] == "<|endoftext|>"
    assert known.tokens[known.first_time_stamp] == "<|0.00|>"
    assert known.tokens[-1] == "<|30.00|>"
    assert all(index < known.end for index in known.words)
    assert known.start == known.end + 1
    assert known.start < min(known.languages) < known.no_time_stamps
