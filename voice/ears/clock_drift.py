"""A loudspeaker whose clock is not the microphone's: how much too slow or too fast it plays. Pure.

A microphone and a loudspeaker that are two devices differ by up to 100 parts in a million, one and a half samples a
second. The filter lags behind that, and leaves enough of the echo to be heard as speech every other second. So the
echo is compared with what the filter expected: always a little late means slow. The reference is then read at the
loudspeaker's pace, between its samples where need be. It is found within about three seconds of speech.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ClockDrift"]

Floats = npt.NDArray[np.floating[Any]]
Spectrum = npt.NDArray[np.complexfloating[Any, Any]]

_MEMORY = 0.95
"""A block: a third of a second."""
_BINS = slice(6, 64)
"""Of 512 samples at 16 kHz, 190 Hz to 2 kHz: so far up a few samples are less than a turn."""
_FASTEST = 300e-6
_LEAST = 12e-6
"""Less is followed by the filter."""
_FOLLOW = 1.0
"""Of how late the echo is, what is put right in a second."""
_LEARN = 0.9
"""Of it, what the pace changes by in a second."""
_EAGER = 1.5
"""So many times that, besides, at the beginning of what there is to learn from."""
_EAGER_S = 1.0
_SURE = 3.5
"""Standard deviations: what is within that may be chance, or a loudspeaker that distorts."""


class ClockDrift:
    """`slow`: samples of silence that the loudspeaker would insert for each that it plays, below 0 if it is fast."""

    def __init__(self, rate_hz: int, block: int) -> None:
        self._rate_hz = rate_hz
        self._block_s = block / rate_hz
        self._omega = 2 * np.pi * np.arange(block + 1, dtype=np.float32)[_BINS] / (2 * block)
        self.slow = 0.0
        self._late = 0.0
        self._eager = _EAGER
        self._phase = self._power = self._spread = 0.0
        self._before = np.zeros(1, np.float32)
        """The sample that was read last, to read between it and the next."""
        self._at = 0.0
        """Where to read next, as a share of the way from the next sample to the one after it."""

    def learn(self, expected: Spectrum, residual: Spectrum) -> None:
        """A block's echo by the filter, and what was heard besides."""
        ours, rest = expected[_BINS], residual[_BINS]
        power = ours.real**2 + ours.imag**2
        self._phase = _MEMORY * self._phase - float((self._omega * (ours.conj() * rest).imag).sum())
        self._power = _MEMORY * self._power + float((self._omega**2 * power).sum())
        besides = self._omega**2 * power * (rest.real**2 + rest.imag**2)
        self._spread = _MEMORY**2 * self._spread + 0.5 * float(besides.sum())
        if self._power <= 1e-12:
            return
        chance = _SURE**2 * self._spread / (self._phase**2 + 1e-24)
        self._late = min(max(self._phase / self._power, -2.0), 2.0) * max(0.0, 1 - chance)
        self._eager *= 1 - self._block_s / _EAGER_S
        change = _LEARN * (1 + self._eager) * self._late * self._block_s / self._rate_hz
        self.slow = min(max(self.slow + change, -_FASTEST), _FASTEST)

    def take(self, ahead: Floats, count: int) -> tuple[Floats, Floats]:
        """(the next `count` samples as the loudspeaker plays them, what is left). Too few are filled up with zeros.

        Between samples lies the cubic through four of them: up to 4 kHz it is right to a hundredth.
        """
        if not len(ahead):
            self._at = self._late = self._phase = self._power = self._spread = 0.0
            return np.zeros(count, np.float32), ahead
        follow = self.slow + _FOLLOW * self._late / self._rate_hz
        if abs(self.slow) < _LEAST and self._at == 0.0:
            fresh, rest = ahead[:count], ahead[count:]
            self._before = fresh[-1:]
            return np.concatenate((fresh, np.zeros(count - len(fresh), np.float32))), rest
        where = self._at + np.arange(count) * (1 - follow)
        whole = where.astype(np.int64)
        used = int(self._at + count * (1 - follow))
        held = np.concatenate((self._before, ahead[: used + 3]))
        held = np.concatenate((held, np.zeros(max(0, used + 4 - len(held)), np.float32)))
        f = (where - whole).astype(np.float32)
        y0, y1, y2, y3 = held[whole], held[whole + 1], held[whole + 2], held[whole + 3]
        fresh = (
            y0 * (-f * (f - 1) * (f - 2) / 6)
            + y1 * ((f + 1) * (f - 1) * (f - 2) / 2)
            - y2 * ((f + 1) * f * (f - 2) / 2)
            + y3 * ((f + 1) * f * (f - 1) / 6)
        ).astype(np.float32)
        self._at = self._at + count * (1 - follow) - used
        self._before = held[used : used + 1]
        return fresh, ahead[used:]
