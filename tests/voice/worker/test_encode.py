from __future__ import annotations

import numpy as np
import pytest

from voice.worker.encode import FORMATS
from voice.worker.upload import decode


def tone(rate_hz: int, seconds: float = 1.5, hz: float = 440.0) -> np.ndarray:  # type: ignore[type-arg]
    return (9000 * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)).astype(np.int16)


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 24_000, 48_000])
@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"pcm"}))
def test_what_is_encoded_in_pieces_is_one_file_of_the_same_sound(name: str, rate_hz: int) -> None:
    encoder = FORMATS[name](rate_hz)
    pcm = tone(rate_hz)
    data = b"".join(encoder.feed(pcm[start : start + 777]) for start in range(0, len(pcm), 777)) + encoder.finish()
    heard = decode(data).astype(np.float64)
    assert len(heard) / 16_000 == pytest.approx(1.5, abs=0.12)  # mp3 and aac have a delay
    middle = heard[4000:20_000]
    loudest_hz = np.argmax(np.abs(np.fft.rfft(middle))) * 16_000 / len(middle)
    assert loudest_hz == pytest.approx(440, abs=2)
    assert np.abs(middle).max() == pytest.approx(9000, rel=0.1)


@pytest.mark.parametrize("name", ["wav", "mp3", "opus", "aac", "flac"])
def test_something_is_heard_before_the_end(name: str) -> None:
    encoder = FORMATS[name](22_050)
    assert sum(len(encoder.feed(tone(22_050, 0.1))) for _ in range(5)) > 500
    encoder.finish()


def test_pcm_is_at_24_khz() -> None:
    encoder = FORMATS["pcm"](22_050)
    pcm = tone(22_050)
    data = encoder.feed(pcm[:9000]) + encoder.feed(pcm[9000:]) + encoder.finish()
    assert len(data) == pytest.approx(2 * 24_000 * 1.5, abs=8)
    same = FORMATS["pcm"](24_000)
    assert same.feed(pcm) + same.finish() == pcm.astype("<i2").tobytes()


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_nothing_at_all_is_a_file_too(name: str) -> None:
    encoder = FORMATS[name](16_000)
    assert isinstance(encoder.feed(np.zeros(0, np.int16)) + encoder.finish(), bytes)
