"""Where the echo is now: a client's playout begins early or late after a silence, and jumps when it stalls. Pure.

After a silence the client's playout starts a few milliseconds earlier or later than the last time, and a filter that
was right is wrong by that. So what begins after a silence is compared with what the filter expects, until one shift
of the reference makes them alike; the filter learns nothing meanwhile, and what is no louder than our own voice
would be there is silent.

Where a network stalls the loudspeaker runs dry, and goes on when it can (echo_underrun.py): then, too.

It may also be off by half a second, in the midst of a reply: what the filter suddenly does not explain is looked for
elsewhere, and where the filter that was right explains it, there it is.
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
_GLANCE = 6400
"""Samples of the microphone in which an echo that has moved is looked for."""
_SOONER = RATE_HZ
"""Samples by which it may come sooner than what we think has been played: the microphone was off for a moment."""
_LEAST_MOVE = 10
"""What is off by less is followed by the filter."""
_ASTRAY = 0.5
_RIGHT = 0.25
"""Share of the loud echo's power that a filter leaves: it is wrong, or drowned by another voice; it is right."""

Floats = npt.NDArray[np.floating[Any]]


class Placing:
    """Moves the reference of `line` to where `path` explains what is heard."""

    def __init__(self, line: Timeline, path: EchoPath) -> None:
        self._line, self._path = line, path
        self.burst_at: int | None = None
        """Where the reference began again after a silence, until its echo has been found."""
        self._share = 0.0
        """Of the loud echo's power, what the filter leaves, lately: little, unless somebody speaks over it or it
        comes at another time than we think."""
        self._proven: Learned | None = None
        """The filter when it was last right."""
        self._underrun = Underrun(line, path)
        self._trusted = True
        """The filter has been right, or is new, since the echo of a burst was last looked for in vain."""
        self._jump = 0
        """By how much the last burst that was not where it was expected was off."""

    @property
    def proven(self) -> bool:
        """The filter was right once."""
        return self._proven is not None

    @property
    def astray(self) -> bool:
        """The filter is wrong, or drowned by another voice."""
        return self._share > _ASTRAY

    def judge(self, echo: Floats, residual: Floats) -> None:
        """Is the filter right? Told by blocks in which the echo should be loud."""
        if self.burst_at is None and self._trusted and not self._underrun.waited:
            self._underrun.judge(echo)
        there = float(np.mean(self._line.mic[-BLOCK:] ** 2))
        if self._path.filter.loudest < BLOCK * QUIET**2 or there < QUIET**2:
            return
        self._share += 0.15 * (min(float(np.mean(residual**2)) / there, 1.0) - self._share)
        settled = not self._path.relearn_at and self.burst_at is None
        self._trusted = self._trusted or (self._share < _RIGHT and self.burst_at is None)
        if self._share < _RIGHT and settled and self._path.filter.whole:
            self._proven = self._path.filter.copy()

    def stop(self) -> None:
        """What has not been played will not be."""
        self._underrun.over()

    def place(self) -> bool:
        """Look for the echo of what began after a silence. True: the newest block may be that echo, unplaced."""
        line, path, dry = self._line, self._path, self._underrun
        if dry.waited and self.burst_at is None:
            if dry.goes_on():
                self.burst_at = line.at - BLOCK - path.delay
            self._trusted = dry.waited > 0
        if self.burst_at is None:
            return False
        heard = line.at - self.burst_at - path.delay
        if heard < -SHIFT:
            return False
        if heard > _LAST_TRY or line.at - self.burst_at > KEPT - 2 * SHIFT:
            self.burst_at, self._trusted = None, False
            if not dry.waited:
                path.relearn_at = [line.at, line.at + RELEARN[0]]
            dry.over()
            return False
        reach = 2 * SHIFT if dry.waited else SHIFT
        count = max(heard, 0) + SHIFT
        expected = path.expected(count + 2 * reach, reach=reach)
        there = line.mic[-count:]
        if heard >= _FIRST_TRY and heard // BLOCK % 2 == 0:
            shift, alike = shift_of(there, expected, reach)
            if alike >= _ALIKE:
                self._move(shift, KEPT - (line.at - self.burst_at))
                self.burst_at, self._jump = None, 0
                dry.over()
                return False
        loudest = float(np.sqrt(np.convolve(expected**2, np.ones(BLOCK) / BLOCK, "same").max()))
        return bool(np.mean(there[-BLOCK:] ** 2) < LOUDER * loudest**2)

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
        begun, self.burst_at = self.burst_at, None
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

    def _move(self, shift: int, begin: int) -> None:
        self._path.move(shift, begin)
        self._share = 0.0  # until it proves wrong again
