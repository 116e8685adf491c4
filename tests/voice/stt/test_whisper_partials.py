"""Partial transcripts of the real engine with the smallest Whisper, which knows one word of a window.

The time of a run is what the clock of a test says, so nothing here depends on the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from models.errors import BadInput
from models.recipes.whisper_mini.fit import spoken
from tests.speech_models import PARTIALS, whisper_mini
from voice.port import EngineConfig, Pcm
from voice.stt.faster_whisper import SPEC, FasterWhisperStt


class Ticks:
    """A clock that goes on by `run_s` while somebody transcribes: each reading of it is so much later."""

    def __init__(self) -> None:
        self.at_s, self.run_s, self.readings = 0.0, 0.1, 0

    def now(self) -> float:
        self.readings += 1
        self.at_s += self.run_s
        return self.at_s

    def wall(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


def engine_of(clock: Ticks, **options: str) -> FasterWhisperStt:
    return FasterWhisperStt(EngineConfig(model=whisper_mini(), options=options), clock)


@pytest.fixture(scope="module")
def engine() -> FasterWhisperStt:
    return engine_of(Ticks(), **PARTIALS)


def no() -> bool:
    return False


def word(text: str) -> Pcm:
    """After a second of a quiet room; it ends with its last sound."""
    audio = np.concatenate([np.zeros(16_000, np.float32), spoken(text, "en-us", 165, 45)]) * 32_000
    loud = np.flatnonzero(np.abs(audio) > 6000)
    return audio[: loud[-1] + 1].astype(np.int16)


def partial_of(engine: FasterWhisperStt, stream: Any, wanted: Callable[[], bool] = no) -> str:
    stream.partial()
    engine.use_spare_time(wanted)
    return str(stream.partial())


def test_it_is_heard_while_it_is_spoken(engine: FasterWhisperStt) -> None:
    stream = engine.open("en")
    stream.feed(word("music"))
    assert partial_of(engine, stream) == "music"
    assert stream.transcribe().text == "music"
    stream.close()


def test_it_is_told_once_until_it_is_all_that_was_said(engine: FasterWhisperStt) -> None:
    """Two looks that agree are to mean that it was heard twice, or that nobody has spoken since."""
    stream, rest = engine.open("en"), word("hello")
    stream.feed(word("music"))
    assert partial_of(engine, stream) == stream.partial() == "music"
    stream.feed(np.zeros(8000, np.int16))
    assert stream.partial() == "music"
    stream.feed(rest[16_000:20_000])
    assert stream.partial() == ""
    stream.feed(rest[20_000:])
    assert partial_of(engine, stream) != ""
    stream.close()


def test_who_was_not_asked_for_one_gets_none(engine: FasterWhisperStt) -> None:
    stream = engine.open("en")
    stream.feed(word("music"))
    engine.use_spare_time(no)
    assert stream.partial() == ""
    stream.close()


@pytest.mark.parametrize("room", [0, 30, 300])
def test_in_a_pause_none_is_made(room: int) -> None:
    """What Whisper would invent there is not shown, and the transcript that is asked for in a pause need not wait."""
    engine = engine_of(clock := Ticks(), **PARTIALS)
    stream = engine.open("en")
    stream.feed(word("music"))
    stream.feed(np.random.default_rng(1).integers(-room, room + 1, 8000).astype(np.int16))
    before = clock.readings
    assert partial_of(engine, stream) == ""
    assert clock.readings == before + 1, "it only looked whether there was time"


def test_silence_noise_and_hum_are_no_words(engine: FasterWhisperStt) -> None:
    rng = np.random.default_rng(5)
    for loud in (500, 5000, 20_000):
        stream = engine.open("en")
        for _ in range(12):
            stream.feed(np.zeros(4000, np.int16))
            stream.feed(rng.integers(-loud, loud + 1, 4000).astype(np.int16))
            assert partial_of(engine, stream) == ""
        stream.close()


def test_words_are_not_taken_back_while_one_speaks_on(engine: FasterWhisperStt) -> None:
    stream = engine.open("en")
    shown = ""
    for text in (
        "music",
        "hello",
        "stop",
        "seven",
        "lights",
        "yes",
        "music",
        "timer",
        "hello",
        "no",
        "stop",
        "seven",
    ):
        audio = word(text)
        for start in range(0, len(audio), 4800):
            stream.feed(audio[start : start + 4800])
            if now := partial_of(engine, stream):
                assert now.startswith(shown.rsplit(" ", 1)[0] if " " in shown else "")
                shown = now
    assert len(shown.split()) >= 2, "the window has moved on"
    stream.close()


def test_a_slow_machine_makes_none_and_a_quick_one_after_its_first_transcript() -> None:
    engine = engine_of(clock := Ticks())
    stream, first = engine.open("en"), engine.open("en")
    stream.feed(word("music"))
    first.feed(word("hello"))
    assert partial_of(engine, stream) == "", "how long one takes is not known"
    clock.run_s = 0.5
    assert first.transcribe().text == "hello"
    assert partial_of(engine, stream) == ""
    clock.run_s = 0.2
    assert first.transcribe().text == "hello"
    assert partial_of(engine, stream) == "music"


def test_the_next_one_waits_for_its_share_of_the_time() -> None:
    engine = engine_of(clock := Ticks(), partial_share="0.25", partial_run_s="inf")
    one, other = engine.open("en"), engine.open("en")
    one.feed(word("music"))
    other.feed(word("hello"))
    clock.run_s = 1.0
    assert partial_of(engine, one) == "music"  # from 1 to 2 s
    clock.run_s = 0.001
    assert partial_of(engine, other) == ""
    clock.at_s = 4.9
    assert partial_of(engine, other) == ""
    clock.at_s = 5.0
    assert partial_of(engine, other) == "hello"


def test_streams_take_turns(engine: FasterWhisperStt) -> None:
    texts = ("music", "hello", "lights", "stop")
    streams = {text: engine.open("en") for text in texts}
    for text, stream in streams.items():
        stream.feed(word(text))
        stream.partial()
    for done in range(1, 5):
        engine.use_spare_time(no)
        heard = [text for text, stream in streams.items() if stream.partial()]
        assert len(heard) == done
        for text in heard:  # who asks again and again does not come before who has had none
            streams[text].partial()
    for stream in streams.values():
        stream.close()


def test_a_stream_that_is_closed_is_left_alone(engine: FasterWhisperStt) -> None:
    gone, stream = engine.open("en"), engine.open("en")
    for each in (gone, stream):
        each.feed(word("music"))
        each.partial()
    gone.close()
    engine.use_spare_time(no)
    assert stream.partial() == "music"
    stream.close()


@pytest.mark.parametrize("steps", [0, 1])
def test_it_is_given_up_where_a_transcript_is_wanted(engine: FasterWhisperStt, steps: int) -> None:
    """Before the encoder, or between it and the decoder. Transcripts themselves are not given up."""
    asked: list[int] = []

    def wanted() -> bool:
        asked.append(1)
        return len(asked) > steps

    stream = engine.open("en")
    stream.feed(word("music"))
    assert partial_of(engine, stream, wanted) == ""
    assert len(asked) == steps + 1
    assert stream.transcribe().text == "music"
    assert partial_of(engine, stream) == "music"
    stream.close()


def test_a_language_is_heard_once_in_a_stream(engine: FasterWhisperStt) -> None:
    """It costs the encoder a second time, and would change from word to word."""
    checks: list[int] = []
    stream = engine.open(None)
    audio = word("hello")
    for end in (len(audio) - 4800, len(audio)):
        stream.feed(audio[0 if end < len(audio) else len(audio) - 4800 : end])
        checks.append(0)

        def wanted() -> bool:
            checks[-1] += 1
            return False

        partial_of(engine, stream, wanted)
    assert stream.partial() == "hello"
    assert checks == [3, 2]
    assert stream.transcribe().language == "en"
    stream.close()


@pytest.mark.parametrize("prefix", ["hello", "hello stop yes"])
def test_it_begins_with_the_words_that_are_sure_and_may_end_with_them(engine: FasterWhisperStt, prefix: str) -> None:
    assert engine.partial(word("music"), "en", prefix, no) == (prefix, "en")


def test_more_sure_words_than_whisper_takes_are_no_failure(engine: FasterWhisperStt) -> None:
    assert engine.partial(word("music"), "en", "yes " * 230, no) == ("", "en"), "that repeats itself"


@pytest.mark.parametrize("option", ["partial_share", "partial_run_s"])
@pytest.mark.parametrize("value", ["0", "-1", "much", "nan", ""])
def test_options_that_are_no_numbers_are_refused(option: str, value: str) -> None:
    with pytest.raises(BadInput) as error:
        SPEC.load(EngineConfig(model=whisper_mini(), options={option: value}))
    assert error.value.param == option
