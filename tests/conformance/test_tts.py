"""What every synthesiser must do: run over all that discovery finds, in this process and in a worker."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import AsyncIterator, Iterator

import aiohttp
import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import BadInput
from models.registry import discover
from tests.speech_models import engine_config
from tests.speech_worker import SpeechWorker, running_worker
from voice.errors import TtsFailed
from voice.port import Pcm, SpeakRequest, SpeechChunk, TtsEngine, TtsSpec, VoiceInfo
from voice.tts.remote import RemoteTts

SPECS: dict[str, TtsSpec] = discover("voice.tts")
SENTENCE = "The capital of France is Paris, and it lies on the river Seine."

ODD = {
    "empty": "",
    "spaces": " \t\n ",
    "nul": "before\0after",
    "only nul": "\0",
    "controls": "a\x07b\x1b[31mc\x7f",
    "lone surrogate": "a\ud800b",
    "emoji": "Great! 🎉👨‍👩‍👧‍👦🏳️‍🌈",
    "punctuation": "... !!! ??? ,,, ;; -- — “”",
    "ssml": '<speak><break time="10s"/>hello <audio src="file:///etc/passwd"/></speak>',
    "phoneme brackets": "[[ h@'l@U ]] [[",
    "markup": "**bold** `code` <b>x</b> &amp; {json: [1, 2]}",
    "number": "3.14159 1,000,000 -7 1997 12:30 $5 50% 1e10",
    "one letter": "a",
    "one long word": "pneumonoultramicroscopicsilicovolcanoconiosis" * 8,
    "no spaces": "x" * 3000,
    "german": "Grüße aus München, schöne Straße.",
    "russian": "Привет, как дела?",
    "chinese": "你好，世界。",
    "arabic": "مرحبا بالعالم",
    "combining": "z̸͓̈́a̷͎͝l̶g̵o̴ " * 5,
    "right to left override": "\u202eabc\u202c",
    "long": SENTENCE * 80,
}


@pytest.fixture(scope="module", params=sorted(SPECS))
def spec(request: pytest.FixtureRequest) -> TtsSpec:
    return SPECS[request.param]


@pytest.fixture(scope="module")
def engine(spec: TtsSpec) -> TtsEngine:
    return spec.load(engine_config(spec.name, needs_model=spec.needs_model))


@pytest.fixture(scope="module")
def worker(spec: TtsSpec) -> Iterator[SpeechWorker]:
    with running_worker("tts", spec.name, engine_config(spec.name, needs_model=spec.needs_model).model) as worker:
        yield worker


@pytest.fixture
async def tts(worker: SpeechWorker, spec: TtsSpec) -> AsyncIterator[RemoteTts]:
    async with aiohttp.ClientSession() as http:
        yield RemoteTts(http, worker.address, spec.name, timeout_s=60)


def said(engine: TtsEngine, text: str, speed: float = 1.0) -> tuple[Pcm, SpeechChunk]:
    """All samples and the last chunk; checks what holds for every utterance."""
    chunks = list(engine.synthesize(text, "default", speed, None))
    assert chunks, "an utterance has at least its last chunk"
    assert len({chunk.rate_hz for chunk in chunks}) == 1
    for chunk in chunks:
        assert chunk.pcm.dtype == np.int16
        assert chunk.pcm.ndim == 1
    assert all(not chunk.words for chunk in chunks[:-1])
    pcm = np.concatenate([chunk.pcm for chunk in chunks])
    _check_times(chunks[-1], len(pcm) / chunks[-1].rate_hz)
    return pcm, chunks[-1]


def _check_times(last: SpeechChunk, seconds: float) -> None:
    for word in last.words:
        assert 0 <= word.start_s <= word.end_s <= seconds + 1e-6, word
    for before, after in itertools.pairwise(last.words):
        assert before.end_s <= after.start_s + 1e-6, (before, after)


def test_a_sentence_is_heard_at_its_rate(engine: TtsEngine, spec: TtsSpec) -> None:
    pcm, last = said(engine, SENTENCE)
    assert 2.0 < len(pcm) / last.rate_hz < 9.0  # the true rate: a wrong one would be chipmunks or whales
    assert np.abs(pcm.astype(np.int32)).max() > 4000
    assert last.rate_hz in {voice.rate_hz for voice in engine.voices()}
    if spec.word_times:
        assert [word.text for word in last.words] == SENTENCE.split()


def test_it_begins_with_sound_and_not_with_silence(engine: TtsEngine) -> None:
    pcm, last = said(engine, SENTENCE)
    assert np.abs(pcm[: last.rate_hz // 10].astype(np.int32)).max() > 300


def test_words_have_sound_under_them(engine: TtsEngine, spec: TtsSpec) -> None:
    if not spec.word_times:
        pytest.skip(f"{spec.name} has no word times")
    pcm, last = said(engine, "seven yellow lemons")
    for word in last.words:
        piece = pcm[int(word.start_s * last.rate_hz) : int(word.end_s * last.rate_hz)]
        assert np.abs(piece.astype(np.int32)).max() > 1000, word


@pytest.mark.parametrize("name", sorted(ODD))
def test_any_text_ends_well(engine: TtsEngine, name: str) -> None:
    pcm, last = said(engine, ODD[name])
    assert len(pcm) / last.rate_hz < 1.0 + 1.2 * len(ODD[name])


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=80))
def test_random_text_ends_well(text: str) -> None:
    for spec in SPECS.values():
        said(_engine(spec), text)


_engines: dict[str, TtsEngine] = {}


def _engine(spec: TtsSpec) -> TtsEngine:
    if spec.name not in _engines:
        _engines[spec.name] = spec.load(engine_config(spec.name, needs_model=spec.needs_model))
    return _engines[spec.name]


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_speed_is_speed(engine: TtsEngine, speed: float) -> None:
    plain, _ = said(engine, SENTENCE)
    changed, _ = said(engine, SENTENCE, speed)
    assert len(plain) / len(changed) == pytest.approx(speed, rel=0.25)


@pytest.mark.parametrize("speed", [0.01, 100.0])
def test_speeds_beyond_reason_still_end(engine: TtsEngine, speed: float) -> None:
    pcm, last = said(engine, "hello", speed)
    assert 0 < len(pcm) / last.rate_hz < 20


def test_it_is_made_piece_by_piece_and_can_be_dropped(engine: TtsEngine) -> None:
    chunks = iter(engine.synthesize(SENTENCE * 60, "default", 1.0, None))
    first = next(chunks)
    assert len(first.pcm) / first.rate_hz < 30
    chunks.close()  # type: ignore[attr-defined]
    assert said(engine, "hello")[0].size  # and the engine speaks on


def test_utterances_may_be_made_by_turns(engine: TtsEngine) -> None:
    """Two streams of one engine, a chunk from each in turn, as the worker's thread does it."""
    alone = [len(said(engine, text)[0]) for text in (SENTENCE, "One two three. " * 30)]
    a = iter(engine.synthesize(SENTENCE, "default", 1.0, None))
    b = iter(engine.synthesize("One two three. " * 30, "default", 1.0, None))
    together = [0, 0]
    for pair in itertools.zip_longest(a, b):
        for index, chunk in enumerate(pair):
            together[index] += len(chunk.pcm) if chunk is not None else 0
    assert together == pytest.approx(alone, rel=0.02)


