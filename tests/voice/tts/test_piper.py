from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import BadInput, ModelUnreadable
from tests.speech_models import piper_mini
from voice.errors import NoModel
from voice.port import EngineConfig, SpeechChunk, TtsEngine
from voice.tts.piper import SPEC


@pytest.fixture(scope="module")
def engine() -> TtsEngine:
    return SPEC.load(EngineConfig(model=piper_mini()))


def spoken(engine: TtsEngine, text: str, speed: float = 1.0, voice: str = "default") -> tuple[float, SpeechChunk]:
    chunks = list(engine.synthesize(text, voice, speed, None))
    return sum(len(chunk.pcm) for chunk in chunks) / chunks[-1].rate_hz, chunks[-1]


def test_every_word_has_sound_under_it(engine: TtsEngine) -> None:
    chunks = list(engine.synthesize("the capital of France is Paris", "default", 1.0, None))
    pcm = np.concatenate([chunk.pcm for chunk in chunks]).astype(np.int32)
    words = chunks[-1].words
    assert [word.text for word in words] == "the capital of France is Paris".split()
    for word in words:
        assert np.abs(pcm[int(word.start_s * 16_000) : int(word.end_s * 16_000)]).max() > 1000


def test_a_sentence_is_a_chunk_and_the_pause_between_is_nobodys(engine: TtsEngine) -> None:
    chunks = list(engine.synthesize("Hello world. It is late.", "default", 1.0, None))
    assert len(chunks) == 3
    world, it = chunks[-1].words[1:3]
    assert it.start_s - world.end_s > 0.2


def test_numbers_are_one_word_of_several_sounds(engine: TtsEngine) -> None:
    _, last = spoken(engine, "It was 25 in 1997 there")
    assert [word.text for word in last.words] == ["It", "was", "25", "in", "1997", "there"]
    lengths = {word.text: word.end_s - word.start_s for word in last.words}
    assert lengths["1997"] > 2 * lengths["was"]


@pytest.mark.parametrize(
    ("digits", "words"),
    [("25 cars of the town", "twenty five cars of the town"), ("3 of the 7th", "three of the seventh")],
)
def test_what_follows_a_number_is_said_when_it_is(engine: TtsEngine, digits: str, words: str) -> None:
    """Both are the same sounds. "of the" is one of them, so that here are as many words as sounds."""
    after = [spoken(engine, text)[1].words[-4:] for text in (digits, words)]
    for one, other in zip(*after, strict=True):
        assert one.end_s == pytest.approx(other.end_s, abs=0.001)


def test_speed(engine: TtsEngine) -> None:
    plain, _ = spoken(engine, "the capital of France is Paris")
    fast, last = spoken(engine, "the capital of France is Paris", 2.0)
    assert plain / fast == pytest.approx(2, rel=0.15)
    assert last.words[-1].end_s <= fast


def test_square_brackets_are_text_and_no_phonemes(engine: TtsEngine) -> None:
    plain, _ = spoken(engine, "oh")
    bracketed, _ = spoken(engine, "oh [[ˈˈˈˈˈˈ]]")
    assert bracketed >= plain


def test_its_voice_has_a_name(engine: TtsEngine) -> None:
    [info] = engine.voices()
    assert (info.id, info.language, info.rate_hz) == ("en_US-mini-x_low", "en-US", 16_000)
    assert spoken(engine, "hello", voice=info.id)[0] > 0.2
    with pytest.raises(BadInput) as error:
        spoken(engine, "hello", voice="alan")
    assert "en_US-mini-x_low" in error.value.hint


def test_speakers_are_voices(tmp_path: Path) -> None:
    """A file with speakers wants a speaker id; the small voice has no input for it, so only the choice is seen."""
    config: dict[str, Any] = json.loads(
        piper_mini().with_name(piper_mini().name + ".json").read_text(encoding="utf-8")
    )
    config |= {"num_speakers": 2, "speaker_id_map": {"ann": 0, "bob": 1}}
    shutil.copy(piper_mini(), tmp_path / "two.onnx")
    (tmp_path / "two.onnx.json").write_text(json.dumps(config), encoding="utf-8")
    engine = SPEC.load(EngineConfig(model=tmp_path / "two.onnx"))
    assert [info.id for info in engine.voices()] == ["two#ann", "two#bob"]
    with pytest.raises(BadInput):
        next(engine.synthesize("hello", "two#cy", 1.0, None))


def test_a_missing_or_broken_voice_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoModel):
        SPEC.load(EngineConfig())
    with pytest.raises(NoModel):
        SPEC.load(EngineConfig(model=tmp_path / "none.onnx"))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no onnx at all")
    shutil.copy(piper_mini().with_name(piper_mini().name + ".json"), tmp_path / "broken.onnx.json")
    with pytest.raises(ModelUnreadable):
        SPEC.load(EngineConfig(model=broken))
    shutil.copy(piper_mini(), broken)
    (tmp_path / "broken.onnx.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelUnreadable):
        SPEC.load(EngineConfig(model=broken))


@pytest.mark.testdata
def test_a_voice_of_another_maker_loads_and_is_silent_as_it_says(testdata: Path) -> None:
    engine = SPEC.load(EngineConfig(model=testdata / "tts" / "piper-test-voice-silence.onnx"))
    seconds, last = spoken(engine, "hello")
    assert last.rate_hz == 22_050
    assert seconds == 0  # all of it is leading silence
