"""What the filter leaves of our echo, taken off band by band. Pure.

It is the far end of the reverberation and what a small loudspeaker adds. It is estimated from how the residual's
power follows the echo's. Where hardly anything else is left, the block is silent: a detector of voices is startled
by the least musical residual echo.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from voice.ears.echo_filter import power_of
from voice.ears.echo_path import DECAY
from voice.ears.timeline import BLOCK

__all__ = ["ResidualEcho"]

_OVER = 3.0
"""The residual echo is taken off so many times: it is an estimate, and what is left of it sounds."""
_MUTE = 0.5
"""Where less than this share of the power is something else, the block is silent."""
_LEAK = 0.02
"""The least that the filter is taken to leave."""
_FLOOR = 0.02
_LEFT = 0.12
"""Of the echo's power, what is left at the worst (9 dB below): where no more than that is left, the block is silent
too. In six rooms, with a distorting loudspeaker, in noises that keeps four of five residual echoes from being
heard as speech."""
_SPEECH = slice(6, 128)
"""Bins: 190 Hz to 4 kHz."""

Floats = npt.NDArray[np.floating[Any]]
Spectrum = npt.NDArray[np.complexfloating[Any, Any]]


class ResidualEcho:
    """Blocks in order; what comes out is a block late, so that windows overlap by half."""

    def __init__(self) -> None:
        self._window = np.sqrt(np.hanning(2 * BLOCK + 1)[:-1]).astype(np.float32)
        self.forget()

    def forget(self) -> None:
        bins = BLOCK + 1
        self._echo: Floats = np.zeros(BLOCK, np.float32)
        self._residual: Floats = self._echo
        """Of the block before."""
        self._out: Floats = self._echo
        self._echo_mean: Floats = np.zeros(bins, np.float32)
        self._residual_mean: Floats = self._echo_mean
        self._remains: Floats = self._echo_mean
        self._gain: Floats = np.ones(bins, np.float32)
        self._covariance, self._variance = 0.0, 1e-12
        self._recent = 0.0
        """Power of the echo that may still be in the room."""

    def pass_on(self, heard: Floats) -> Floats:
        """There is no echo in the block: the one before, as it was."""
        plain = np.concatenate((self._residual, heard)) * self._window**2
        out = self._out + plain[:BLOCK]
        self._echo, self._residual, self._out = np.zeros(BLOCK, np.float32), heard, plain[BLOCK:]
        return out

    def take_off(self, echo: Floats, residual: Floats) -> tuple[Floats, Spectrum, Spectrum]:
        """(the block before, cleaned; the spectrum of the echo in both; the spectrum of the residual)."""
        both = np.concatenate((self._echo, echo)), np.concatenate((self._residual, residual))
        self._echo, self._residual = echo, residual
        spectrum, expected = np.fft.rfft(both[1] * self._window), np.fft.rfft(both[0] * self._window)
        frame = np.fft.irfft(spectrum * self._gains(power_of(spectrum), power_of(expected))) * self._window
        out = self._out + frame[:BLOCK]
        self._out = frame[BLOCK:]
        return out, expected, spectrum

    def rest(self) -> Floats:
        """The newest block, which is not complete before the next one comes: of it, what the filter leaves."""
        newest = self._residual * self._window[BLOCK:] ** 2
        return self._out + newest * float(self._gain.mean())

    def _gains(self, heard: Floats, ours: Floats) -> Floats:
        self._echo_mean = 0.95 * self._echo_mean + 0.05 * ours
        self._residual_mean = 0.95 * self._residual_mean + 0.05 * heard
        moved, followed = ours - self._echo_mean, heard - self._residual_mean
        pace = 0.1 * min(1.0, float(ours.sum() / (heard.sum() + 1e-12)))
        self._covariance += pace * (float((moved * followed).sum()) - self._covariance)
        self._variance += pace * (float((moved * moved).sum()) - self._variance)
        leak = min(max(self._covariance / self._variance, _LEAK), 1.0)
        self._remains = np.maximum(leak * ours, DECAY * self._remains)
        gain = np.clip(1 - _OVER * self._remains / (heard + 1e-12), _FLOOR, 1.0)
        self._gain = np.maximum(gain, 0.6 * self._gain)
        left, there = float((self._gain * heard)[_SPEECH].sum()), float(heard[_SPEECH].sum())
        if left < _MUTE * there and self._remains[_SPEECH].sum() > 1e-9:
            return self._gain * _FLOOR
        echo = float(ours[_SPEECH].sum())
        self._recent = max(echo, DECAY * self._recent)
        if self._recent > 1e-9 and left < _LEFT * self._recent:
            return self._gain * _FLOOR
        return self._gain
