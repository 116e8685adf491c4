"""A loudspeaker that is not on the microphone's clock: its pace is found, and the echo stays cancelled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.speaking import spoken
from tests.voice.room import RATE_HZ, STORY, impulse_response
from voice.ears.clock_drift import ClockDrift
from voice.ears.echo import EchoCanceller


def played_slowly(pcm: npt.NDArray[np.int16], slow: float) -> npt.NDArray[np.float64]:
    """What a loudspeaker makes of it that is slow by this share."""
    where = np.arange(round(len(pcm) * (1 + slow))) / (1 + slow)
    spectrum = np.fft.rfft(pcm.astype(float))
    fine = np.fft.irfft(np.concatenate((spectrum, np.zeros(15 * len(spectrum) - 15))))  # 16 times as many samples
    fine *= len(fine) / len(pcm)
    result: npt.NDArray[np.float64] = np.interp(where * len(fine) / len(pcm), np.arange(len(fine)), fine)
    return result


@pytest.mark.parametrize("ppm", [100, -100, 40])
def test_the_echo_of_a_loudspeaker_on_another_clock_is_taken_out(ppm: int) -> None:
    ours = np.concatenate((spoken(STORY), spoken(STORY)))[: 16 * RATE_HZ]
    echo = np.concatenate((np.zeros(2400), played_slowly(ours, ppm * 1e-6)))[: len(ours)]
    echo = np.convolve(echo, impulse_response(0.3, 0))[: len(ours)] * 10 ** (-8 / 20)
    microphone = (echo + np.random.default_rng(0).normal(0, 12, len(echo))).round().astype(np.int16)
    canceller, out, lead = EchoCanceller(), [], 3200
    canceller.play(ours[:lead])
    for now in range(0, len(ours), 320):
        canceller.play(ours[now + lead : now + lead + 320])
        out.append(canceller.hear(microphone[now : now + 320]))
    heard = np.concatenate(out)
    for begin in range(6 * RATE_HZ, 15 * RATE_HZ, RATE_HZ):
        second = slice(begin, begin + RATE_HZ)
        loud = 10 * np.log10(np.mean(microphone[second].astype(float) ** 2))
        left = 10 * np.log10(np.mean(heard[second].astype(float) ** 2) + 1)
        assert left < max(loud - 15, 25), begin / RATE_HZ


def test_on_the_same_clock_the_reference_is_read_as_it_is() -> None:
    drift, ahead = ClockDrift(RATE_HZ, 256), np.arange(1000, dtype=np.float32)
    first, rest = drift.take(ahead, 256)
    assert np.array_equal(first, ahead[:256])
    assert np.array_equal(rest, ahead[256:])


def test_what_is_read_slowly_is_all_there_and_in_order() -> None:
    drift, left, read = ClockDrift(RATE_HZ, 256), np.arange(32_000, dtype=np.float32), []
    drift.slow = 200e-6
    for size in (100, 320, 1, 256, 4000, 16_000, 8000):
        piece, left = drift.take(left, size)
        assert len(piece) == size
        read.append(piece)
    whole = np.concatenate(read)[1:]
    assert np.allclose(np.diff(whole), 1 - 200e-6, atol=0.01)
    assert abs(whole[-1] - len(whole) * (1 - 200e-6)) < 1


def test_too_little_is_filled_up_with_silence() -> None:
    drift = ClockDrift(RATE_HZ, 256)
    drift.slow = -100e-6
    piece, rest = drift.take(np.ones(100, np.float32), 256)
    assert len(piece) == 256
    assert len(rest) == 0
    assert not piece[110:].any()


def test_somebody_who_speaks_over_it_changes_no_pace() -> None:
    drift, chance = ClockDrift(RATE_HZ, 256), np.random.default_rng(1)
    for _ in range(600):
        ours, other = (chance.normal(size=257) + 1j * chance.normal(size=257) for _ in range(2))
        drift.learn(ours, other)
    assert abs(drift.slow) < 20e-6
