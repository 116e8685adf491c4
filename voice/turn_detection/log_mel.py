"""Whisper's log-mel features of the last 8 seconds, as Smart Turn was trained with them.

80 mel bands (Slaney), 25 ms windows every 10 ms, the waveform normalised to zero mean and unit variance first:
what transformers' `WhisperFeatureExtractor(chunk_length=8, do_normalize=True)` computes (its numbers are the
reference of the tests), without transformers.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from voice.port import Pcm

__all__ = ["FRAMES", "MELS", "SAMPLES", "log_mel"]

SAMPLES = 128_000
MELS = 80
FRAMES = 800

_RATE_HZ = 16_000
_FFT = 400
_HOP = 160

Floats = npt.NDArray[np.float64]


def log_mel(pcm: Pcm) -> npt.NDArray[np.float32]:
    """int16 mono 16 kHz, any length -> [80, 800]. What is missing of 8 s is silence before it."""
    last = pcm[-SAMPLES:].astype(np.float32) / 32768
    wave = np.pad(last, (SAMPLES - len(last), 0))
    wave = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
    padded = np.pad(wave.astype(np.float64), _FFT // 2, mode="reflect")
    windows = sliding_window_view(padded, _FFT)[: FRAMES * _HOP : _HOP]
    power = np.abs(np.fft.rfft(windows * np.hanning(_FFT + 1)[:-1])) ** 2
    levels = np.log10(np.maximum(power @ _filters(), 1e-10)).T
    levels = np.maximum(levels, levels.max() - 8.0)
    features: npt.NDArray[np.float32] = ((levels + 4.0) / 4.0).astype(np.float32)
    return features


@cache
def _filters() -> Floats:
    """[201, 80]: triangles of equal area on Slaney's mel scale (linear to 1 kHz, then 6.4 to the 27th root)."""
    log_step = np.log(6.4) / 27
    mels = np.linspace(0.0, 15.0 + np.log(_RATE_HZ / 2 / 1000) / log_step, MELS + 2)
    hertz = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(log_step * (mels - 15)))
    slopes = hertz[None, :] - np.linspace(0, _RATE_HZ / 2, _FFT // 2 + 1)[:, None]
    widths = np.diff(hertz)
    down, up = -slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]
    triangles: Floats = np.maximum(0, np.minimum(down, up)) * (2 / (hertz[2:] - hertz[:-2]))
    return triangles
