"""What is loud in a microphone's signal, and what is too quiet to be an echo. Pure; 16 kHz.

A signal is an array of samples between -1 and 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FAINT", "QUIET", "floor", "lasts_s", "loud_s", "unheard"]

Floats = npt.NDArray[np.floating[Any]]

QUIET = 1e-3
"""RMS of full scale (-60 dB): a signal below says nothing."""
FAINT = 1.25e-4
"""The same of a microphone that is turned down while we speak (-78 dB): a detector of voices hears them as soft."""

_RATE_HZ = 16_000
_FRAME = 320
_JUST_NOW = 10
"""Frames."""
_LOUD = 6.0
"""Over the quietest of the last seconds, in power: less is the room, and says nothing."""
_HORIZON = _RATE_HZ // 2
_HEARD_ENOUGH = _RATE_HZ // 4
"""An echo is heard within the one; so much of us has to be loud before that, to say that there is none."""
_STRONG = 1e-3
_FAINTEST = 2.5e-4
"""Power of our loud frames (-30 dBFS), and of the weakest echo of them that is looked for (-36 dB)."""


def floor(signal: Floats) -> float:
    """The power of its quietest tenth."""
    frames = _powers(signal)
    return float(np.quantile(frames[frames > 0], 0.1)) if frames.any() else 0.0


def loud_s(signal: Floats, lately: int, *, now: bool = True, least: float = QUIET) -> float:
    """How much of the last `lately` samples is more than the room and than `least` (RMS), in s; with `now`, 0 if
    nothing was just now."""
    loud = _powers(signal)[-lately // _FRAME :] >= max(least**2, _LOUD * floor(signal))
    return float(loud.sum()) * _FRAME / _RATE_HZ if not now or loud[-_JUST_NOW:].sum() >= 3 else 0.0


def lasts_s(voice: Floats) -> float:
    """How long somebody speaks in it, in s."""
    frames = _powers(voice)
    return float((frames >= max(QUIET**2, 0.1 * frames.mean())).sum()) * _FRAME / _RATE_HZ


def unheard(ours: Floats, heard: Floats) -> bool:
    """We were loud for long enough to be heard, and the microphone is far quieter than an echo would be."""
    frames = _powers(ours[:-_HORIZON])
    frames = frames[frames >= _STRONG]
    if len(frames) * _FRAME < _HEARD_ENOUGH:
        return False
    return float(np.quantile(_powers(heard), 0.95)) < _FAINTEST * float(frames.mean())


def _powers(signal: Floats) -> Floats:
    powers: Floats = np.mean(signal[len(signal) % _FRAME :].reshape(-1, _FRAME) ** 2, axis=1)
    return powers
