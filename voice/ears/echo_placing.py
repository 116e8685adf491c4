"""Where the echo is now: a client's playout begins early or late after a silence, and jumps when it stalls. Pure.

After a silence the client's playout starts a few milliseconds earlier or later than the last time, and a filter that
was right is wrong by that. So what begins after a silence is compared with what the filter expects, until one shift
of the reference makes them alike; the filter learns nothing meanwhile, and what is no louder than our own voice
would be there is silent.

Where a network stalls the loudspeaker runs dry, and goes on when it can (echo_underrun.py): then, too. And where the
microphone comes back that was silent, or sent nothing: either our voice waited in between, or it went on. Both are
compared, and the likelier one holds.

It may also be off by half a second, in the midst of a reply: what the filter suddenly does not explain is looked for
elsewhere, and where the filter that was right explains it, there it is. If it is where it was, but louder or softer,
so is the filter: somebody has turned the loudspeaker up or down.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from voice.ears.echo_filter import Learned
from voice.ears.echo_path import LOUDER, PEAK_PRESENT, RELEARN, SHIFT, EchoPath
from voice.ears.echo_underrun import Underrun
from voice.ears.likeness import correlate, shift_of
from voice.ears.loudness import QUIET
from voice.ears.timeline import BLOCK, KEPT, RATE_HZ, Timeline

__all__ = ["Placing"]

_ALIKE = 0.5
"""Correlation of what is heard with what was expected, where they are the same."""
_FIRST_TRY = 1600
_LAST_TRY = 12_000
"""Samples of echo after which it is compared, first and for the last time."""
_LONG = 48 * BLOCK
"""About as long: if nothing at all was heard of it, the loudspeaker has not begun."""
_GLANCE = 6400
"""Samples of the microphone in which an echo that has moved is looked for."""
_SOONER = RATE_HZ
"""Samples by which it may come sooner than what we think has been played: the microphone was off for a moment."""
_LEAST_MOVE = 10
"""What is off by less is followed by the filter."""
_ASTRAY = 0.5
_RIGHT = 0.25
"""Share of the loud echo's power that a filter leaves: it is wrong, or drowned by another voice; it is right."""

_MEMORY = 0.75
"""A block, of what was heard beside what was expected: some 60 ms."""
_LOUD_BLOCKS = 4
_SAME_SOUND = 0.5
"""Share of the power heard that is the echo expected, at whatever volume."""
_VOLUME = 1.33
"""What is off by less is followed by the filter."""

Floats = npt.NDArray[np.floating[Any]]


