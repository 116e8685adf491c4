"""Codecs and the live protocol: one result however the bytes are cut, and only declared errors, whatever they are."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import BadInput
from models.registry import discover
from tests.voice import recordings
from tests.voice.recordings import murmur
from voice.codecs.spec import CodecSpec
from voice.errors import AudioError, FrameTooLarge, ProtocolError
from voice.port import Pcm
from voice.protocols.live import LiveCodec
from voice.protocols.live_config import apply_update, describe, parse_config
from voice.session.config import SessionConfig
from voice.session.incoming import ClientEvent
from voice.settings import VoiceSettings

CODECS: dict[str, CodecSpec] = discover("voice.codecs")
RATE_HZ = 16_000
PCM = murmur(6001)


@cache
def recording(name: str) -> bytes:
    if name == "webm":
        return recordings.webm(PCM)
    make = CODECS[name].encoder
    assert make is not None
    return make(RATE_HZ).encode(PCM)


def decode(name: str, pieces: list[bytes]) -> Pcm:
    decoder = CODECS[name].decoder(RATE_HZ)
    return np.concatenate([*(decoder.feed(piece) for piece in pieces), decoder.finish()])


def cut(data: bytes, borders: list[int]) -> list[bytes]:
    marks = sorted({0, len(data), *(border % (len(data) + 1) for border in borders)})
    return [data[start:end] for start, end in zip(marks, marks[1:], strict=False)]


@pytest.mark.parametrize("name", sorted(CODECS))
@settings(max_examples=40)
@given(borders=st.lists(st.integers(0, 100_000), max_size=60))
def test_the_same_samples_however_the_bytes_are_cut(name: str, borders: list[int]) -> None:
    data = recording(name)
    assert np.array_equal(decode(name, cut(data, borders)), decode(name, [data]))


@pytest.mark.parametrize("name", sorted(CODECS))
@given(
    flips=st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 255)), max_size=8),
    start=st.integers(0, 200),
    end=st.integers(0, 100_000),
    borders=st.lists(st.integers(0, 100_000), max_size=5),
)
def test_damaged_files_are_heard_or_refused(
    name: str, flips: list[tuple[int, int]], start: int, end: int, borders: list[int]
) -> None:
    data = bytearray(recording(name))
    for at, value in flips:
        # Half of the flips go to the headers, where there is more to go wrong.
        data[at % (len(data) if at % 2 else min(200, len(data)))] = value
    try:
        pcm = decode(name, cut(bytes(data[start % 3 and start :][: end or None]), borders))
    except AudioError as error:
        assert error.message
    else:
        assert pcm.dtype == np.int16


@pytest.mark.parametrize("name", sorted(CODECS))
@given(data=st.binary(max_size=400), with_magic=st.booleans(), borders=st.lists(st.integers(0, 500), max_size=5))
def test_noise_is_refused_or_waited_for(name: str, data: bytes, with_magic: bool, borders: list[int]) -> None:
    magic = {
        "webm": b"\x1a\x45\xdf\xa3",
        "opus": b"OggS\0\2",
        "wav": b"RIFF\0\0\0\0WAVE",
        "mp3": b"\xff\xfb",
    }
    try:
        pcm = decode(name, cut((magic.get(name, b"") if with_magic else b"") + data, borders))
    except AudioError as error:
        assert error.message
    else:
        assert len(pcm) <= 600 * RATE_HZ


@pytest.mark.parametrize("name", sorted(name for name, spec in CODECS.items() if spec.encoder))
@settings(max_examples=25)
@given(samples=st.integers(60, 4000), rate_hz=st.sampled_from([8000, 16000, 24000, 48000]))
def test_decoded_lengths_are_exact(name: str, samples: int, rate_hz: int) -> None:
    make = CODECS[name].encoder
    assert make is not None
    decoder = CODECS[name].decoder(rate_hz)
    pcm = decoder.feed(make(rate_hz).encode(murmur(samples, rate_hz)))
    # FFmpeg's LAME rounds the padding that it tells up to as much as 46 samples; its own decoder gives them too.
    surplus = 46 if name == "mp3" else 0
    assert samples <= len(pcm) + len(decoder.finish()) <= samples + surplus


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=12,
)
TYPES = ["audio", "end_turn", "interrupt", "ping", "close", "played", "clear", "update", "tool_result"]
FIELDS = ["type", "audio", "transcript", "is_final", "reply", "ms", "config", "call_id", "output"]
MESSAGES = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(TYPES) | JSON if name == "type" else JSON for name in FIELDS}
)


@given(st.one_of(MESSAGES.map(json.dumps), JSON.map(json.dumps), st.text(), st.binary()))
def test_any_frame_is_an_event_or_a_named_error(frame: str | bytes) -> None:
    try:
        event = LiveCodec(SessionConfig()).event(frame)
    except (ProtocolError, FrameTooLarge) as error:
        assert error.message
    else:
        assert isinstance(event, ClientEvent)


SECTIONS = {
    "audio_config": ["input_format", "output_format", "sample_rate", "allow_interrupt", "input_rate", "binary_audio"],
    "wake_word_config": ["enabled", "words", "mode"],
    "voice_config": ["voice_id", "speed", "language"],
    "llm_config": ["model", "system_prompt", "tools", "history_length", "temperature", "max_tokens"],
    "turn_detection": ["type", "threshold", "silence_duration_ms", "eagerness", "interrupt_response"],
    "turn_config": ["barge_in", "follow_up_s", "echo"],
}
LIKELY = st.sampled_from(
    [None, True, 1, 0.5, 16000, "pcm", "pre", "none", "server_vad", "auto", ["alexa"], [], {}, 15]
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "session_ttl_minutes": LIKELY | JSON,
        "record": LIKELY | JSON,
        **{
            section: st.fixed_dictionaries({}, optional={field: LIKELY | JSON for field in fields}) | JSON
            for section, fields in SECTIONS.items()
        },
    },
)


@given(BODIES, BODIES)
def test_any_configuration_is_taken_or_refused_by_name(body: dict[str, Any], update: dict[str, Any]) -> None:
    try:
        config = parse_config(body, VoiceSettings())
    except BadInput as error:
        assert error.param or error.hint
        config = SessionConfig()
    try:
        changed = apply_update(config, update)
    except BadInput as error:
        assert error.message
    else:
        again = parse_config(describe(changed), VoiceSettings())
        assert (again.audio, again.wake, again.voice) == (changed.audio, changed.wake, changed.voice)
        assert (again.turn, again.turn_detection) == (changed.turn, changed.turn_detection)
