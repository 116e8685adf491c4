"""The built-in recogniser: its features, and what it makes of real people."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from models.recipes.assistant_lm import evaluate
from tests.recordings import FOLDER, needs_recordings
from tests.speech_models import clear_speech
from voice.errors import AudioError
from voice.sphinx.features import CEPSTRA, features
from voice.stt.pocketsphinx import SPEC


def engine() -> evaluate.Any:
    return SPEC.load(SimpleNamespace(model=None, threads=1, options={"partial_decoders": "0"}))  # type: ignore[arg-type]


def tone(seconds: float, hz: float = 440.0) -> np.ndarray:
    return (3000 * np.sin(2 * np.pi * hz * np.arange(round(16_000 * seconds)) / 16_000)).astype(np.int16)


@pytest.mark.parametrize("samples", [1, 409, 410, 16_000])
def test_features_of_any_length_are_finite(samples: int) -> None:
    pcm = np.zeros(samples, np.int16)
    found = features(pcm, 0, samples, (0.96, 1.04))
    assert found.shape[0] == 2 and found.shape[2] == CEPSTRA
    assert np.isfinite(found).all()


def test_features_have_no_mean_but_the_offset_of_the_energy() -> None:
    means = features(np.concatenate([tone(0.5), tone(0.5, 900.0)]), 0, 16_000, (1.0,)).mean(axis=1)
    assert np.abs(means[0, 1:]).max() < 1e-3
    assert means[0, 0] == pytest.approx(1000.0, abs=0.1)


def test_features_do_not_depend_on_what_came_before() -> None:
    pcm = clear_speech("music")
    first = features(pcm, 0, pcm.size, (0.96,))
    features(tone(2.0), 0, 32_000, (0.96,))
    assert (features(pcm, 0, pcm.size, (0.96,)) == first).all()


def test_digital_silence_around_words_does_no_harm() -> None:
    """Microphones that suppress noise give zeros between words."""
    pcm = clear_speech("music")
    assert (pcm[:4000] == 0).all()
    recogniser = engine()
    assert recogniser.transcribe(pcm).text == "music"
    room = pcm + np.random.default_rng(3).normal(0, 15, pcm.size).astype(np.int16)
    assert recogniser.transcribe(room).text == "music"


def test_zeros_before_and_after_change_nothing() -> None:
    """A client that plays files, or gates its microphone, sends them; a room is never so quiet."""
    pcm = clear_speech("music")
    room = pcm + np.random.default_rng(3).normal(0, 15, pcm.size).astype(np.int16)
    recogniser = engine()
    alone = recogniser.transcribe(room)
    around = recogniser.transcribe(np.concatenate([np.zeros(8000, np.int16), room, np.ones(12_000, np.int16)]))
    assert (around.text, around.confidence) == (alone.text, alone.confidence)
    assert [word.start_s for word in around.words] == pytest.approx(
        [word.start_s + 0.5 for word in alone.words], abs=0.001
    )
    assert recogniser.transcribe(np.zeros(16_000, np.int16)).text == ""


def test_ten_minutes_are_the_limit() -> None:
    stream = engine().open("en")
    stream.feed(np.zeros(10 * 60 * 16_000, np.int16))
    with pytest.raises(AudioError):
        stream.feed(np.zeros(1, np.int16))
    stream.close()


@needs_recordings
def test_some_of_the_commands_of_people() -> None:
    """All 41 give 0.31 (0.91 with the wheel's own model and front end); every third one is enough here."""
    clips = evaluate.clips(FOLDER, "speech/commands_human")[::3]
    assert len(clips) > 12
    assert evaluate.score(engine(), clips).wer < 0.38
