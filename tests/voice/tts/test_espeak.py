from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from models.errors import BadInput
from voice.port import EngineConfig, SpeechChunk, TtsEngine
from voice.tts.espeak import SPEC


@pytest.fixture(scope="module")
def engine() -> TtsEngine:
    return SPEC.load(EngineConfig())


def whole(chunks: Iterator[SpeechChunk]) -> tuple[np.ndarray, SpeechChunk]:  # type: ignore[type-arg]
    found = list(chunks)
    return np.concatenate([chunk.pcm for chunk in found]), found[-1]


def test_words_are_timed_as_they_are_written(engine: TtsEngine) -> None:
    pcm, last = whole(engine.synthesize("It's 25 degrees, in 1997!", "default", 1.0, None))
    assert [word.text for word in last.words] == ["It's", "25", "degrees,", "in", "1997!"]
    assert last.words[-1].end_s < len(pcm) / last.rate_hz  # the pause after the sentence is no word


def test_letters_that_are_spelled_are_heard_when_the_last_of_them_is(engine: TtsEngine) -> None:
    """There are pauses between them."""
    pcm, last = whole(engine.synthesize("The FBI found AT&T here", "default", 1.0, None))
    for word, following in itertools.pairwise(last.words):
        between = pcm[round(word.end_s * last.rate_hz) : round(following.start_s * last.rate_hz)]
        assert len(between) < 0.2 * last.rate_hz, f"{word} is over long before {following}"


def test_it_begins_with_sound(engine: TtsEngine) -> None:
    pcm, last = whole(engine.synthesize("apple", "default", 1.0, None))
    assert np.abs(pcm[: last.rate_hz // 50].astype(np.int32)).max() > 64


def test_long_texts_come_in_pieces(engine: TtsEngine) -> None:
    text = "This is one of many sentences. " * 40
    chunks = engine.synthesize(text, "default", 1.0, None)
    first = next(chunks)
    assert len(first.pcm) / first.rate_hz < 30
    _, last = whole(chunks)
    assert len(last.words) == 40 * 6
    starts = [word.start_s for word in last.words]
    assert all(a < b for a, b in itertools.pairwise(starts))


@pytest.mark.parametrize(
    ("voice", "language"),
    [
        ("default", "fr"),
        ("default", "pt_BR"),
        ("default", "de-AT"),
        ("default", "zh"),
        ("en-gb+f3", None),
        ("DE", None),
    ],
)
def test_languages_and_voices(engine: TtsEngine, voice: str, language: str | None) -> None:
    pcm, _ = whole(engine.synthesize("1 2 3", voice, 1.0, language))
    assert len(pcm) > 8000


@pytest.mark.parametrize(("voice", "language"), [("nobody", None), ("default", "tlh"), ("../../etc", None)])
def test_unknown_ones_are_refused(engine: TtsEngine, voice: str, language: str | None) -> None:
    with pytest.raises(BadInput) as error:
        next(engine.synthesize("hello", voice, 1.0, language))
    assert error.value.param in ("voice", "language")


def test_languages_sound_different(engine: TtsEngine) -> None:
    english, _ = whole(engine.synthesize("1 2 3 4", "default", 1.0, "en"))
    german, _ = whole(engine.synthesize("1 2 3 4", "default", 1.0, "de"))
    assert abs(len(english) - len(german)) > 500
