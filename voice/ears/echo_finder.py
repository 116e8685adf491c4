"""Does the microphone hear us, and how late? Pure.

While we are heard to speak and the microphone hears anything, the last second of both is correlated ten times a
second (GCC-PHAT, Knapp and Carter 1976). A clear peak is the delay: a tenth of a second of echo is enough. The
microphone loud and no peak, again and again, means that what it hears is not us. A microphone far quieter than any
echo of us hears none; noise as loud as the echo hides it from the filter, so a delay that is the same in another
second counts, too. Where there seemed to be no echo, softer sounds count as well: some devices turn their microphone
down while they play.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from voice.ears.echo_path import PEAK_PRESENT
from voice.ears.likeness import correlate
from voice.ears.loudness import FAINT, QUIET, floor, lasts_s, loud_s, unheard
from voice.ears.timeline import RATE_HZ, WINDOW, Timeline

__all__ = ["LOOK_EVERY", "LOOK_RARELY", "MOVED", "EchoFinder", "EchoState", "Found"]

EchoState = Literal["unknown", "absent", "present"]

Floats = npt.NDArray[np.floating[Any]]

LOOK_EVERY = RATE_HZ // 10
LOOK_RARELY = RATE_HZ // 2
MOVED = 80
"""Samples by which the delay is off, twice the same, when the way back is another one now."""

_PEAK_SURE = ((0.15, 50.0), (0.25, 25.0), (0.5, 20.0))
"""From so many loud seconds on, the highest peak of the correlation over its RMS is an echo. With an echo of 0 to
-25 dB it is 40 to 100 at the median; with another voice up to 11 after 0.8 s and 26 after 0.1 s, with the very same
synthetic voice saying something else up to 15 and 70. Two lower ones (PEAK_PRESENT) at one delay, after half a second
that is loud, are an echo, too."""
_LOUD_S = 0.5
"""So much that is loud has to be there before its likeness to us counts, once there seems to be no echo."""
_SOUND_S = 0.1
_VOTES = 3
"""Looks at something loud that was not us, after which there is no echo."""
_DOUBT = 3 * RATE_HZ // 2
_FRAME = 320
_SAME = 32
"""Samples by which one delay may differ from itself."""


def _since_we_spoke(ref: Floats) -> int:
    """Samples at the end of a window that may hold our voice: what the user said before is no sign of anything."""
    frames = np.abs(ref[len(ref) % _FRAME :]).reshape(-1, _FRAME).max(axis=1) >= QUIET
    first = int(np.argmax(frames)) if frames.any() else len(frames)
    return max(1, len(frames) - first) * _FRAME


@dataclass(frozen=True, slots=True)
class Found:
    """Our voice is in the signal, `lag` samples late; `again`: as at the last look."""

    lag: int
    again: bool


class EchoFinder:
    """`state` is what is known; `look_at` the position at which to look next."""

    def __init__(self) -> None:
        self.state: EchoState = "unknown"
        self.look_at = 0
        self.late_at = -WINDOW
        """Position of the last audio that came late: what we sent then may have come late, too."""
        self._votes = 0
        self._candidate = -1
        self._doubted_at: int | None = None
        self._doubted = -1, 0, 0
        """A delay at which there may be an echo, and where it was found first and last."""

    def look(self, line: Timeline, delay: int | None, explains: Callable[[int, bool], bool]) -> Found | None:
        """`delay`: of the echo that is being cancelled. `explains(lag, persists)`: a filter makes what was heard of
        what we played; it is asked where nothing is cancelled yet."""
        mic, ref = line.lately()
        if np.sqrt(np.mean(ref**2)) < QUIET:
            return None
        in_time = line.at - self.late_at >= WINDOW
        if self.state == "unknown" and in_time and unheard(ref[-WINDOW:], mic):
            self.state = "absent"
            return None
        since = _since_we_spoke(ref)
        least = FAINT if self.state == "absent" else QUIET
        loud = loud_s(line.mic, min(WINDOW, since), least=least)
        noisy = delay is None and loud <= 0 and floor(mic) >= QUIET**2
        far = ref if in_time else line.ref  # the same transform, for lags of up to two seconds
        lag, height = correlate(mic, far, RATE_HZ) if loud > 0 or noisy else (-1, 0.0)
        if noisy and height >= PEAK_PRESENT:
            loud = lasts_s(far[len(far) - WINDOW - lag : len(far) - lag])
        if noisy and self.state == "absent":
            self.look_at = line.at + LOOK_RARELY
        if loud <= 0:
            # what we said may still be on its way; later, silence is the surest sign of no echo, if all was silent
            said = np.sqrt(np.mean(ref[: WINDOW - 2 * LOOK_EVERY] ** 2)) >= QUIET
            if self.state == "unknown" and in_time and said and loud_s(line.mic, since, now=False) < _SOUND_S:
                self.state = "absent"
            return None
        again = abs(lag - self._candidate) <= _SAME
        enough = loud >= _LOUD_S
        self._candidate = lag if enough and height >= PEAK_PRESENT else -1
        sure = any(loud >= least_s and height >= peak for least_s, peak in _PEAK_SURE)
        if sure and not enough and self.state == "absent":
            return None
        found = sure or (height >= PEAK_PRESENT and again and enough)
        if found and delay is None and not explains(lag, self._persists(lag, line.at)):
            self._candidate, found, height = -1, False, 0.0
            self._doubted_at = line.at if self._doubted_at is None else self._doubted_at
            steady = floor(mic) >= QUIET**2
            if steady and self.state == "unknown" and line.at - self._doubted_at <= _DOUBT:
                return None  # noise may hide it: another second will tell
        if delay is not None and not again and height >= PEAK_PRESENT and abs(lag - delay) > MOVED:
            self.look_at = line.at + LOOK_EVERY  # the client's playout may have moved: be sure of it soon
        if found:
            self._votes = 0
            return Found(lag, again)
        if self.state == "unknown":
            self._votes = (self._votes + 1 if height < PEAK_PRESENT else 0) if loud >= 0.4 else self._votes
            if self._votes >= _VOTES:
                self.state = "absent"
        return None

    def _persists(self, lag: int, at: int) -> bool:
        """The same delay was found before, in audio that this look does not see."""
        if abs(lag - self._doubted[0]) > _SAME or at - self._doubted[2] > 2 * WINDOW:
            self._doubted = lag, at, at
        self._doubted = *self._doubted[:2], at
        return at - self._doubted[1] >= WINDOW + LOOK_EVERY
