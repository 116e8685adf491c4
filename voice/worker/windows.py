"""Pure: cut long audio at its quiet places, so that live streams get their turn between the pieces.

A recogniser that works in windows anyway (Whisper: 30 s) loses nothing by it.
"""

from __future__ import annotations

import numpy as np

from voice.port import Pcm

__all__ = ["quietest", "windows"]

_STEP_MS = 20


def windows(pcm: Pcm, rate_hz: int, longest_s: float = 28.0, shortest_s: float = 18.0) -> list[tuple[int, int]]:
    """(start, end) sample indices that cover `pcm` without gaps, each cut at the quietest 300 ms it may choose."""
    longest, shortest = int(longest_s * rate_hz), int(shortest_s * rate_hz)
    found = []
    start = 0
    while len(pcm) - start > longest:
        cut = start + shortest + quietest(pcm[start + shortest : start + longest], rate_hz)
        found.append((start, cut))
        start = cut
    if len(pcm) > start:
        found.append((start, len(pcm)))
    return found


def quietest(pcm: Pcm, rate_hz: int) -> int:
    """The middle of the 300 ms of least energy."""
    step = rate_hz * _STEP_MS // 1000
    steps = len(pcm) // step
    energy = np.square(pcm[: steps * step].reshape(steps, step).astype(np.float64)).mean(axis=1)
    width = min(steps, 300 // _STEP_MS)
    sums = np.convolve(energy, np.ones(width), "valid")
    return (int(np.argmin(sums)) + width // 2) * step
