"""How late one signal is in another. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["correlate", "shift_of"]

_APART = 2400
"""Samples by which a second loudspeaker may be later than the first."""
_REFLECTION = 512
"""What is nearer may be the room's."""
_FIRST = 0.4
"""Of the peak of the clearer one, the least of the first one's."""
_CLEAR = 10.0
"""Over the RMS: a lower peak is chance."""

Floats = npt.NDArray[np.floating[Any]]


def shift_of(there: Floats, expected: Floats, most: int) -> tuple[int, float]:
    """(how much later than expected it came, likeness there). `expected` is longer by `most` on both sides."""
    size = 1 << (len(expected) + len(there)).bit_length()
    products = np.fft.irfft(np.fft.rfft(expected, size) * np.fft.rfft(there, size).conj(), size)
    sums = np.concatenate((np.zeros(1), np.cumsum(expected.astype(np.float64) ** 2)))
    energy = sums[len(there) :] - sums[: -len(there)]
    energy = np.maximum(energy, 0.1 * float((expected**2).sum()))
    alike = products[: len(energy)] / np.sqrt(energy * float((there**2).sum()) + 1e-12)
    best = int(np.argmax(alike))
    return most - best, float(alike[best])


def correlate(mic: Floats, ref: Floats, rate_hz: int) -> tuple[int, float]:
    """(delay of `ref` in `mic` in samples, height of the peak over the RMS). `ref` reaches further back.

    Where it is heard from two loudspeakers, the delay is that of the first.
    """
    size = 1 << (len(mic) + len(ref) - 1).bit_length()
    cross = np.fft.rfft(mic, size) * np.fft.rfft(ref, size).conj()
    hertz = np.arange(len(cross)) * rate_hz / size
    cross[(hertz < 200) | (hertz > 4000)] = 0
    sizes = np.abs(cross)
    # what neither of the two has is not to be raised to the level of what they have
    whole = np.fft.irfft(cross / (sizes + 0.02 * sizes.mean() + 1e-12))
    # mic[i] = ref[i + extra - delay]: the lag is delay - extra
    extra = len(ref) - len(mic)
    lags = np.roll(whole, extra)[: extra + 1]
    heights = np.abs(lags) / (np.sqrt(np.mean(whole**2)) + 1e-12)
    peak = int(np.argmax(heights))
    begin, end = max(0, peak - _APART), max(0, peak - _REFLECTION)
    first = begin + int(np.argmax(heights[begin:end])) if end else peak
    clear = heights[first] >= max(_FIRST * heights[peak], _CLEAR)
    return first if clear else peak, float(heights[peak])
