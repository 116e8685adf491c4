"""Take our own voice out of the microphone's signal. Pure: samples in, samples out.

Why this file is long: finding, cancelling and suppressing the echo share one timeline and are of no use apart.

We know what we sent and when, so the reference lies on the microphone's own timeline: a piece of a reply stands where
the microphone was when the piece was sent, or behind the piece before it. The echo comes some time later: the
client's buffers, the room, the way back.

1. *Find it.* While we are heard to speak and the microphone hears anything, the last second of both is correlated
   ten times a second (GCC-PHAT, Knapp and Carter 1976). A clear peak is the delay: a tenth of a second of echo is
   enough. The microphone loud and no peak, again and again, means that what it hears is not us. Until one of the two
   is known the signal passes as it is; once there is an echo, what passed is gone over again (`hindsight`).
   A microphone far quieter than any echo of us hears none; noise as loud as the echo hides it from the filter, so a
   delay that is the same in another second counts, too.
2. *Cancel it.* A partitioned frequency-domain Kalman filter (Enzner and Vary 2006; Kuech, Mabande and Enzner 2014)
   follows the way from loudspeaker to microphone, 256 ms from just before the delay on. It weighs its error by how
   much else is in the signal, so that it neither needs nor has a detector of double talk.
3. *Place it anew.* After a silence the client's playout starts a few milliseconds earlier or later than the last
   time, and a filter that was right is wrong by that. So what begins after a silence is compared with what the filter
   expects, until one shift of the reference makes them alike; the filter learns nothing meanwhile, and what is no
   louder than our own voice would be there is silent.
   Where a network stalls it may be off by half a second, in the midst of a reply: what the filter suddenly does not
   explain is looked for elsewhere, and where the filter that was right explains it, there it is.
4. *Keep pace.* A loudspeaker that is not on the microphone's clock drifts away from the filter (pace.py).
5. *Suppress the rest.* What the filter leaves (the far end of the reverberation, what a small loudspeaker adds) is
   estimated from how the residual's power follows the echo's, and taken off band by band. Where hardly anything else
   is left, the block is silent: a detector of voices is startled by the least musical remainder.

Where nothing was sent for as long as an echo can last, the signal passes bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from voice.ears.likeness import correlate, shift_of
from voice.ears.loudness import QUIET, floor, lasts_s, loud_s, unheard
from voice.ears.pace import Pace
from voice.port import Pcm

__all__ = ["EchoCanceller", "EchoState", "RATE_HZ"]

EchoState = Literal["unknown", "absent", "present"]

RATE_HZ = 16_000
BLOCK = 256
PARTS = 16
_EVERY = 4
"""A part of the filter is kept to its length once in so many blocks: it costs as much as the rest."""
"""Blocks that the filter covers: 256 ms."""
LONGEST_S = 1.2
"""The latest echo that is looked for: buffers of the client and of the network included."""

_WINDOW = RATE_HZ
_KEPT = 3 * RATE_HZ
"""Samples of both signals that are kept."""
_LOOK_EVERY = RATE_HZ // 10
_LOOK_RARELY = RATE_HZ // 2
_BURST = 5 * RATE_HZ
"""So much at once is a file and no microphone: it passes as it is."""
_EARLY = 2 * BLOCK
"""The filter begins so many samples before the delay: the strongest path need not be the first."""

_PEAK_SURE = ((0.15, 50.0), (0.25, 25.0), (0.5, 20.0))
"""From so many loud seconds on, the highest peak of the correlation over its RMS is an echo. With an echo of 0 to
-25 dB it is 40 to 100 at the median; with another voice up to 11 after 0.8 s and 26 after 0.1 s, with the very same
synthetic voice saying something else up to 15 and 70."""
_PEAK_PRESENT = 13.0
"""Two such peaks at one delay, after half a second that is loud, are an echo; a lower one is none."""
_LOUD_S = 0.5
"""So much that is loud has to be there before its likeness to us counts, once there seems to be no echo."""
_VOTES = 3
"""Looks at something loud that was not us, after which there is no echo."""
_MOVED = 80
"""Samples by which the delay is off, twice the same, when the way back is another one now."""
_UNEXPLAINED = 0.7
"""Of the power of the last second, left by a filter that has learned from it: 0.2 and less of an echo, 0.6 where
somebody speaks over it as loud, 0.75 and more of other voices."""
_NOISY = 0.85
"""The same, where the delay is the same in another second."""
_DOUBT = 3 * RATE_HZ // 2
_RELEARN = (RATE_HZ // 2, 5 * RATE_HZ // 4)
"""So long after an echo was found the filter begins anew, with more to learn from."""
_OVER = 3.0
"""The remainder is taken off so many times: it is an estimate, and what is left of it sounds."""
_MUTE = 0.5
"""Where less than this share of the power is something else, the block is silent."""
_DECAY = 0.72
"""Of the reverberation's power a block: 60 dB in 0.67 s."""
_LEAK = 0.02
"""The least that the filter is taken to leave."""
_FLOOR = 0.02
_LEFT = 0.12
"""Of the echo's power, what is left at the worst (9 dB below): where no more than that is left, the block is silent
too. In six rooms, with a distorting loudspeaker, in noises that keeps four of five remainders from being heard as
speech."""

