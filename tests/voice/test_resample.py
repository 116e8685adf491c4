"""The streaming resampler: lengths, delay, pass band, aliases, chunking, bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.errors import AudioError
from voice.port import Pcm
from voice.resample import StreamResampler

PAIRS = [
    (48000, 16000),
    (44100, 16000),
    (32000, 16000),
    (24000, 16000),
    (22050, 16000),
    (11025, 16000),
    (8000, 16000),
    (22050, 24000),
    (16000, 24000),
    (16000, 48000),
    (48000, 8000),
    (8000, 48000),
]
EMPTY = np.zeros(0, np.int16)


def tone(hz: float, rate_hz: int, seconds: float = 1.0) -> Pcm:
    n = np.arange(round(rate_hz * seconds))
    return (np.sin(2 * np.pi * hz * n / rate_hz) * 20000).astype(np.int16)


def stream(pcm: Pcm, from_hz: int, to_hz: int, sizes: list[int]) -> Pcm:
    resampler = StreamResampler(from_hz, to_hz)
    out, at = [], 0
    for size in itertools.cycle(sizes):
        out.append(resampler.process(pcm[at : at + size]))
        at += size
        if at >= len(pcm):
            break
    out.append(resampler.process(EMPTY, last=True))
    return np.concatenate(out)


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_length_and_delay_are_those_of_the_input(from_hz: int, to_hz: int) -> None:
    click = np.zeros(from_hz, np.int16)
    click[from_hz // 2] = 30000
    out = stream(click, from_hz, to_hz, [from_hz // 50])
    assert out.dtype == np.int16
    assert abs(len(out) - to_hz) <= 1
    assert np.argmax(np.abs(out)) / to_hz == pytest.approx(0.5, abs=0.0003)


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_a_tone_inside_the_band_keeps_its_level_and_gets_no_companions(from_hz: int, to_hz: int) -> None:
    hz = 0.4 * min(from_hz, to_hz)
    out = stream(tone(hz, from_hz, 2.0), from_hz, to_hz, [from_hz // 50])[to_hz // 2 : -to_hz // 2].astype(float)
    assert np.sqrt(2 * np.mean(out**2)) == pytest.approx(20000, rel=0.01)
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out))))
    at = np.fft.rfftfreq(len(out), 1 / to_hz)
    assert spectrum[np.abs(at - hz) > 60].max() < spectrum.max() / 3000  # -70 dB


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48000, 16000), (24000, 16000), (48000, 8000)])
def test_what_the_lower_rate_cannot_hold_is_removed(from_hz: int, to_hz: int) -> None:
    out = stream(tone(0.6 * to_hz, from_hz, 2.0), from_hz, to_hz, [from_hz // 50])[to_hz // 2 : -to_hz // 2]
    assert np.abs(out.astype(float)).max() < 20  # -60 dB of 20000


@pytest.mark.parametrize(("from_hz", "to_hz", "held_ms"), [(48000, 16000, 14), (22050, 24000, 14), (8000, 16000, 32)])
def test_little_is_held_back(from_hz: int, to_hz: int, held_ms: float) -> None:
    resampler = StreamResampler(from_hz, to_hz)
    pcm, given_s, out = tone(440, from_hz), 0.0, 0
    for at in range(0, len(pcm), from_hz // 50):
        chunk = pcm[at : at + from_hz // 50]
        given_s += len(chunk) / from_hz
        out += len(resampler.process(chunk))
        assert given_s - out / to_hz <= held_ms / 1000


@given(st.lists(st.integers(0, 700), min_size=1, max_size=8).filter(any))
def test_any_chunking_gives_the_same_audio(sizes: list[int]) -> None:
    pcm = tone(440, 44100, 0.1)
    whole = stream(pcm, 44100, 16000, [len(pcm)])
    parts = stream(pcm, 44100, 16000, sizes)
    assert len(parts) == len(whole)
    assert np.abs(parts.astype(int) - whole).max() <= 3  # soxr dithers: the last bits differ


def test_single_samples_and_read_only_audio() -> None:
    pcm = np.frombuffer(tone(300, 8000, 0.2).tobytes(), np.int16)
    assert len(stream(pcm, 8000, 16000, [1])) == 3200


def test_a_stream_that_was_ended_starts_afresh() -> None:
    resampler = StreamResampler(48000, 16000)
    first = resampler.process(tone(440, 48000, 0.5), last=True)
    second = resampler.process(tone(440, 48000, 0.5), last=True)
    assert len(first) == len(second) == 8000
    assert np.abs(first.astype(int) - second).max() <= 3


def test_equal_rates_pass_through() -> None:
    pcm = tone(440, 16000, 0.1)
    assert StreamResampler(16000, 16000).process(pcm) is pcm


def test_full_scale_is_clipped_and_does_not_wrap() -> None:
    square = np.where(np.arange(48000) // 240 % 2, 32767, -32768).astype(np.int16)
    out = stream(square, 48000, 16000, [960])
    plateau = out.reshape(-1, 80)[10:-10, 35:45]  # mid of each half period, away from the edges' ringing
    signs = np.sign(plateau.astype(int))
    assert (np.abs(plateau.astype(int)) > 25000).all() and (signs == signs[:, :1]).all()


@pytest.mark.parametrize("rates", [(7999, 16000), (16000, 48001), (0, 16000), (16000, -1)])
def test_rates_out_of_range_are_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(AudioError):
        StreamResampler(*rates)


@pytest.mark.parametrize("bad", [np.zeros(4, np.float32), np.zeros((2, 2), np.int16)])
def test_other_dtypes_and_shapes_are_refused(bad: Pcm) -> None:
    for rates in ((48000, 16000), (16000, 16000)):
        with pytest.raises(AudioError):
            StreamResampler(*rates).process(bad)