def test_voices_are_named_and_can_be_chosen(engine: TtsEngine) -> None:
    voices = engine.voices()
    assert voices
    assert len({voice.id for voice in voices}) == len(voices)
    for voice in voices[:4]:
        assert isinstance(voice, VoiceInfo)
        assert list(engine.synthesize("one", voice.id, 1.0, None))
    with pytest.raises(BadInput) as error:
        list(engine.synthesize("one", "no such voice", 1.0, None))
    assert error.value.param == "voice"
    assert error.value.hint


def test_a_language_is_spoken_or_refused(engine: TtsEngine) -> None:
    for language in ("en", "de", "xx-unknown"):
        try:
            assert list(engine.synthesize("one two", "default", 1.0, language))
        except BadInput as error:
            assert error.param == "language"


# ---- in its worker ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ODD))
async def test_the_worker_speaks_any_text(tts: RemoteTts, name: str) -> None:
    chunks = [chunk async for chunk in tts.speak(SpeakRequest(ODD[name]))]
    _check_times(chunks[-1], sum(len(chunk.pcm) for chunk in chunks) / chunks[-1].rate_hz)


async def test_the_worker_says_what_the_engine_says(tts: RemoteTts, engine: TtsEngine) -> None:
    chunks = [chunk async for chunk in tts.speak(SpeakRequest(SENTENCE))]
    pcm, last = said(engine, SENTENCE)
    assert sum(len(chunk.pcm) for chunk in chunks) == pytest.approx(len(pcm), rel=0.01)
    assert chunks[-1].rate_hz == last.rate_hz
    assert [word.text for word in chunks[-1].words] == [word.text for word in last.words]


async def test_many_at_once(tts: RemoteTts) -> None:
    lengths: list[int] = []

    async def speak() -> None:
        chunks = [chunk async for chunk in tts.speak(SpeakRequest(SENTENCE))]
        lengths.append(sum(len(chunk.pcm) for chunk in chunks))

    async with anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(speak)
    assert len(lengths) == 12
    assert max(lengths) < 1.05 * min(lengths)


async def test_cancelled_in_the_middle(tts: RemoteTts) -> None:
    for after in (0, 1, 2):
        with anyio.CancelScope() as scope:
            count = 0
            async for _ in tts.speak(SpeakRequest(SENTENCE * 60)):
                count += 1
                if count > after:
                    scope.cancel()
                    await anyio.lowlevel.checkpoint()
        assert scope.cancelled_caught
    assert [chunk async for chunk in tts.speak(SpeakRequest("hello"))]


async def test_killed_while_it_speaks(spec: TtsSpec) -> None:
    model = engine_config(spec.name, needs_model=spec.needs_model).model
    with running_worker("tts", spec.name, model) as worker:
        async with aiohttp.ClientSession() as http:
            speech = RemoteTts(http, worker.address, spec.name, timeout_s=60).speak(SpeakRequest(SENTENCE * 100))
            await anext(speech)
            os.kill(worker.process.pid, signal.SIGKILL)
            with pytest.raises(TtsFailed):
                async for _ in speech:
                    pass
