"""The client's loudspeaker has run dry: a network has stalled, and an echo that should be loud is not there. Pure.

What was on its way is played when it comes, from where it broke off. So the reference waits: for every block in which
nothing is heard it is a block later. What is heard then is either its echo, within some tens of milliseconds, or
somebody else, which placing it tells (echo_placing.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from voice.ears.echo_path import EchoPath
from voice.ears.loudness import QUIET
from voice.ears.timeline import BLOCK, KEPT, RATE_HZ, Timeline

__all__ = ["Underrun"]

_DRY = 6 * BLOCK
"""Samples in which the echo should have been loud, and was not there."""
_NOTHING = 0.1
"""Of the echo's power: less is no echo, but what is left of it in the room."""
_LONGEST = 10 * RATE_HZ
"""So long the reference waits. Then somebody has turned the loudspeaker off."""

Floats = npt.NDArray[np.floating[Any]]


class Underrun:
    """Moves the reference of `line` while nothing of it is heard."""

    def __init__(self, line: Timeline, path: EchoPath) -> None:
        self._line, self._path = line, path
        self.waited = 0
        """Samples that the reference has waited, until its echo is found; 0: the loudspeaker plays."""
        self._missing = 0
        self._since = 0
        """Where the first block begins that is missing."""
        self._level = 0.0
        """Power of the loudest echo that is missing."""

    def judge(self, echo: Floats) -> None:
        """The newest block should hold `echo`: does it?"""
        expected, there = float(np.mean(echo**2)), self._there()
        if there >= QUIET**2 and there >= _NOTHING * expected:
            self._missing, self._level = 0, 0.0
        elif expected >= QUIET**2 and there < _NOTHING * expected:
            if not self._missing:
                self._since = self._line.at - BLOCK
            self._missing += BLOCK
            self._level = max(self._level, expected)
            if self._missing >= _DRY:
                self._wait(self._line.at - self._since)

    def begins(self, samples: int, expected: Floats) -> bool:
        """What began after a silence should have been heard for `samples`. Nothing of it is: then the reference waits
        from its beginning on."""
        level = float(np.mean(expected.reshape(-1, BLOCK) ** 2, axis=1).max())
        lately = float(np.mean(self._line.mic[-_DRY:] ** 2))
        if level < QUIET**2 or lately >= _NOTHING * level:
            return False
        self._level = level
        self._wait(samples)
        return self.waited > 0

    def goes_on(self) -> bool:
        """While the reference waits: is something to be heard again, in the newest block?"""
        if self._there() >= max(_NOTHING * self._level, QUIET**2):
            return True
        self._wait(BLOCK)
        return False

    def over(self) -> None:
        """The loudspeaker plays, where the reference is now; or nobody knows."""
        self.waited = self._missing = 0

    def give_up(self) -> None:
        """It never ran dry: somebody turned it off, or the microphone."""
        if self.waited:
            self._path.move(-self.waited, KEPT - self._path.delay)
        self.over()

    def _there(self) -> float:
        return float(np.mean(self._line.mic[-BLOCK:] ** 2))

    def _wait(self, samples: int) -> None:
        begin = KEPT - samples - self._path.delay
        if self.waited > _LONGEST:
            self.give_up()
        elif begin > 0:
            self._path.move(samples, begin)
            self.waited += samples
