"""The small Piper voice really speaks: a recogniser understands it; and it keeps Piper's contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from models.recipes.piper_mini.phones import SYMBOLS, nearest, symbols_of
from tests.speech_models import piper_mini

WORDS = "zero one two three four five six seven eight nine stop music lights hello weather kitchen".split()


@pytest.fixture(scope="module")
def voice() -> Any:
    from piper import PiperVoice

    return PiperVoice.load(piper_mini(), include_alignments=True)


def say(voice: Any, text: str, **settings: Any) -> list[Any]:
    from piper import SynthesisConfig

    return list(voice.synthesize(text, SynthesisConfig(**settings), include_alignments=True))


def test_a_recogniser_understands_its_words(voice: Any, tmp_path: Path) -> None:
    import pocketsphinx

    grammar = tmp_path / "words.gram"
    grammar.write_text("#JSGF V1.0;\ngrammar words;\npublic <word> = " + " | ".join(WORDS) + ";\n", encoding="utf-8")
    decoder = pocketsphinx.Decoder(samprate=16_000, jsgf=str(grammar), lm=None, loglevel="FATAL")
    heard = []
    for word in WORDS:
        [chunk] = say(voice, word + ".")
        quiet = np.zeros(4000, np.int16)
        decoder.start_utt()
        decoder.process_raw(np.concatenate([quiet, chunk.audio_int16_array // 2, quiet]).tobytes(), full_utt=True)
        decoder.end_utt()
        heard.append(decoder.hyp().hypstr if decoder.hyp() else "")
    assert sum(a == b for a, b in zip(heard, WORDS, strict=True)) >= 0.85 * len(WORDS), heard


def test_the_times_of_the_phonemes_are_the_audio(voice: Any) -> None:
    for chunk in say(voice, "What time is it? It is twenty five past nine, I think."):
        assert sum(part.num_samples for part in chunk.phoneme_alignments) == len(chunk.audio_int16_array)
        assert chunk.sample_rate == 16_000


@pytest.mark.parametrize("scale", [0.25, 0.5, 2.0, 4.0])
def test_the_length_scale_scales(voice: Any, scale: float) -> None:
    [plain] = say(voice, "the capital of France is Paris")
    [scaled] = say(voice, "the capital of France is Paris", length_scale=scale)
    ratio = len(scaled.audio_int16_array) / len(plain.audio_int16_array)
    assert ratio == pytest.approx(scale, rel=0.12)


def test_phonemes_it_has_not_recorded_sound_like_others(voice: Any) -> None:
    [chunk] = say(voice, "Привет")
    assert len(chunk.audio_int16_array) > 3000
    assert all(nearest(phoneme) in SYMBOLS for phoneme in voice.config.phoneme_id_map)


def test_a_long_phoneme_is_two_of_the_same() -> None:
    assert symbols_of("ˈɜː") == ["ɜ", "ɜ"]
    assert symbols_of("tʃ") == ["t", "ʃ"]
    assert symbols_of("") == []


def test_the_graph_is_valid_and_small() -> None:
    path = piper_mini()
    onnx.checker.check_model(onnx.load(str(path)), full_check=True)
    assert path.stat().st_size < 6e6
    assert path.with_name(path.name + ".json").is_file()
