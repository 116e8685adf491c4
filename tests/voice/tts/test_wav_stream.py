from __future__ import annotations

import io
import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.errors import AudioError
from voice.tts.wav_stream import WavStream


def wav(pcm: np.ndarray, rate_hz: int = 24_000, channels: int = 1) -> bytes:  # type: ignore[type-arg]
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm.astype("<i2").tobytes())
    return sink.getvalue()


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_any_cutting_gives_the_same_samples(cuts: list[int]) -> None:
    pcm = np.arange(-300, 300).astype(np.int16)
    data = wav(pcm, 22_050)
    stream, found, at = WavStream(), [], 0
    for cut in [*cuts, len(data)]:
        found.append(stream.feed(data[at : at + cut]))
        at += cut
    assert stream.rate_hz == 22_050
    assert np.array_equal(np.concatenate(found), pcm)


def test_two_channels_are_mixed() -> None:
    both = np.array([[100, 300], [-50, -150]], np.int16)
    assert WavStream().feed(wav(both.reshape(-1), channels=2)).tolist() == [200, -100]


def test_false_lengths_and_other_chunks_are_no_matter() -> None:
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    data = b"RIFF\xff\xff\xff\xffWAVE" + struct.pack("<4sI3sx", b"LIST", 3, b"abc") + fmt + b"data\xff\xff\xff\xff"
    stream = WavStream()
    assert stream.feed(data + b"\x01\x00\x02").tolist() == [1]
    assert stream.feed(b"\x00").tolist() == [2]
    assert stream.rate_hz == 8000


@pytest.mark.parametrize(
    "data",
    [
        b"this is no wav file at all",
        b"RIFF\0\0\0\0WAVEdata\0\0\0\0",
        b"RIFF\0\0\0\0WAVE" + struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, 8000, 32000, 4, 32),  # float
        b"RIFF\0\0\0\0WAVE" + struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 0, 8000, 16000, 2, 16),
        b"RIFF\0\0\0\0WAVE" + struct.pack("<4sIH", b"fmt ", 2, 1),
        b"RIFF\0\0\0\0WAVE" + struct.pack("<4sI", b"junk", 2**31),
    ],
)
def test_what_is_no_pcm16_is_refused(data: bytes) -> None:
    with pytest.raises(AudioError):
        WavStream().feed(data)


@given(st.binary(max_size=120))
def test_rubbish_is_an_audio_error_or_waited_for(data: bytes) -> None:
    try:
        WavStream().feed(b"RIFF\0\0\0\0WAVE" + data)
    except AudioError:
        pass