class Placing:
    """Moves the reference of `line` to where `path` explains what is heard."""

    def __init__(self, line: Timeline, path: EchoPath) -> None:
        self._line, self._path = line, path
        self._bursts: list[int] = []
        """Where the reference began again after a silence, in order, until the echo of each has been found."""
        self._off = 0
        """At the first of these the reference did not begin, but the microphone: it may have been off for so long,
        while our voice went on."""
        self._share = 0.0
        """Of the loud echo's power, what the filter leaves, lately: little, unless somebody speaks over it or it
        comes at another time than we think."""
        self._proven: Learned | None = None
        """The filter when it was last right."""
        self._underrun = Underrun(line, path)
        self._trusted = True
        """The filter has been right, or is new, since the echo of a burst was last looked for in vain."""
        self._heard = np.zeros(3), 0
        """Power of the echo expected, of what was heard, and what they have in common, lately; of so many blocks."""
        self._jump = 0
        """By how much the last burst that was not where it was expected was off."""
        self.went_on = 0
        """When the microphone came back last, its echo showed that it had been off for so many samples."""

    @property
    def burst_at(self) -> int | None:
        """From there on the reference is not where its echo is, perhaps, until that has been found."""
        return self._bursts[0] if self._bursts else None

    @property
    def unsure(self) -> bool:
        """The echo may be elsewhere, or nothing of it is heard: there is nothing to learn from."""
        return bool(self._bursts or self._underrun.waited)

    @property
    def proven(self) -> bool:
        """The filter was right once."""
        return self._proven is not None

    @property
    def astray(self) -> bool:
        """The filter is wrong, or drowned by another voice."""
        return self._share > _ASTRAY

    def continues(self, at: int) -> None:
        """More of the reference comes, to stand at `at` or behind what is there. If that is there only because it
        waits for a loudspeaker, it has been played, and the microphone was off."""
        if self._underrun.waited and at > self._line.spoke_until - self._underrun.waited:
            self._underrun.give_up()
            self._bursts, self._off = self._bursts[1 if self._off else 0 :], 0

    def begins(self, at: int) -> None:
        """The reference begins again after a silence. What began before it and sounds still is looked for first."""
        self._bursts.append(at)

    def forget(self) -> None:
        """The echo has just been found: there is nothing to place."""
        self._bursts, self._off = [], 0
        self._underrun.over()

    def comes_back(self, off: int, at: int) -> None:
        """What is heard from `at` on follows on what was heard before it, or the microphone was off for `off`
        samples between them."""
        self.went_on = 0
        self._bursts = [at - self._path.delay, *(burst for burst in self._bursts if burst > at - self._path.delay)]
        self._off = off

    def was_off(self, off: int) -> None:
        """The microphone was off for `off` samples, and came back a moment ago. What is heard may have shown it."""
        if self._off:
            self._off = 0
            self._skip(off)

    def was_on(self) -> None:
        """It was not: the echo is where it was, but for what began again since."""
        if self._off:
            self._placed()

    def judge(self, echo: Floats, residual: Floats) -> None:
        """Is the filter right? Told by blocks in which the echo should be loud."""
        if self.burst_at is None and self._trusted and not self._underrun.waited:
            self._underrun.judge(echo)
            if self._underrun.waited and self._proven is not None:
                self._path.filter.learned = self._proven[0].copy(), self._proven[1].copy()  # it learned of nothing
        there = float(np.mean(self._line.mic[-BLOCK:] ** 2))
        if self._path.filter.loudest < BLOCK * QUIET**2 or there < QUIET**2:
            return
        if not self.unsure:
            self._follow_volume(echo)
        self._share += 0.15 * (min(float(np.mean(residual**2)) / there, 1.0) - self._share)
        settled = not self._path.relearn_at and self.burst_at is None
        self._trusted = self._trusted or (self._share < _RIGHT and self.burst_at is None)
        if self._share < _RIGHT and settled and self._path.filter.whole:
            self._proven = self._path.filter.copy()

    def _follow_volume(self, echo: Floats) -> None:
        """Somebody has turned the loudspeaker up or down: what is heard is the echo, but louder or softer."""
        heard = self._line.mic[-BLOCK:]
        powers, blocks = self._heard
        powers = _MEMORY * powers + np.array([np.sum(echo**2), np.sum(heard**2), np.sum(echo * heard)])
        self._heard = powers, blocks + 1
        ours, there, common = (float(each) for each in powers)
        if blocks < _LOUD_BLOCKS or common <= 0 or common**2 < _SAME_SOUND * ours * there:
            return
        gain = common / ours
        if not 1 / _VOLUME < gain < _VOLUME:
            self._path.filter.scale(gain)
            self._heard = np.zeros(3), 0

    def stop(self) -> None:
        """What has not been played will not be."""
        self._underrun.over()

    def place(self) -> bool:
        """Look for the echo of what began after a silence. True: the newest block may be that echo, unplaced."""
        line, path, dry = self._line, self._path, self._underrun
        if dry.waited and not self._bursts:
            if dry.goes_on():
                self.comes_back(dry.waited, line.at - BLOCK)
            self._trusted = dry.waited > 0
        if len(self._bursts) > 1 and line.at - self._bursts[1] - path.delay > -SHIFT:
            self._placed()
        if not self._bursts:
            return False
        heard = line.at - self._bursts[0] - path.delay
        if heard < -SHIFT:
            return False
        if heard > _LAST_TRY or line.at - self._bursts[0] > KEPT - 2 * SHIFT:
            anew = not dry.waited
            if anew and len(self._bursts) == 1 and dry.begins(heard, path.expected(_LONG)):
                self._bursts.clear()
                return False
            self._trusted = False
            self._placed()
            if anew:
                path.relearn_at = [line.at, line.at + RELEARN[0]]
            return False
        reach = 2 * SHIFT if dry.waited else SHIFT
        count = max(heard, BLOCK) if self._off else max(heard, 0) + SHIFT
        expected = path.expected(count + 2 * reach, reach=reach)
        further = path.expected(max(heard, 0) + 2 * SHIFT, -self._off) if self._off else expected[:0]
        if heard >= _FIRST_TRY and heard // BLOCK % 2 == 0:
            shift, alike = shift_of(line.mic[-count:], expected, reach)
            late, likelier = shift_of(line.mic[-heard:], further, SHIFT) if self._off else (0, 0.0)
            if max(alike, likelier) >= _ALIKE:
                if likelier > alike:
                    self.went_on = self._off
                    self._skip(self._off - late)
                else:
                    self._shift(shift)
                self._placed()
                self._jump = 0
                return False
        loudest = max(_loudest(expected), _loudest(further))
        return bool(np.mean(line.mic[-BLOCK:] ** 2) < LOUDER * loudest)

    def elsewhere(self) -> bool:
        """Our voice is not where we thought, but the filter that was right explains it somewhere else."""
        if not self.astray or self._proven is None:
            return False
        line, path = self._line, self._path
        there, ours = line.lately(_GLANCE)
        if np.mean(there**2) < QUIET**2:
            return False
        soon = line.ahead[:_SOONER]
        lag, height = correlate(there, np.concatenate((ours, soon)), RATE_HZ)
        lag -= len(soon)
        shift = lag - path.delay
        if height < PEAK_PRESENT or abs(shift) < _LEAST_MOVE:
            return False
        before = path.filter.learned
        path.filter.learned = self._proven[0].copy(), self._proven[1].copy()
        off, alike = shift_of(there, path.expected(_GLANCE + 2 * SHIFT, shift), SHIFT)
        if alike < _ALIKE or abs(off) > _LEAST_MOVE:
            path.filter.learned = before
            return False
        lag, shift = lag + off, shift + off  # the peak may be another reflection: the filter knows better
        begun = self.burst_at
        self.forget()
        again = begun is not None and abs(shift - self._jump) < _LEAST_MOVE
        if lag >= 0 and (again or len(line.ahead) < -shift):
            path.delay, self._jump = lag, 0  # twice the same: so it is from now on
            self._move(0, KEPT)
        else:
            self._jump = shift if begun is not None else 0
            begin = KEPT - (_GLANCE + lag if begun is None else min(line.at - begun, KEPT))
            self._move(shift, max(0, begin))
        path.relearn_at.clear()
        return True

    def _shift(self, shift: int) -> None:
        """What began with the first burst is `shift` samples later, and what follows it, too."""
        self._move(shift, max(0, KEPT - (self._line.at - self._bursts[0])))
        self._bursts[1:] = [burst + shift for burst in self._bursts[1:]]

    def _skip(self, samples: int) -> None:
        """Of what follows the first burst, so much was not heard."""
        self._move(-samples, KEPT - (self._line.at - self._bursts[0]) + samples)

    def _placed(self) -> None:
        """The first burst is where its echo is, or nobody knows."""
        del self._bursts[0]
        self._off = 0
        self._underrun.over()
        soon = self._line.at + RELEARN[0]  # there is nothing yet to learn from
        self._path.relearn_at = [max(at, soon) for at in self._path.relearn_at]

    def _move(self, shift: int, begin: int) -> None:
        self._path.move(shift, begin)
        self._share = 0.0  # until it proves wrong again


def _loudest(signal: Floats) -> float:
    """The power of its loudest block."""
    if not len(signal):
        return 0.0
    return float(np.convolve(signal**2, np.ones(BLOCK) / BLOCK, "same").max())