_SHIFT = 1280
"""Samples (80 ms) by which a client's playout may begin early or late."""
_ALIKE = 0.5
"""Correlation of what is heard with what was expected, where they are the same."""
_FIRST_TRY = 1600
_LAST_TRY = 12_000
"""Samples of echo after which it is compared, first and for the last time."""
_GLANCE = 6400
"""Samples of the microphone in which an echo that has moved is looked for."""
_LEAST_MOVE = 10
"""What is off by less is followed by the filter."""
_ASTRAY = 0.5
_RIGHT = 0.25
"""Share of the loud echo's power that a filter leaves: it is wrong, or drowned by another voice; it is right."""
_LOUDER = 6.0
"""A voice has so many times the power of the expected echo."""

Floats = npt.NDArray[np.floating[Any]]
Spectra = npt.NDArray[np.complexfloating[Any, Any]]


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
    recent: float = 0.0
    """Power of the echo that may still be in the room."""


class EchoCanceller:
    """One session. `hear` and `play` are called in the order in which things happen."""

    def __init__(self) -> None:
        self.state: EchoState = "unknown"
        self.delay = 0
        """Samples between what we send and what comes back, where the state is "present"."""
        self.moves = 0
        """How often that proved to be wrong: until then, our voice was not taken out."""
        self._mic = np.zeros(_KEPT, np.float32)
        self._ref = np.zeros(_KEPT, np.float32)
        """The last `_KEPT` samples before `_at`."""
        self._ahead = np.zeros(0, np.float32)
        """Reference from `_at` on."""
        self._at = 0
        self._spoke_until = -(1 << 60)
        """Position after the last sample of reference."""
        self._look_at = 0
        self._votes = 0
        self._burst_at: int | None = None
        """Where the reference began again after a silence, until its echo has been found."""
        self._held = np.zeros(0, np.int16)
        self.hindsight: Pcm = np.zeros(0, np.int16)
        """Once there is an echo: the last audio that was given out, again, without it. Who takes it empties it."""
        self._engaged = self._skip = False
        self._relearn_at: list[int] = []
        self._level = self._recent = 0.0
        """How much of our power comes back; the power that may still reverberate."""
        self._candidate = -1
        self._doubted_at: int | None = None
        self._doubted = -1, 0, 0
        """A delay at which there may be an echo, and where it was found first and last."""
        self._astray = 0.0
        """Share of the loud echo's power that the filter leaves, lately: little, unless somebody speaks over it or it
        comes at another time than we think."""
        self._proven: tuple[Spectra, Floats] | None = None
        """The filter when it was last right."""
        self._jump = 0
        """By how much the last burst that was not where it was expected was off."""
        self._pace = Pace(RATE_HZ, BLOCK)
        self._filter: Spectra
        self._doubt: Floats
        """How far the filter may be off: the variance of each of its coefficients."""
        self._window = np.sqrt(np.hanning(2 * BLOCK + 1)[:-1]).astype(np.float32)
        self._reset()

    # ---- in and out -----------------------------------------------------------------------------------------

    def play(self, pcm: Pcm, late: int = 0) -> None:
        """We have sent `pcm` (16 kHz), `late` samples after the last audio that was heard."""
        late += len(self._held)  # heard, and not yet looked at
        missing = late - len(self._ahead)
        if self._at + max(0, late) > self._spoke_until:
            self._burst_at = self._at + max(0, late)
        filler = [np.zeros(missing, np.float32)] if missing > 0 else []
        self._ahead = np.concatenate((self._ahead, *filler, pcm.astype(np.float32) / 32768))[: 60 * RATE_HZ]
        self._spoke_until = self._at + len(self._ahead)

    def stop(self, late: int = 0) -> None:
        """The client was told, `late` samples after the last audio that was heard, to drop what it has not played."""
        self._ahead = self._ahead[: late + len(self._held)]
        self._spoke_until = min(self._spoke_until, self._at + len(self._ahead))

    def away(self) -> None:
        """The connection was lost: what was not played is sent again, and comes back with another delay, perhaps."""
        self.stop()
        self._spoke_until = min(self._spoke_until, self._at - 1)

    def gap(self, samples: int) -> None:
        """The microphone was off for so long: what we sent meanwhile was not heard."""
        self._ahead = self._ahead[samples:]
        self._spoke_until = self._at + len(self._ahead)

    def hear(self, pcm: Pcm) -> Pcm:
        """Microphone audio (int16, 16 kHz, any length) without our voice, in order; up to 32 ms of it come later."""
        if not self._engaged:
            self._remember(pcm)
            if self._active and self._at >= self._look_at:
                self._look_at = self._at + (2 if self.state == "absent" else 1) * _LOOK_EVERY
                self._look()
            if self._engaged:
                self._burst_at = None
                self._look_back()
            return pcm
        if len(pcm) > _BURST:
            whole, self._held = np.concatenate((self._held, pcm)), np.zeros(0, np.int16)
            self._remember(whole)
            self._skip = True
            self._reset()
            return whole
        self._held = np.concatenate((self._held, pcm))
        pieces = []
        while len(self._held) >= BLOCK:
            block, self._held = self._held[:BLOCK], self._held[BLOCK:]
            self._remember(block)
            hidden = self._place() or self._rough()
            if self._relearn_at and self._at >= self._relearn_at[0] and self._burst_at is None:
                self._relearn()
            pieces.append(self._clean() * 0 if hidden else self._clean())
            if self._skip:
                self._skip = False
                pieces.clear()  # the block before was given out as it was
            if self._active and self._at >= self._look_at - (_LOOK_RARELY - _LOOK_EVERY) * (self._astray > _ASTRAY):
                self._look_at = self._at + _LOOK_RARELY
                if not self._elsewhere():
                    self._look()
        if not pieces:
            return np.zeros(0, np.int16)
        return _samples(np.concatenate(pieces))

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
        self._mic = np.concatenate((self._mic[count:], pcm.astype(np.float32) / 32768))
        self._advance(count)

    def _advance(self, count: int) -> None:
        fresh, self._ahead = self._pace.take(self._ahead, count)
        self._ref = np.concatenate((self._ref, fresh))[-_KEPT:]
        self._at += count

    # ---- 1: is there an echo, and how late is it? -----------------------------------------------------------

    def _look(self) -> None:
        mic, ref = self._mic[-_WINDOW:], self._ref[-_WINDOW - round(LONGEST_S * RATE_HZ) :]
        if np.sqrt(np.mean(ref**2)) < QUIET:
            return
        if self.state == "unknown" and unheard(ref[-_WINDOW:], mic):
            self.state = "absent"
            return
        loud = loud_s(self._mic, _WINDOW)
        noisy = not self._engaged and loud <= 0 and floor(mic) >= QUIET**2
        lag, height = correlate(mic, ref, RATE_HZ) if loud > 0 or noisy else (-1, 0.0)
        if noisy and height >= _PEAK_PRESENT:
            loud = lasts_s(ref[len(ref) - _WINDOW - lag : len(ref) - lag])
        if noisy and self.state == "absent":
            self._look_at = self._at + _LOOK_RARELY
        if loud <= 0:
            # what we said may still be on its way; later, silence is the surest sign of no echo
            if self.state == "unknown" and np.sqrt(np.mean(ref[: _WINDOW - 2 * _LOOK_EVERY] ** 2)) >= QUIET:
                self.state = "absent"
            return
        again = abs(lag - self._candidate) <= 32
        enough = loud >= _LOUD_S
        self._candidate = lag if enough and height >= _PEAK_PRESENT else -1
        sure = any(loud >= least_s and height >= peak for least_s, peak in _PEAK_SURE)
        if sure and not enough and self.state == "absent":
            return
        found = sure or (height >= _PEAK_PRESENT and again and enough)
        if found and not self._engaged and not self._explains(lag, self._persists(lag)):
            self._candidate, found, height = -1, False, 0.0
            self._doubted_at = self._at if self._doubted_at is None else self._doubted_at
            steady = floor(mic) >= QUIET**2
            if steady and self.state == "unknown" and self._at - self._doubted_at <= _DOUBT:
                return  # noise may hide it: another second will tell
        if self._engaged and not again and height >= _PEAK_PRESENT and abs(lag - self.delay) > _MOVED:
            self._look_at = self._at + _LOOK_EVERY  # the client's playout may have moved: be sure of it soon
        if found:
            self._votes = 0
            near = self._engaged and self._burst_at is not None and abs(lag - self.delay) <= _SHIFT
            if near:
                return  # it will be placed
            if self.state == "present" and again and abs(lag - self.delay) > _MOVED and not self._relearn_at:
                self._relearn_at = [self._at, self._at + _RELEARN[0]]  # the client's playout has moved
                self.moves += 1
                return
            if self.state != "present" or not -_EARLY // 2 <= lag - self.delay <= PARTS * BLOCK // 2:
                self.state, self.delay = "present", lag
                if self._engaged:
                    self.moves += 1
                    self._reset()
                    self._rehearse()
                self._relearn_at = [self._at + later for later in _RELEARN]
                self._skip = self._skip or not self._engaged
                self._engaged = True
        elif self.state == "unknown":
            self._votes = (self._votes + 1 if height < _PEAK_PRESENT else 0) if loud >= 0.4 else self._votes
            if self._votes >= _VOTES:
                self.state = "absent"

    def _persists(self, lag: int) -> bool:
        """The same delay was found before, in audio that this look does not see."""
        if abs(lag - self._doubted[0]) > 32 or self._at - self._doubted[2] > 2 * _WINDOW:
            self._doubted = lag, self._at, self._at
        self._doubted = *self._doubted[:2], self._at
        return self._at - self._doubted[1] >= _WINDOW + _LOOK_EVERY

    def _elsewhere(self) -> bool:
        """Our voice is not where we thought, but the filter that was right explains it somewhere else."""
        if self._astray <= _ASTRAY or self._proven is None:
            return False
        there = self._mic[-_GLANCE:]
        if np.mean(there**2) < QUIET**2:
            return False
        lag, height = correlate(there, self._ref[-_GLANCE - round(LONGEST_S * RATE_HZ) :], RATE_HZ)
        shift = lag - self.delay
        if height < _PEAK_PRESENT or abs(shift) < _LEAST_MOVE:
            return False
        before = self._filter, self._doubt
        self._filter, self._doubt = self._proven[0].copy(), self._proven[1].copy()
        expected = self._expected(_GLANCE + 2 * _SHIFT, lag)
        off, alike = shift_of(there, expected, _SHIFT)
        if alike < _ALIKE or abs(off) > _LEAST_MOVE:
            self._filter, self._doubt = before
            return False
        begun, self._burst_at = self._burst_at, None
        again = begun is not None and abs(shift - self._jump) < _LEAST_MOVE
        if again or len(self._ahead) < -shift:
            self.delay, self._jump = lag, 0  # twice the same: so it is from now on
            self._move(0, _KEPT)
        else:
            self._jump = shift if begun is not None else 0
            begin = _KEPT - (_GLANCE + lag if begun is None else min(self._at - begun, _KEPT))
            self._move(shift, max(0, begin))
        self._relearn_at.clear()
        self.moves += 1
        return True

    def _relearn(self) -> None:
        """A delay and a filter that were found in a tenth of a second are rough."""
        self._relearn_at = self._relearn_at[1:]
        lag, height = correlate(self._mic[-_WINDOW:], self._ref[-_WINDOW - round(LONGEST_S * RATE_HZ) :], RATE_HZ)
        if height >= _PEAK_PRESENT:
            self.delay = lag
        self._forget_filter()
        self._rehearse(_KEPT - BLOCK)

    def _explains(self, lag: int, persists: bool) -> bool:
        """A filter makes what was heard of what we played: a tone is correlated with any voice, and is none.

        Where there is noise as loud as the echo that cannot be much, but the delay `persists`.
        """
        before, self.delay = self.delay, lag
        self._reset()
        left = self._rehearse()
        enough = left <= (_NOISY if persists else _UNEXPLAINED)
        if not enough:
            self.delay = before
        return enough

    def _rehearse(self, until: int = _KEPT) -> float:
        """Let the filter learn from what was heard. Gives the share of the last second's power that it leaves."""
        start = _KEPT - (2 * RATE_HZ // BLOCK) * BLOCK
        at = slice(-_WINDOW - self.delay, -self.delay or None)
        ours, heard = self._ref[at], self._mic[-_WINDOW:]
        power = np.convolve(ours**2, np.ones(BLOCK) / BLOCK, "same")
        there = power > 0.05 * power.mean()
        self._level = float((heard[there] ** 2).mean() / (power[there].mean() + 1e-12)) if there.any() else 1.0
        left = 0.0
        for _ in range(2):
            left = 0.0
            for end in range(start, until + 1, BLOCK):
                _, residual = self._cancel(_KEPT - end)
                left += float((residual**2).sum()) if end > until - _WINDOW else 0.0
        return left / (float((self._mic[until - _WINDOW : until] ** 2).sum()) + 1e-12)

    def _look_back(self) -> None:
        """Take the echo out of what was given out before it was known."""
        start = _KEPT - (2 * RATE_HZ // BLOCK) * BLOCK
        pieces = [
            self._clean(_KEPT - end) * (0.0 if self._rough(_KEPT - end) else 1.0)
            for end in range(start, _KEPT + 1, BLOCK)
        ]
        # the newest block is not complete before the next one comes: of it, what the filter leaves
        newest = self._tail.residual * self._window[BLOCK:] ** 2
        pieces.append(self._tail.out + newest * float(self._tail.gain.mean()))
        self.hindsight = _samples(np.concatenate(pieces[2:]))

    # ---- 2: cancel ------------------------------------------------------------------------------------------

    def _reset(self) -> None:
        self._forget_filter()
        block, zero = np.zeros(BLOCK, np.float32), np.zeros(BLOCK + 1, np.float32)
        self._tail = _Tail(block, block, zero, zero, zero, np.ones(BLOCK + 1, np.float32), block)

    def _forget_filter(self) -> None:
        bins = BLOCK + 1
        self._spectra: Spectra = np.zeros((PARTS, bins), np.complex64)
        self._power: Floats = np.zeros((PARTS, bins), np.float32)
        self._turn = 0
        self._filter = np.zeros((PARTS, bins), np.complex64)
        fading = np.exp(-0.4 * np.arange(PARTS, dtype=np.float32))
        self._doubt = np.repeat(fading[:, None], bins, axis=1)  # rooms fade: 60 dB in 0.5 s
        self._noise: Floats = np.full(bins, 1e-6, np.float32)

    def _cancel(self, ago: int = 0, *, learn: bool = True) -> tuple[Floats, Floats]:
        """(echo, residual) of the block that ended `ago` samples ago."""
        end = _KEPT - ago
        late = end - max(0, self.delay - _EARLY)
        x = self._ref[max(0, late - 2 * BLOCK) : max(0, late)]
        if len(x) < 2 * BLOCK:
            x = np.pad(x, (2 * BLOCK - len(x), 0))
        heard = self._mic[end - BLOCK : end]
        self._spectra[1:] = self._spectra[:-1].copy()
        self._power[1:] = self._power[:-1].copy()
        self._spectra[0] = np.fft.rfft(x)
        self._power[0] = _power(self._spectra[0])
        echo: Floats = np.fft.irfft((self._filter * self._spectra).sum(axis=0))[BLOCK:]
        residual = heard - echo
        power = self._power
        if learn and power.max() > 1e-6:
            error = np.fft.rfft(np.concatenate((np.zeros(BLOCK, np.float32), residual)))
            self._noise = 0.8 * self._noise + 0.2 * _power(error)
            expected = 0.5 * (self._doubt * power).sum(axis=0) + 1.0 * self._noise + 1e-9
            step = self._doubt / expected
            # half of the transform is zeros: half of the step (Enzner and Vary's R / M), or the filter overshoots
            self._doubt = 0.998 * (1 - 0.25 * step * power).clip(0.0) * self._doubt + 0.002 * (
                _power(self._filter) + 1e-7
            )
            self._filter += 0.5 * step * self._spectra.conj() * error
            self._turn = (self._turn + 1) % _EVERY
            part = self._filter[self._turn :: _EVERY]
            taps = np.fft.irfft(part, axis=1)
            taps[:, BLOCK:] = 0
            self._filter[self._turn :: _EVERY] = np.fft.rfft(taps, axis=1)
        return echo, residual

    def _rough(self, ago: int = 0) -> bool:
        """The filter has learned little yet, and the newest block is no louder than our own voice is there."""
        if not self._relearn_at:
            return False
        late = _KEPT - ago - self.delay
        mine = float(np.mean(self._ref[max(0, late - 2 * BLOCK) : max(1, late + BLOCK)] ** 2))
        self._recent = max(mine, _DECAY * self._recent)
        heard = float(np.mean(self._mic[_KEPT - ago - BLOCK : _KEPT - ago] ** 2))
        return self._recent > 1e-9 and heard < _LOUDER * self._level * self._recent

    # ---- 3: place it anew -----------------------------------------------------------------------------------

    def _place(self) -> bool:
        """Look for the echo of what began after a silence. True: the newest block may be that echo, unplaced."""
        if self._burst_at is None:
            return False
        heard = self._at - self._burst_at - self.delay
        if heard < -_SHIFT:
            return False
        if heard > _LAST_TRY or self._at - self._burst_at > _KEPT - 2 * _SHIFT:
            self._burst_at = None
            self._relearn_at = [self._at, self._at + _RELEARN[0]]
            return False
        count = max(heard, 0) + _SHIFT
        expected = self._expected(count + 2 * _SHIFT)
        there = self._mic[-count:]
        if heard >= _FIRST_TRY and heard // BLOCK % 2 == 0:
            shift, alike = shift_of(there, expected, _SHIFT)
            if alike >= _ALIKE:
                self._move(shift, _KEPT - (self._at - self._burst_at))
                self._burst_at, self._jump = None, 0
                return False
        loudest = float(np.sqrt(np.convolve(expected**2, np.ones(BLOCK) / BLOCK, "same").max()))
        return bool(np.mean(there[-BLOCK:] ** 2) < _LOUDER * loudest**2)

    def _expected(self, count: int, delay: int | None = None) -> Floats:
        """What the filter makes of the reference: `count` samples, up to `_SHIFT` after the newest heard."""
        delay = self.delay if delay is None else delay
        taps = np.fft.irfft(self._filter, axis=1)[:, :BLOCK].reshape(-1)
        whole = np.concatenate((self._ref, self._ahead[:_SHIFT], np.zeros(max(0, _SHIFT - len(self._ahead)))))
        end = len(whole) - max(0, delay - _EARLY)
        x = whole[max(0, end - count - len(taps)) : end]
        size = 1 << (len(x) + len(taps)).bit_length()
        made: Floats = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(taps, size), size)[: len(x)]
        made = made[-count:]
        return np.concatenate((np.zeros(count - len(made)), made))

    def _move(self, shift: int, begin: int) -> None:
        """The reference from its sample `begin` on is `shift` samples later than we thought."""
        whole = np.concatenate((self._ref, self._ahead))
        if shift >= 0:
            whole = np.concatenate((whole[:begin], np.zeros(shift, np.float32), whole[begin:]))
        else:
            whole = np.concatenate((whole[: max(0, begin + shift)], whole[begin:]))
        whole = np.concatenate((whole, np.zeros(max(0, _KEPT - len(whole)), np.float32)))
        self._ref, self._ahead = whole[:_KEPT], whole[_KEPT:]
        self._spoke_until += shift
        self._astray = 0.0  # until it proves wrong again
        for part in range(PARTS):  # as the next block expects them: the newest of these becomes the one before it
            end = _KEPT - (part + 1) * BLOCK - max(0, self.delay - _EARLY)
            x = self._ref[max(0, end - 2 * BLOCK) : max(0, end)]
            self._spectra[part] = np.fft.rfft(np.pad(x, (2 * BLOCK - len(x), 0)))
            self._power[part] = _power(self._spectra[part])

    # ---- 5: suppress ----------------------------------------------------------------------------------------

    def _clean(self, ago: int = 0) -> Floats:
        """The next block of the output: the one before that which ended `ago` samples ago."""
        tail = self._tail
        if not self._active:
            echo, residual = np.zeros(BLOCK, np.float32), self._mic[-BLOCK:]
            squared = self._window**2
            plain = np.concatenate((tail.residual, residual)) * squared
            out = tail.out + plain[:BLOCK]
            tail.echo, tail.residual, tail.out = echo, residual, plain[BLOCK:]
            return out
        echo, residual = self._cancel(ago, learn=self._burst_at is None)
        if not ago:
            self._judge(residual)
        there = self._mic[_KEPT - ago - BLOCK : _KEPT - ago]
        if np.mean(residual**2) > np.mean(there**2):
            residual = there  # we are not heard: what was expected is no sound
        both = np.concatenate((tail.echo, echo)), np.concatenate((tail.residual, residual))
        tail.echo, tail.residual = echo, residual
        spectrum, expected = np.fft.rfft(both[1] * self._window), np.fft.rfft(both[0] * self._window)
        heard, ours = _power(spectrum), _power(expected)
        if not ago and not self._relearn_at and self._burst_at is None:
            self._pace.learn(expected, spectrum)
        gain = self._gain(heard, ours)
        frame = np.fft.irfft(spectrum * gain) * self._window
        out = tail.out + frame[:BLOCK]
        tail.out = frame[BLOCK:]
        return out

    def _judge(self, residual: Floats) -> None:
        """Is the filter right? Told by blocks in which the echo should be loud."""
        there = float(np.mean(self._mic[-BLOCK:] ** 2))
        if self._power.max() < BLOCK * QUIET**2 or there < QUIET**2:
            return
        self._astray += 0.15 * (min(float(np.mean(residual**2)) / there, 1.0) - self._astray)
        if self._astray < _RIGHT and not self._relearn_at and self._burst_at is None and self._turn == 0:
            self._proven = self._filter.copy(), self._doubt.copy()

    def _gain(self, heard: Floats, ours: Floats) -> Floats:
        tail = self._tail
        tail.echo_mean = 0.95 * tail.echo_mean + 0.05 * ours
        tail.residual_mean = 0.95 * tail.residual_mean + 0.05 * heard
        moved, followed = ours - tail.echo_mean, heard - tail.residual_mean
        pace = 0.1 * min(1.0, float(ours.sum() / (heard.sum() + 1e-12)))
        tail.covariance += pace * (float((moved * followed).sum()) - tail.covariance)
        tail.variance += pace * (float((moved * moved).sum()) - tail.variance)
        leak = min(max(tail.covariance / tail.variance, _LEAK), 1.0)
        tail.remains = np.maximum(leak * ours, _DECAY * tail.remains)
        gain = np.clip(1 - _OVER * tail.remains / (heard + 1e-12), _FLOOR, 1.0)
        tail.gain = np.maximum(gain, 0.6 * tail.gain)
        speech = slice(6, 128)  # 190 Hz to 4 kHz
        left, there = float((tail.gain * heard)[speech].sum()), float(heard[speech].sum())
        if left < _MUTE * there and tail.remains[speech].sum() > 1e-9:
            return tail.gain * _FLOOR
        echo = float(ours[speech].sum())
        tail.recent = max(echo, _DECAY * tail.recent)
        if tail.recent > 1e-9 and left < _LEFT * tail.recent:
            return tail.gain * _FLOOR
        return tail.gain


def _samples(signal: Floats) -> Pcm:
    return (signal * 32768).round().clip(-32768, 32767).astype(np.int16)


def _power(spectrum: Spectra) -> Floats:
    power: Floats = spectrum.real**2 + spectrum.imag**2
    return power
