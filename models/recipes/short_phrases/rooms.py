"""Where it is said: near or far, in a room, over a telephone, with something going on behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import soxr

from models.recipes.short_phrases.voices import RATE_HZ, Samples

__all__ = ["in_a_room"]

BEFORE_S, AFTER_S = (0.25, 0.4), (0.06, 0.13, 0.2, 0.3)
MOSTLY_SAID, HALF_SAID = 0.75, 0.5
"""Of a phrase, when it counts as said, and of a murmur."""
CUTS = (0.35, 0.55, 0.8)

FULL_SCALE = 32768.0
QUIETEST_DB, LOUDEST_DB = -40.0, -8.0
"""Of full scale, while it sounds."""
ROOMS, TELEPHONES, NOISES = 0.4, 0.2, 0.4
"""Shares of the sounds."""


def in_a_room(
    dry: Samples, kind: str, cut: Callable[[], bool], dice: np.random.Generator
) -> Iterator[tuple[npt.NDArray[np.int16], str, bool]]:
    """(sound, what it counts as, whole): `dry` in its room; with `cut`, which is asked after that, once more and cut
    off somewhere, as it is asked about while it is being said."""
    before_s = float(dice.uniform(*BEFORE_S))
    whole = _heard(dry, before_s, float(dice.choice(AFTER_S)), dice)
    lengths = [(whole.size, kind, True)]
    if cut():
        share = float(dice.choice(CUTS))
        enough = share >= MOSTLY_SAID or (kind == "murmur" and share > HALF_SAID)
        lengths.append((int(before_s * RATE_HZ) + int(dry.size * share), kind if enough else "else", False))
    for length, counts_as, all_of_it in lengths:
        yield whole[:length].round().clip(-32768, 32767).astype(np.int16), counts_as, all_of_it


def _heard(dry: Samples, before_s: float, after_s: float, dice: np.random.Generator) -> Samples:
    """`dry` with so much of the room before and after it; int16's range, not rounded."""
    wet = dry
    if dice.random() < ROOMS:
        wet = _convolved(dry, _echoes(dice))[: dry.size + int(after_s * RATE_HZ)]
    if dice.random() < TELEPHONES:
        wet = np.asarray(soxr.resample(soxr.resample(wet, RATE_HZ, 8000), 8000, RATE_HZ), np.float32)
    level = FULL_SCALE * 10 ** (dice.uniform(QUIETEST_DB, LOUDEST_DB) / 20)
    size = int(before_s * RATE_HZ) + dry.size + int(after_s * RATE_HZ)
    whole = np.zeros(size, np.float32)
    begin = int(before_s * RATE_HZ)
    wet = wet[: size - begin]
    whole[begin : begin + wet.size] = wet * (level / max(_loudness(dry), 1e-6))
    whole += dice.normal(0, dice.choice((4.0, 12.0, 30.0)), size)
    if dice.random() < NOISES:
        whole += _behind(size, dice) * level * 10 ** (-dice.uniform(8, 26) / 20)
    return whole


def _convolved(dry: Samples, echoes: Samples) -> Samples:
    size = dry.size + echoes.size - 1
    bins = 1 << (size - 1).bit_length()
    return np.asarray(np.fft.irfft(np.fft.rfft(dry, bins) * np.fft.rfft(echoes, bins), bins)[:size], np.float32)


def _loudness(samples: Samples) -> float:
    """Root mean square of the 20 ms that sound."""
    powers = (samples[: samples.size // 320 * 320].reshape(-1, 320) ** 2).mean(axis=1)
    return float(np.sqrt(powers[powers > powers.max(initial=0.0) / 100].mean())) if powers.size else 0.0


def _echoes(dice: np.random.Generator) -> Samples:
    """A direct path and decaying noise: 60 dB in 0.15 to 0.8 s."""
    count = int(dice.uniform(0.15, 0.8) * RATE_HZ)
    tail = dice.normal(0, 1, count) * 10 ** (-3 * np.arange(count) / count)
    tail *= dice.uniform(0.2, 1.0) / np.sqrt((tail**2).sum())
    tail[0] = 1.0
    return tail.astype(np.float32)


def _behind(size: int, dice: np.random.Generator) -> Samples:
    """Noise of some colour that comes and goes; its root mean square is 1."""
    spectrum = np.fft.rfft(dice.normal(0, 1, size))
    hz = np.fft.rfftfreq(size, 1 / RATE_HZ) + 50
    spectrum *= (hz / 1000) ** -dice.uniform(0, 1.5) * np.where(hz > dice.uniform(1500, 8000), 0.1, 1.0)
    noise = np.fft.irfft(spectrum, size)
    steps = np.interp(np.arange(size), np.linspace(0, size, 12), dice.uniform(0.3, 1.5, 12))
    noise *= steps
    return np.asarray(noise / np.sqrt((noise**2).mean()), np.float32)
