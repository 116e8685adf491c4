"""How loud this user is, and who is much farther away: a television, people at another table. Pure.

A level says nothing by itself: microphones differ, and so do people. What says something is how loud this user's own
requests were: a voice far below that is not theirs, or they have walked away. So a far voice is not silenced. It
counts for less: over a reply it needs a stop word, and where it has gone on and on it is not answered.

Levels are dB over one sample step, of frames of 32 ms. The level of a sound is what it reaches for a quarter of a
second in all: a word is as loud as its vowels, and what is mixed with it hardly counts.
"""

from __future__ import annotations

from collections import deque
from heapq import nlargest
from math import inf

__all__ = ["Loudness", "Nearness"]

_LOUD_FRAMES = 8
_LEAST_FRAMES, _LEAST_EXPECTED = 6, 3
"""Fewer tell nothing; where a far voice is expected, so few."""
_EXPECTED_SHARE = 0.6
"""Of the distance: the loudest syllables of a television whose others were far enough are expected."""
_KEPT_FRAMES = 1000
_UP, _DOWN = 0.7, 0.15
"""How far a request moves what is thought to be usual: whoever comes nearer is the user."""
_ECHO_DB = 6.0
"""Where our own voice is taken out of the signal, some of the user's goes with it."""
_DRONING_S, _WITHIN_S = 4.0, 30.0
"""So much of a far voice in so long is more than requests; those that were answered count half."""
_DISMISSED_S = 10.0
"""So long after a far voice was found to be one, the next one is expected."""
_PATIENT_S = 0.5
"""After that, somebody near may be found out so late: a reply must not stutter at every loud syllable."""
_LATELY_S = 0.25
_NEAR_FRAMES = 3
_FRAME_S = 0.032


class Loudness:
    """Of one sound."""

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=_KEPT_FRAMES)

    def hear(self, level_db: float) -> None:
        """One of its voiced frames."""
        self._levels.append(level_db)

    @property
    def frames(self) -> int:
        return len(self._levels)

    @property
    def db(self) -> float | None:
        """None where hardly anything was heard."""
        count = len(self._levels)
        if count < _LEAST_EXPECTED:
            return None
        return nlargest(min(_LOUD_FRAMES, max(2, count // 3)), self._levels)[-1]


class Nearness:
    """What one session knows of its user. `far_db`: a voice so much below their usual level is far; 0 for never."""

    def __init__(self, far_db: float) -> None:
        self._far_db = far_db
        self._usual_db: float | None = None
        self._background: deque[float] = deque()
        """When (audio seconds) a far voice was heard, frame by frame."""
        self._lately: deque[tuple[float, float]] = deque()
        """The voiced frames of the last moment: when, and how loud."""
        self._dismissed_s = -inf

    def learn(self, sound: Loudness, from_s: float, *, sure: bool = False) -> None:
        """It was a request, that began at `from_s`. `sure`: with a wake word, so it was the user's."""
        of_it = [at_s for at_s in self._background if at_s >= from_s]
        for _ in of_it:
            self._background.pop()
        self._background.extend(of_it[::2])
        level = sound.db
        if level is None or sound.frames < _LEAST_FRAMES:
            return
        if self._usual_db is None or sure:
            self._usual_db = level
        else:
            self._usual_db += (_UP if level > self._usual_db else _DOWN) * (level - self._usual_db)

    def hear(self, level_db: float, at_s: float, *, echo: bool, sure: bool) -> None:
        """A voiced frame, whoever it is. `sure`: it is not our own voice."""
        self._lately.append((at_s, level_db))
        while self._lately[0][0] < at_s - _LATELY_S:
            self._lately.popleft()
        if sure and self._below(level_db, at_s, echo):
            self._background.append(at_s)
        while self._background and self._background[0] < at_s - _WITHIN_S:
            self._background.popleft()

    def is_far(self, sound: Loudness, at_s: float, *, echo: bool) -> bool:
        """False while that is not sure. `echo`: our own voice is being taken out of the signal."""
        level_db = sound.db
        enough = sound.frames >= (_LEAST_EXPECTED if self.expects(at_s) else _LEAST_FRAMES)
        return enough and level_db is not None and self._below(level_db, at_s, echo)

    def is_near(self, level_db: float, at_s: float, *, echo: bool) -> bool:
        """A frame of a voice may be the user's."""
        return not self._below(level_db, at_s, echo)

    def _below(self, level_db: float, at_s: float, echo: bool) -> bool:
        if self._usual_db is None or self._far_db <= 0:
            return False
        far_db = self._far_db * (_EXPECTED_SHARE if self.expects(at_s) else 1.0)
        return level_db < self._usual_db - far_db - (_ECHO_DB if echo else 0.0)

    def dismiss(self, at_s: float) -> None:
        """A far voice was found to be one."""
        self._dismissed_s = at_s

    def expects(self, at_s: float) -> bool:
        """There has been a far voice: the next may be the same."""
        return self.droning or at_s < self._dismissed_s + _DISMISSED_S

    def lately(self, at_s: float) -> list[float]:
        """The levels of what was voiced in the last moment."""
        return [level_db for when_s, level_db in self._lately if when_s >= at_s - _LATELY_S]

    def far_now(self, at_s: float, *, echo: bool) -> bool:
        """What was voiced in the last moment is far, but for a frame."""
        levels = self.lately(at_s)
        return bool(levels) and self._below(sorted(levels)[-2 if len(levels) > 1 else -1], at_s, echo)

    def near_now(self, at_s: float, *, echo: bool) -> bool:
        """Somebody near speaks, among far voices."""
        levels = self.lately(at_s)
        if len(levels) < _NEAR_FRAMES or not self.expects(at_s) or at_s < self._dismissed_s + _PATIENT_S:
            return False
        return not self._below(sorted(levels)[-_NEAR_FRAMES], at_s, echo)

    @property
    def droning(self) -> bool:
        """A far voice has been going on: a television, a conversation of others."""
        return len(self._background) * _FRAME_S >= _DRONING_S
