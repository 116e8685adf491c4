"""pocketsphinx tells short phrases apart. espeak-ng speaks a little differently each time, so rates are asserted."""

from __future__ import annotations

import numpy as np
import pytest

from models.registry import discover
from tests.speaking import spoken
from tests.speech_models import engine_config
from voice.port import EngineConfig, Pcm, SpottingEngineStream, SttEngine
from voice.resample import StreamResampler
from voice.settings import STOP_PHRASES
from voice.turn.back_channels import MURMURS
from voice.turn.bargein import INTERRUPTERS

STOPS = (*STOP_PHRASES, *INTERRUPTERS)
ALL = (*STOPS, *MURMURS)
VOICES = ("en-us", "en-us+f3", "en-gb+f2", "en-us+m3")


@pytest.fixture(scope="module")
def engine() -> SttEngine:
    return discover("voice.stt")["pocketsphinx"].load(engine_config("pocketsphinx", needs_model=False))


def said(text: str, voice: str) -> Pcm:
    chunks = list(discover("voice.tts")["espeak"].load(EngineConfig()).synthesize(text, voice, 1.0, None))
    whole = np.concatenate([chunk.pcm for chunk in chunks])
    pcm = StreamResampler(chunks[0].rate_hz, 16_000).process(whole, last=True)
    quiet = np.random.default_rng(0).normal(0, 12, 5_000).astype(np.int16)
    return np.concatenate((quiet, pcm, quiet[:3_000]))


def spot(engine: SttEngine, pcm: Pcm, phrases: tuple[str, ...] = ALL) -> str:
    stream = engine.open("en")
    try:
        stream.feed(pcm)
        assert isinstance(stream, SpottingEngineStream)
        return stream.spot(phrases)
    finally:
        stream.close()


def test_words_that_stop_are_found_and_murmurs_are_not_taken_for_them(engine: SttEngine) -> None:
    stops = [spot(engine, said(text, voice)) for text in ("stop it", "wait", "no", "cancel") for voice in VOICES]
    assert sum(found in STOPS for found in stops) >= 11, stops
    murmurs = [spot(engine, said(text, voice)) for text in ("yeah", "okay", "right", "i see") for voice in VOICES]
    assert sum(found in STOPS for found in murmurs) <= 2, murmurs


def test_longer_speech_noise_and_silence_are_none_of_them(engine: SttEngine) -> None:
    rng = np.random.default_rng(1)
    assert spot(engine, spoken("turn on the light in the kitchen and close the door")) == ""
    assert spot(engine, np.zeros(16_000, np.int16)) == ""
    assert spot(engine, rng.normal(0, 2000, 16_000).astype(np.int16)) not in STOPS


def test_an_unknown_word_is_left_out_and_nothing_known_is_nothing_found(engine: SttEngine) -> None:
    assert spot(engine, said("wait", "en-us"), ("xyzzy frotz",)) == ""
    assert spot(engine, said("wait", "en-us"), ("xyzzy", "wait", "")) in ("wait", "")
