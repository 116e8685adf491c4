from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from models.errors import BadInput, ModelUnreadable
from models.recipes.whisper_mini.fit import spoken
from tests.speech_models import whisper_mini
from voice.errors import AudioError, NoModel
from voice.port import EngineConfig, Pcm, SttEngine
from voice.stt.faster_whisper import SPEC


@pytest.fixture(scope="module")
def engine() -> SttEngine:
    return SPEC.load(EngineConfig(model=whisper_mini()))


def said(word: str) -> Pcm:
    pad = np.zeros(8000, np.float32)
    return (np.concatenate([pad, spoken(word, "en-us", 165, 45), pad]) * 32_000).astype(np.int16)


def test_a_stream_hears_all_that_was_fed_and_can_go_on(engine: SttEngine) -> None:
    stream = engine.open("en")
    audio = said("music")
    for start in range(0, len(audio), 333):
        stream.feed(audio[start : start + 333])
        assert stream.partial() == "", "nothing is made while it is only asked for"
    first = stream.transcribe()
    assert first.text == "music"
    assert first.language == "en"
    assert first.confidence is not None
    assert 0.5 < first.confidence <= 1
    assert stream.transcribe() == first
    stream.feed(np.zeros(1600, np.int16))
    assert stream.transcribe().text == "music"
    stream.close()


def test_streams_do_not_hear_each_other(engine: SttEngine) -> None:
    one, other = engine.open("en"), engine.open("en")
    one.feed(said("yes"))
    other.feed(said("lights"))
    assert (one.transcribe().text, other.transcribe().text) == ("yes", "lights")


@pytest.mark.parametrize("peak", [0, 20, 300])
def test_quiet_rooms_say_nothing(engine: SttEngine, peak: int) -> None:
    stream = engine.open("en")
    stream.feed(np.random.default_rng(1).integers(-peak, peak + 1, 48_000).astype(np.int16))
    assert stream.transcribe().text == ""


def test_too_little_to_be_a_word(engine: SttEngine) -> None:
    stream = engine.open(None)
    assert stream.transcribe().text == ""
    stream.feed(said("stop")[9000:9500])
    assert stream.transcribe().text == ""


def test_the_language_is_detected_when_none_is_asked_for(engine: SttEngine) -> None:
    stream = engine.open(None)
    stream.feed(said("hello"))
    assert stream.transcribe().language == "en"


def test_languages_by_their_tags(engine: SttEngine) -> None:
    stream = engine.open("de-AT")
    stream.feed(said("hello"))
    assert stream.transcribe().language == "de"
    with pytest.raises(BadInput):
        engine.open("klingon")


def test_words_with_times_when_asked_for() -> None:
    engine = SPEC.load(EngineConfig(model=whisper_mini(), options={"word_times": "true"}))
    stream = engine.open("en")
    stream.feed(said("music"))
    [word] = stream.transcribe().words
    assert word.text == "music"
    assert 0 <= word.start_s < word.end_s < 2.5


@pytest.mark.parametrize("bad", [np.zeros(10, np.float32), np.zeros((2, 5), np.int16), np.zeros(3, np.int32)])
def test_other_shapes_are_refused(engine: SttEngine, bad: np.ndarray) -> None:  # type: ignore[type-arg]
    with pytest.raises(AudioError):
        engine.open("en").feed(bad)


def test_a_stream_is_bounded(engine: SttEngine) -> None:
    stream = engine.open("en")
    stream.feed(np.zeros(10 * 60 * 16_000, np.int16))
    with pytest.raises(AudioError):
        stream.feed(np.zeros(1, np.int16))


def test_a_missing_or_broken_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoModel):
        SPEC.load(EngineConfig())
    with pytest.raises(NoModel):
        SPEC.load(EngineConfig(model=tmp_path))
    shutil.copytree(whisper_mini(), tmp_path / "a")
    (tmp_path / "a" / "tokenizer.json").unlink()
    with pytest.raises(ModelUnreadable, match="tokenizer"):
        SPEC.load(EngineConfig(model=tmp_path / "a"))
    shutil.copytree(whisper_mini(), tmp_path / "b")
    data = (tmp_path / "b" / "model.bin").read_bytes()
    (tmp_path / "b" / "model.bin").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelUnreadable):
        SPEC.load(EngineConfig(model=tmp_path / "b"))
