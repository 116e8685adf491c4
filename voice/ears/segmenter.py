"""Pure: from VAD probabilities to the beginnings and ends of speech, on the audio's own clock.

Two thresholds, as in Silero's own iterator: `threshold` starts voice and `threshold - 0.15` keeps it.

    silent  --min_speech_ms of frames over the lower threshold, their mean over the upper-->  speech (Onset)
    speech  --pause_ms without voice-->                                                     silent (Offset)

1. Before an onset, frames over the lower threshold are collected. One frame below it is a hole (the closure of a
   "p" or "t"); two in a row discard the collection. The mean of the last eight collected must reach the upper
   threshold: babble hovers about it for 100 to 200 ms, speech goes through it. So taps, clicks and a single high
   frame begin nothing.
2. The onset is dated back to the first collected frame: the model rises over one to three frames. A collection
   may be longer than eight frames; it is then dated back eight frames, since a hum of middling probability is
   not the beginning of what follows it.
3. In speech, a single frame over the upper threshold after a silence of more than one frame is a click and does
   not restart the pause; the second one in a row does, and dates back to the first.
4. Before an onset is sure it may be likely: one frame not far below the upper threshold, or two collected ones whose
   mean reaches it (`rising`). Who wants to be quick and can take it back acts on that.
5. A gap in the frames (audio that was lost) counts as neither voice nor silence: an open pause starts anew.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

__all__ = ["Offset", "Onset", "Segmenter"]

HYSTERESIS = 0.15
FRAME_S = 0.032
_COLLECTED = 8
_LIKELY = 0.1
"""So far below the upper threshold one frame may be the beginning of speech: softly begun words are known two frames
sooner than where it has to be far above. In a quarter of an hour of noises nine frames are."""
_LIKELY_FRAMES = 2
_TOLERANCE = 0.05
"""Of a frame: sums of frame lengths are not exact."""


@dataclass(frozen=True, slots=True)
class Onset:
    """Speech began at `at_s`."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Offset:
    """The voice fell silent at `at_s`; it may go on."""

    at_s: float


class Segmenter:
    """One stream of 32 ms frames."""

    __slots__ = (
        "_collected",
        "_end_s",
        "_hole",
        "_lower",
        "_min_frames",
        "_pause_s",
        "_resumed",
        "_speech",
        "_threshold",
        "_voice_end_s",
        "voiced",
        "voiced_s",
    )

    def __init__(self, threshold: float = 0.5, pause_ms: int = 160, min_speech_ms: int = 96) -> None:
        self.change(threshold, pause_ms)
        self._min_frames = max(1, math.ceil(min_speech_ms / 1000 / FRAME_S - _TOLERANCE))
        self._speech = False
        self._end_s: float | None = None
        self._voice_end_s = 0.0
        self._resumed = False
        self._collected: deque[tuple[float, float]] = deque(maxlen=max(_COLLECTED, self._min_frames))
        """(start of the frame, probability)"""
        self._hole = False
        self.voiced = False
        """The last frame was voice, of a speech that has begun."""
        self.voiced_s = 0.0
        """Seconds of voice since the onset, pauses not counted; kept until the next onset."""

    def change(self, threshold: float, pause_ms: int) -> None:
        """From the next frame on. Speech that has begun goes on, and ends by these."""
        self._threshold = threshold
        self._lower = max(threshold - HYSTERESIS, 0.01)
        self._pause_s = pause_ms / 1000

    @property
    def rising(self) -> bool:
        """The last frames may be the beginning of speech: an onset follows within a few frames, or nothing."""
        if self._speech or self._hole or not self._collected:
            return False
        last = self._collected[-1][1]
        if last >= self._threshold - _LIKELY:
            return True
        count = len(self._collected)
        return count >= _LIKELY_FRAMES and sum(p for _, p in self._collected) >= count * self._threshold

    @property
    def in_speech(self) -> bool:
        """Between an onset and its offset."""
        return self._speech

    def step(self, probability: float, frame_end_s: float) -> Onset | Offset | None:
        """One frame, in order. `frame_end_s`: seconds of audio up to the frame's end."""
        start_s = frame_end_s - FRAME_S
        lost = self._end_s is not None and start_s - self._end_s > FRAME_S / 2
        self._end_s = frame_end_s
        if self._speech:
            if lost:
                self._voice_end_s = start_s
            return self._in_speech(probability, start_s, frame_end_s)
        if lost:
            self._collected.clear()
        return self._in_silence(probability, start_s, frame_end_s)

    def _in_silence(self, probability: float, start_s: float, end_s: float) -> Onset | None:
        if probability < self._lower:
            if self._hole:
                self._collected.clear()
            self._hole = True
            return None
        self._hole = False
        self._collected.append((start_s, probability))
        count = len(self._collected)
        if count < self._min_frames or sum(p for _, p in self._collected) < count * self._threshold:
            return None
        onset = Onset(self._collected[0][0])
        self._collected.clear()
        self._speech = self.voiced = True
        self._resumed = False
        self._voice_end_s = end_s
        self.voiced_s = count * FRAME_S
        return onset

    def _in_speech(self, probability: float, start_s: float, end_s: float) -> Offset | None:
        pausing = start_s - self._voice_end_s > 1.5 * FRAME_S
        voice = probability >= (self._threshold if pausing else self._lower)
        self.voiced = voice and (self._resumed or not pausing)
        if self.voiced:
            self.voiced_s += 2 * FRAME_S if self._resumed else FRAME_S
            self._voice_end_s = end_s
            self._resumed = False
            return None
        self._resumed = voice
        if voice or end_s - self._voice_end_s < self._pause_s - _TOLERANCE * FRAME_S:
            return None
        self._speech = self._hole = False
        return Offset(self._voice_end_s)
