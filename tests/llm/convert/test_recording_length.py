"""How long a recording says that it is."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from llm.convert.recording_length import is_recording, seconds
from voice.codecs import mp3

FORM = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 8000, 32000, 4, 16)
WAV = b"RIFF\0\0\0\0WAVE" + FORM + b"data\0\0\0\0"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (WAV + bytes(64_000 - len(WAV)), 2.0),
        (WAV[:12] + struct.pack("<4sI", b"LIST", 3) + bytes(4) + WAV[12:] + bytes(31_944), 1.0),
        (WAV.replace(struct.pack("<I", 8000), bytes(4)), None),
        (WAV[:20], None),
        (WAV.replace(b"\x10\0\0\0\x01\0", b"\x10\0\0\0\x11\0") + bytes(16_000 - len(WAV)), 2.0),  # ADPCM
        (b"fLaC" + bytes(14) + struct.pack(">Q", 44_100 << 44 | 441_000), 10.0),
        (b"fLaC" + bytes(40), None),
        (b"ID3\x04", 0.0),
    ],
)
def test_seconds(data: bytes, expected: float | None) -> None:
    assert is_recording(data) and seconds(data) == expected


@pytest.mark.parametrize("rate_hz", [8000, 22_050, 44_100])
def test_an_mp3_is_measured_by_its_frames(rate_hz: int) -> None:
    """Longer than a piece that is looked at at once."""
    noise = np.random.default_rng(2).integers(-9000, 9000, rate_hz * 200, np.int16)
    assert 0.78 * 200 < (seconds(mp3.SPEC.encoder(rate_hz).encode(noise)) or 0) < 1.02 * 200


@pytest.mark.parametrize("data", [b"", b"RIFF....AVI ", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"OggS"])
def test_what_is_no_recording(data: bytes) -> None:
    assert not is_recording(data)
