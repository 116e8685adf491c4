"""Take our own voice out of the microphone's signal. Pure: samples in, samples out.

Why this file is long: finding, cancelling and suppressing the echo share one timeline and are of no use apart.

We know what we sent and when, so the reference lies on the microphone's own timeline: a piece of a reply stands where
the microphone was when the piece was sent, or behind the piece before it. The echo comes some time later: the
client's buffers, the room, the way back.

1. *Find it.* While we are heard to speak, the last second of microphone and reference are correlated (GCC-PHAT,
   Knapp and Carter 1976). A clear peak is the delay; the microphone loud and no peak, twice, means that what it
   hears is not us. Until one of the two is known the signal passes as it is.
2. *Cancel it.* A partitioned frequency-domain Kalman filter (Enzner and Vary 2006; Kuech, Mabande and Enzner 2014)
   follows the way from loudspeaker to microphone, 256 ms from just before the delay on. It weighs its error by how
   much else is in the signal, so that it neither needs nor has a detector of double talk.
3. *Suppress the rest.* What the filter leaves (the far end of the reverberation, what a small loudspeaker adds) is
   estimated from how the residual's power follows the echo's, and taken off band by band. Where hardly anything else
   is left, the block is silent: a detector of voices is startled by the least musical remainder.

Where nothing was sent for as long as an echo can last, the signal passes bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from voice.port import Pcm

__all__ = ["EchoCanceller", "EchoState", "RATE_HZ"]

EchoState = Literal["unknown", "absent", "present"]

RATE_HZ = 16_000
BLOCK = 256
PARTS = 16
"""Blocks that the filter covers: 256 ms."""
LONGEST_S = 1.2
"""The latest echo that is looked for: buffers of the client and of the network included."""

_WINDOW = RATE_HZ
_KEPT = 3 * RATE_HZ
"""Samples of both signals that are kept."""
_LOOK_EVERY = RATE_HZ // 4
_EARLY = 2 * BLOCK
"""The filter begins so many samples before the delay: the strongest path need not be the first."""
_QUIET = 1e-3
"""RMS of full scale (-60 dB): a signal below says nothing."""
_PEAK_PRESENT = 9.0
_PEAK_ABSENT = 6.5
"""The highest peak of the correlation over its RMS. Speech against other speech stays under 7."""
_VOTES = 3
_FLOOR = 0.02

Floats = npt.NDArray[np.float64]
Spectra = npt.NDArray[np.complex128]


@dataclass(slots=True)
class _Tail:
    """What the suppressor remembers from block to block."""

    echo: Floats
    residual: Floats
    echo_mean: Floats
    residual_mean: Floats
    remains: Floats
    gain: Floats
    out: Floats
    covariance: float = 0.0
    variance: float = 1e-12


class EchoCanceller:
    """One session. `hear` and `play` are called in the order in which things happen."""

    def __init__(self) -> None:
        self.state: EchoState = "unknown"
        self.delay = 0
        """Samples between what we send and what comes back, where the state is "present"."""
        self._mic = np.zeros(_KEPT)
        self._ref = np.zeros(_KEPT)
        """The last `_KEPT` samples before `_at`."""
        self._ahead = np.zeros(0)
        """Reference from `_at` on."""
        self._at = 0
        self._spoke_until = -(1 << 60)
        """Position after the last sample of reference."""
        self._look_at = 0
        self._votes = 0
        self._held = np.zeros(0, np.int16)
        self._engaged = False
        self._window = np.sqrt(np.hanning(2 * BLOCK + 1)[:-1])
        self._reset()

    # ---- in and out -----------------------------------------------------------------------------------------

    def play(self, pcm: Pcm, late: int = 0) -> None:
        """We have sent `pcm` (16 kHz), `late` samples after the last audio that was heard."""
        missing = late - len(self._ahead)
        filler = [np.zeros(missing)] if missing > 0 else []
        self._ahead = np.concatenate((self._ahead, *filler, pcm / 32768))[: 60 * RATE_HZ]
        self._spoke_until = self._at + len(self._ahead)

    def stop(self, late: int = 0) -> None:
        """The client was told to drop what it has not played."""
        self._ahead = self._ahead[:late]
        self._spoke_until = min(self._spoke_until, self._at + len(self._ahead))

    def gap(self, samples: int) -> None:
        """The microphone was off for so long: what we sent meanwhile was not heard."""
        self._ahead = self._ahead[samples:]
        self._spoke_until = self._at + len(self._ahead)

    def hear(self, pcm: Pcm) -> Pcm:
        """Microphone audio (int16, 16 kHz, any length) without our voice, in order; up to 32 ms of it come later."""
        if not self._engaged:
            self._remember(pcm)
            if self._active and self._at >= self._look_at:
                self._look_at = self._at + _LOOK_EVERY
                self._look()
            if self._engaged:
                self._rehearse()
            return pcm
        self._held = np.concatenate((self._held, pcm))
        pieces = []
        while len(self._held) >= BLOCK:
            block, self._held = self._held[:BLOCK], self._held[BLOCK:]
            self._remember(block)
            pieces.append(self._clean())
            if self._active and self._at >= self._look_at:
                self._look_at = self._at + 2 * _LOOK_EVERY
                self._look()
        if not pieces:
            return np.zeros(0, np.int16)
        return (np.concatenate(pieces) * 32768).round().clip(-32768, 32767).astype(np.int16)

    @property
    def _active(self) -> bool:
        """Some of our voice may be in the signal."""
        return self._at <= self._spoke_until + round(LONGEST_S * RATE_HZ)

    def _remember(self, pcm: Pcm) -> None:
        count = len(pcm)
        if count > _KEPT:
            self._advance(count - _KEPT)
            pcm = pcm[-_KEPT:]
            count = _KEPT
        self._mic = np.concatenate((self._mic[count:], pcm / 32768))
        self._advance(count)

    def _advance(self, count: int) -> None:
        fresh = self._ahead[:count]
        fresh = np.concatenate((fresh, np.zeros(count - len(fresh))))
        self._ahead = self._ahead[count:]
        self._ref = np.concatenate((self._ref, fresh))[-_KEPT:]
        self._at += count

    # ---- 1: is there an echo, and how late is it? -----------------------------------------------------------

    def _look(self) -> None:
        mic, ref = self._mic[-_WINDOW:], self._ref[-_WINDOW - round(LONGEST_S * RATE_HZ) :]
        if np.sqrt(np.mean(mic**2)) < _QUIET or np.sqrt(np.mean(ref**2)) < _QUIET:
            return
        lag, height = _correlate(mic, ref)
        if height >= _PEAK_PRESENT:
            self._votes = 0
            if self.state != "present" or not -_EARLY // 2 <= lag - self.delay <= PARTS * BLOCK // 2:
                self.state, self.delay = "present", lag
                self._reset()
                self._engaged = True
        elif self.state != "present":
            self._votes = self._votes + 1 if height < _PEAK_ABSENT else 0
            if self._votes >= _VOTES:
                self.state = "absent"

    def _rehearse(self) -> None:
        """Let the filter learn from what was heard so far."""
        start = _KEPT - (2 * RATE_HZ // BLOCK) * BLOCK
        for _ in range(2):
            for end in range(start, _KEPT + 1, BLOCK):
                self._cancel(_KEPT - end)

    # ---- 2: cancel ------------------------------------------------------------------------------------------

    def _reset(self) -> None:
        bins = BLOCK + 1
        self._spectra: Spectra = np.zeros((PARTS, bins), np.complex128)
        self._filter: Spectra = np.zeros((PARTS, bins), np.complex128)
        self._doubt: Floats = np.full((PARTS, bins), 1.0)
        """How far the filter may be off: the variance of each of its coefficients."""
        self._noise: Floats = np.full(bins, 1e-6)
        block, zero = np.zeros(BLOCK), np.zeros(bins)
        self._tail = _Tail(block, block, zero, zero, zero, np.ones(bins), block)

    def _cancel(self, ago: int = 0) -> tuple[Floats, Floats]:
        """(echo, residual) of the block that ended `ago` samples ago."""
        end = _KEPT - ago
        late = end - max(0, self.delay - _EARLY)
        x = self._ref[max(0, late - 2 * BLOCK) : late]
        if len(x) < 2 * BLOCK:
            x = np.pad(x, (2 * BLOCK - len(x), 0))
        heard = self._mic[end - BLOCK : end]
        self._spectra = np.roll(self._spectra, 1, axis=0)
        self._spectra[0] = np.fft.rfft(x)
        echo: Floats = np.fft.irfft((self._filter * self._spectra).sum(axis=0))[BLOCK:]
        residual = heard - echo
        power = np.abs(self._spectra) ** 2
        total = power.sum(axis=0)
        if total.max() > 1e-6:
            error = np.fft.rfft(np.concatenate((np.zeros(BLOCK), residual)))
            self._noise = 0.8 * self._noise + 0.2 * np.abs(error) ** 2
            expected = 0.5 * (self._doubt * power).sum(axis=0) + 1.0 * self._noise + 1e-9
            step = self._doubt / expected
            self._doubt = 0.998 * (1 - 0.5 * step * power).clip(0.0) * self._doubt + 0.002 * (
                np.abs(self._filter) ** 2 + 1e-7
            )
            change = np.fft.irfft(step * self._spectra.conj() * error, axis=1)
            change[:, BLOCK:] = 0
            self._filter += np.fft.rfft(change, axis=1)
        return echo, residual

    # ---- 3: suppress ----------------------------------------------------------------------------------------

    def _clean(self) -> Floats:
        """The next block of the output: the one before the newest."""
        tail = self._tail
        echo, residual = self._cancel()
        both = np.concatenate((tail.echo, echo)), np.concatenate((tail.residual, residual))
        tail.echo, tail.residual = echo, residual
        spectrum = np.fft.rfft(both[1] * self._window)
        heard, ours = np.abs(spectrum) ** 2, np.abs(np.fft.rfft(both[0] * self._window)) ** 2
        gain = self._gain(heard, ours)
        frame = np.fft.irfft(spectrum * gain) * self._window
        out = tail.out + frame[:BLOCK]
        tail.out = frame[BLOCK:]
        return out

    def _gain(self, heard: Floats, ours: Floats) -> Floats:
        tail = self._tail
        tail.echo_mean = 0.95 * tail.echo_mean + 0.05 * ours
        tail.residual_mean = 0.95 * tail.residual_mean + 0.05 * heard
        moved, followed = ours - tail.echo_mean, heard - tail.residual_mean
        pace = 0.1 * min(1.0, float(ours.sum() / (heard.sum() + 1e-12)))
        tail.covariance += pace * (float((moved * followed).sum()) - tail.covariance)
        tail.variance += pace * (float((moved * moved).sum()) - tail.variance)
        leak = min(max(tail.covariance / tail.variance, 0.01), 1.0)
        tail.remains = np.maximum(leak * ours, 0.72 * tail.remains)
        gain = np.clip(1 - 2.0 * tail.remains / (heard + 1e-12), _FLOOR, 1.0)
        tail.gain = np.maximum(gain, 0.6 * tail.gain)
        speech = slice(6, 128)  # 190 Hz to 4 kHz
        left, there = float((tail.gain * heard)[speech].sum()), float(heard[speech].sum())
        if left < 0.35 * there and tail.remains[speech].sum() > 1e-9:
            return tail.gain * _FLOOR
        return tail.gain


def _correlate(mic: Floats, ref: Floats) -> tuple[int, float]:
    """(delay of `ref` in `mic` in samples, height of the peak over the RMS). `ref` reaches further back."""
    size = 1 << (len(mic) + len(ref) - 1).bit_length()
    cross = np.fft.rfft(mic, size) * np.fft.rfft(ref, size).conj()
    hertz = np.arange(len(cross)) * RATE_HZ / size
    cross[(hertz < 200) | (hertz > 4000)] = 0
    whole = np.fft.irfft(cross / (np.abs(cross) + 1e-9))
    # mic[i] = ref[i + extra - delay]: the lag is delay - extra
    extra = len(ref) - len(mic)
    lags = np.roll(whole, extra)[: extra + 1]
    peak = int(np.argmax(np.abs(lags)))
    return peak, float(np.abs(lags[peak]) / (np.sqrt(np.mean(whole**2)) + 1e-12))
