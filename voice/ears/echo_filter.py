"""The adaptive filter that makes our echo of what we sent. Pure.

A partitioned frequency-domain Kalman filter (Enzner and Vary 2006; Kuech, Mabande and Enzner 2014): it weighs its
error by how much else is in the signal, so that it neither needs nor has a detector of double talk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from voice.ears.timeline import BLOCK

__all__ = ["PARTS", "EchoFilter", "Learned", "power_of"]

PARTS = 16
"""Blocks that the filter covers: 256 ms."""
_EVERY = 4
"""A part of the filter is kept to its length once in so many blocks: it costs as much as the rest."""
_OFF = 1.5 / 32768
"""No sample of a microphone that is off is louder: there is nothing to learn from that."""

Floats = npt.NDArray[np.floating[Any]]
Spectra = npt.NDArray[np.complexfloating[Any, Any]]
Learned = tuple[Spectra, Floats]
"""The coefficients, and how far each may be off (variance)."""


class EchoFilter:
    """`learned` may be taken and put back."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        bins = BLOCK + 1
        self._spectra: Spectra = np.zeros((PARTS, bins), np.complex64)
        self._power: Floats = np.zeros((PARTS, bins), np.float32)
        self._turn = 0
        self._filter: Spectra = np.zeros((PARTS, bins), np.complex64)
        fading = np.exp(-0.4 * np.arange(PARTS, dtype=np.float32))
        self._doubt: Floats = np.repeat(fading[:, None], bins, axis=1)  # rooms fade: 60 dB in 0.5 s
        self._noise: Floats = np.full(bins, 1e-6, np.float32)

    @property
    def learned(self) -> Learned:
        return self._filter, self._doubt

    @learned.setter
    def learned(self, learned: Learned) -> None:
        self._filter, self._doubt = learned

    def copy(self) -> Learned:
        return self._filter.copy(), self._doubt.copy()

    def scale(self, gain: float) -> None:
        """The same way, but so much louder."""
        self._filter = (self._filter * np.float32(gain)).astype(np.complex64)
        self._doubt = (self._doubt * np.float32(gain**2)).astype(np.float32)

    @property
    def loudest(self) -> float:
        """Power of the reference, in the bin and the part that have most of it."""
        return float(self._power.max())

    @property
    def whole(self) -> bool:
        """Every part has been kept to its length since this was last so."""
        return self._turn == 0

    def put(self, part: int, x: Floats) -> None:
        """`x` (two blocks) is the reference of a part, as the next block expects it."""
        self._spectra[part] = np.fft.rfft(x)
        self._power[part] = power_of(self._spectra[part])

    def cancel(self, x: Floats, heard: Floats, *, learn: bool) -> tuple[Floats, Floats]:
        """(echo, residual) of a block, `x` being the newest two blocks of the reference."""
        self._spectra[1:] = self._spectra[:-1].copy()
        self._power[1:] = self._power[:-1].copy()
        self.put(0, x)
        echo: Floats = np.fft.irfft((self._filter * self._spectra).sum(axis=0))[BLOCK:]
        residual = heard - echo
        if learn and self._power.max() > 1e-6 and np.abs(heard).max() > _OFF:
            self._learn(residual)
        return echo, residual

    def _learn(self, residual: Floats) -> None:
        power = self._power
        error = np.fft.rfft(np.concatenate((np.zeros(BLOCK, np.float32), residual)))
        self._noise = 0.8 * self._noise + 0.2 * power_of(error)
        expected = 0.5 * (self._doubt * power).sum(axis=0) + 1.0 * self._noise + 1e-9
        step = self._doubt / expected
        # half of the transform is zeros: half of the step (Enzner and Vary's R / M), or the filter overshoots
        self._doubt = 0.998 * (1 - 0.25 * step * power).clip(0.0) * self._doubt + 0.002 * (
            power_of(self._filter) + 1e-7
        )
        self._filter += 0.5 * step * self._spectra.conj() * error
        self._turn = (self._turn + 1) % _EVERY
        part = self._filter[self._turn :: _EVERY]
        taps = np.fft.irfft(part, axis=1)
        taps[:, BLOCK:] = 0
        self._filter[self._turn :: _EVERY] = np.fft.rfft(taps, axis=1)

    def make(self, x: Floats) -> Floats:
        """The echo of `x`, as long as `x`; its beginning lacks the echo of what was before."""
        taps = np.fft.irfft(self._filter, axis=1)[:, :BLOCK].reshape(-1)
        size = 1 << (len(x) + len(taps)).bit_length()
        made: Floats = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(taps, size), size)[: len(x)]
        return made


def power_of(spectrum: Spectra) -> Floats:
    power: Floats = spectrum.real**2 + spectrum.imag**2
    return power
