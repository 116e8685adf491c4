"""Take our own voice out of the microphone's signal. Pure: samples in, samples out.

We know what we sent and when, so the reference lies on the microphone's own timeline (timeline.py). The echo comes
some time later: the client's buffers, the room, the way back.

1. *Find it* (echo_finder.py). Until it is known whether there is an echo the signal passes as it is; once there is
   one, what passed is gone over again (`hindsight`).
2. *Cancel it* (echo_path.py). A delay, and an adaptive filter (echo_filter.py) that follows the way from loudspeaker
   to microphone, 256 ms from just before the delay on.
3. *Place it anew* (echo_placing.py) where the client's playout starts earlier or later than the last time, or it
   ran dry in a network that stalled (echo_underrun.py).
4. *Follow the drift* (clock_drift.py) of a loudspeaker that is not on the microphone's clock.
5. *Suppress the rest* (residual_echo.py): what the filter leaves is estimated and taken off band by band.

Where nothing was sent for as long as an echo can last, the signal passes bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from voice.ears.echo_filter import PARTS
from voice.ears.echo_finder import LOOK_EVERY, LOOK_RARELY, MOVED, EchoFinder, EchoState, Found
from voice.ears.echo_path import EARLY, RELEARN, SHIFT, EchoPath
from voice.ears.echo_placing import Placing
from voice.ears.echo_prior import EchoPrior
from voice.ears.residual_echo import ResidualEcho
from voice.ears.timeline import BLOCK, KEPT, RATE_HZ, Timeline
from voice.port import Pcm

__all__ = ["EchoCanceller", "EchoState", "RATE_HZ"]

_BURST = 5 * RATE_HZ
"""So much at once is a file and no microphone: it passes as it is."""
_SLACK = 5
"""Blocks (80 ms) by which the delay of another session may be off."""
_UNEXPLAINED = 0.7
"""Of the power of the last second, left by a filter that has learned from it: 0.2 and less of an echo, 0.6 where
somebody speaks over it as loud, 0.75 and more of other voices."""
_NOISY = 0.85
"""The same, where the delay is the same in another second."""

Floats = npt.NDArray[np.floating[Any]]


class EchoCanceller:
    """One session. `hear` and `play` are called in the order in which things happen."""

    def __init__(self) -> None:
        self.moves = 0
        """How often the delay proved to be wrong: until then, our voice was not taken out."""
        self._line = Timeline()
        self._finder = EchoFinder()
        self._path = EchoPath(self._line)
        self._placing = Placing(self._line, self._path)
        self._residual = ResidualEcho()
        self._held = np.zeros(0, np.int16)
        self.hindsight: Pcm = np.zeros(0, np.int16)
        """Once there is an echo: the last audio that was given out, again, without it. Who takes it empties it."""
        self._engaged = self._skip = False
        self._returned = False
        """The microphone was silent, and it is not known yet why."""
        self._expecting = False
        """There was an echo in an earlier session; nothing has been played in this one."""

    def expect(self, prior: EchoPrior) -> None:
        """Before anything is heard: so it was in an earlier session."""
        self._finder.state = prior.state
        if prior.state == "present":
            self._path.delay, self._path.level, self._path.slack = prior.delay, prior.level, _SLACK
            self._engaged = self._expecting = True

    @property
    def found(self) -> EchoPrior | None:
        """What the next session may expect; None where nothing is sure."""
        if self.state == "absent":
            return EchoPrior("absent")
        return EchoPrior("present", self._path.delay, self._path.level) if self._placing.proven else None

    @property
    def state(self) -> EchoState:
        return self._finder.state

    def searches(self, count: int) -> bool:
        """To hear `count` more samples may take ten times as long as usual, 50 ms: there is a look at what was heard,
        and what was heard before may be gone over again."""
        line, path = self._line, self._path
        at = line.at + len(self._held) + count
        if self._engaged and path.relearn_at and at >= path.relearn_at[0]:
            return True
        early = (LOOK_RARELY - LOOK_EVERY) * (self._engaged and self._placing.astray)
        return line.active and at >= self._finder.look_at - early

    @property
    def delay(self) -> int:
        """Samples between what we send and what comes back, where the state is "present"."""
        return self._path.delay

    # ---- in and out -----------------------------------------------------------------------------------------

    def play(self, pcm: Pcm, late: int = 0) -> None:
        """We have sent `pcm` (16 kHz), `late` samples after the last audio that was heard."""
        late += len(self._held)  # heard, and not yet looked at
        self._placing.continues(self._line.at + late)
        if not self._line.play(pcm, late):
            return
        begins = self._line.at + max(0, late)
        if self._expecting:  # there is no filter yet to place it with
            self._expecting = False
            self._path.relearn_at = [begins + self._path.delay + later for later in RELEARN]
        elif self._engaged:
            self._placing.begins(begins)

    def stop(self, late: int = 0) -> None:
        """The client was told, `late` samples after the last audio that was heard, to drop what it has not played."""
        self._line.stop(late + len(self._held))
        self._placing.stop()

    def away(self) -> None:
        """The connection was lost: what was not played is sent again, and comes back with another delay, perhaps."""
        self.stop()
        self._line.away()

    def comes_back(self, samples: int) -> None:
        """The microphone was silent for so long. It was off, or what it recorded comes now: the echo may tell."""
        self._returned = self._engaged and self._line.active
        if self._returned:
            self._placing.comes_back(samples, self._line.at + len(self._held))

    def was_on(self) -> None:
        """It was not off."""
        if self._returned:
            self._placing.was_on()
        self._returned = False

    def take_missed(self) -> int:
        """It was off for so many samples, as the echo has just shown; `gap` need not be told. Else 0."""
        missed = self._placing.went_on if self._returned else 0
        self._returned = self._returned and not missed
        return missed

    def gap(self, samples: int) -> None:
        """The microphone was off for so long: what we sent meanwhile was not heard."""
        if self._returned:
            self._placing.was_off(samples)
        else:
            self._path.move(-samples, samples)
        self._returned = False

    def came_late(self) -> None:
        """What is heard next was on its way for long: the link has stalled, or we have."""
        self._finder.late_at = self._line.at

    def hear(self, pcm: Pcm) -> Pcm:
        """Microphone audio (int16, 16 kHz, any length) without our voice, in order; up to 32 ms of it come later."""
        if not self._engaged:
            return self._search(pcm)
        if len(pcm) > _BURST:
            whole, self._held = np.concatenate((self._held, pcm)), np.zeros(0, np.int16)
            self._line.hear(whole)
            self._skip = True
            self._reset()
            return whole
        self._held = np.concatenate((self._held, pcm))
        pieces = []
        while len(self._held) >= BLOCK:
            block, self._held = self._held[:BLOCK], self._held[BLOCK:]
            self._line.hear(block)
            pieces.append(self._next())
            if self._skip:
                self._skip = False
                pieces.clear()  # the block before was given out as it was
            if self._path.refuted:
                return self._disown(pieces)
            self._look_again()
        if not pieces:
            return np.zeros(0, np.int16)
        return _samples(np.concatenate(pieces))

    def _search(self, pcm: Pcm) -> Pcm:
        """Nothing is known of an echo: the audio passes as it is."""
        line, finder = self._line, self._finder
        line.hear(pcm)
        if line.active and line.at >= finder.look_at:
            finder.look_at = line.at + (2 if self.state == "absent" else 1) * LOOK_EVERY
            found = finder.look(line, None, self._explains)
            if found is not None:
                finder.state, self._path.delay = "present", found.lag
                self._path.relearn_at = [line.at + later for later in RELEARN]
                self._skip = self._engaged = True
                self._placing.forget()
                self._look_back()
        return pcm

    def _next(self) -> Floats:
        """A block has come: the one before it, without our voice."""
        path, placing = self._path, self._placing
        hidden = placing.place() or path.rough()
        path.check()
        if path.relearn_at and self._line.at >= path.relearn_at[0] and not placing.unsure:
            path.relearn()
        return self._clean() * 0 if hidden else self._clean()

    def _disown(self, pieces: list[Floats]) -> Pcm:
        """What was expected of this device is not so today: begin as with any other, and give out anew what was taken
        for an echo."""
        rest, self._held = self._held, np.zeros(0, np.int16)
        self._line.hear(rest)
        self._engaged, self._finder.state = False, "unknown"
        self._path.refuted, self._path.relearn_at = False, []
        self._reset()
        self.hindsight = _samples(self._line.mic[-2 * RATE_HZ :])
        return np.concatenate((_samples(np.concatenate(pieces)), rest))

    def _look_again(self) -> None:
        line, finder, early = self._line, self._finder, LOOK_RARELY - LOOK_EVERY
        if line.active and line.at >= finder.look_at - early * self._placing.astray:
            finder.look_at = line.at + LOOK_RARELY
            if self._placing.elsewhere():
                self.moves += 1
                return
            found = finder.look(line, self._path.delay, self._explains)
            if found is not None:
                self._found_again(found)

    # ---- what was found -------------------------------------------------------------------------------------

    def _found_again(self, found: Found) -> None:
        path, off = self._path, found.lag - self._path.delay
        if self._placing.burst_at is not None and abs(off) <= SHIFT:
            return  # it will be placed
        if found.again and abs(off) > MOVED and not path.relearn_at:
            path.relearn_at = [self._line.at, self._line.at + RELEARN[0]]  # the client's playout has moved
            self.moves += 1
        elif not -EARLY // 2 <= off <= PARTS * BLOCK // 2:
            path.delay = found.lag
            self.moves += 1
            self._reset()
            path.rehearse()
            path.relearn_at = [self._line.at + later for later in RELEARN]

    def _explains(self, lag: int, persists: bool) -> bool:
        """A filter makes what was heard of what we played: a tone is correlated with any voice, and is none.

        Where there is noise as loud as the echo that cannot be much, but the delay `persists`.
        """
        before, self._path.delay = self._path.delay, lag
        self._reset()
        left = self._path.rehearse()
        enough = left <= (_NOISY if persists else _UNEXPLAINED)
        if not enough:
            self._path.delay = before
        return enough

    def _reset(self) -> None:
        self._path.filter.forget()
        self._residual.forget()

    # ---- what is left without our voice ---------------------------------------------------------------------

    def _clean(self, ago: int = 0) -> Floats:
        """The next block of the output: the one before that which ended `ago` samples ago."""
        line, placing = self._line, self._placing
        if not line.active:
            return self._residual.pass_on(line.mic[-BLOCK:])
        echo, residual = self._path.cancel(ago, learn=not placing.unsure)
        if not ago:
            placing.judge(echo, residual)
        there = line.block(ago)
        if np.mean(residual**2) > np.mean(there**2):
            residual = there  # we are not heard: what was expected is no sound
        out, expected, spectrum = self._residual.take_off(echo, residual)
        if not ago and not self._path.relearn_at and not placing.unsure:
            line.drift.learn(expected, spectrum)
        return out

    def _look_back(self) -> None:
        """Take the echo out of what was given out before it was known."""
        start = KEPT - (2 * RATE_HZ // BLOCK) * BLOCK
        pieces = [
            self._clean(KEPT - end) * (0.0 if self._path.rough(KEPT - end) else 1.0)
            for end in range(start, KEPT + 1, BLOCK)
        ]
        pieces.append(self._residual.rest())
        self.hindsight = _samples(np.concatenate(pieces[2:]))


def _samples(signal: Floats) -> Pcm:
    return (signal * 32768).round().clip(-32768, 32767).astype(np.int16)
