"""Which part of a stream a partial transcript is made of, and what it says together with those before it. Pure.

Whisper hears whole recordings, so the audio from the start of a window to now is transcribed again and again. Words
on which two runs agree are sure: the next run is made to begin with them, so what was shown does not change any more
(LocalAgreement, as in whisper_streaming). What follows them may still change.

A window that has become long is closed at a quiet place: its words are sure as they are, and the next one begins
there. The place is looked for in what came after the last run, because sure words may reach up to there.
"""

from __future__ import annotations

from dataclasses import dataclass

from voice.agreement import agreed
from voice.port import Pcm
from voice.sphinx.speech_span import FRAME, levels_db
from voice.worker.windows import quietest

__all__ = ["RollingTranscript", "Stretch", "sounds"]

RATE_HZ = 16_000
MIN_SAMPLES = RATE_HZ
"""Of less Whisper makes up words."""
NEWS_SAMPLES = 3 * RATE_HZ // 10
LONG_SAMPLES, LONGEST_SAMPLES = 8 * RATE_HZ, 16 * RATE_HZ
"""From the first on a window is closed in a pause, from the second on wherever it is quietest: each word in it costs
time again in every run."""
WINDOW_SAMPLES = 28 * RATE_HZ
"""Whisper's own window has 30 s."""
PAUSE_DB = 15.0
"""Below the loudest around it."""
LATELY_FRAMES = 300
NOW_FRAMES = 6
FALL_DB, FALL_SHARE = 15.0, 0.65
"""Below the loudest of late; in noise, so much of the way down to it."""
MIN_RANGE_DB = 7.0
"""Steady noise has less."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples to transcribe. `prefix`: the words it begins with. `closes`: the window ends where it does."""

    start: int
    end: int
    prefix: str
    closes: bool


class RollingTranscript:
    """Of one stream. `next` says what to transcribe, `heard` takes what came of it."""

    def __init__(self) -> None:
        self._fixed = ""
        """The words of the windows that are closed."""
        self._sure = ""
        """The words of this window that stay."""
        self._last = ""
        """What the last run made of this window."""
        self._start = self._end = 0
        """Of this window, and of the last run."""

    @property
    def text(self) -> str:
        return _joined(self._fixed, self._last)

    @property
    def end(self) -> int:
        """The samples before it were heard."""
        return self._end

    def due(self, samples: int) -> bool:
        """Enough has come, of `samples` in all."""
        return samples - self._start >= MIN_SAMPLES and samples - self._end >= NEWS_SAMPLES

    def next(self, audio: Pcm) -> Stretch:
        """`audio`: all of the stream, of which enough is new (`due`)."""
        until = min(len(audio), self._start + WINDOW_SAMPLES)
        if until - self._start > LONG_SAMPLES:
            new = audio[self._end : until]
            place = quietest(new, RATE_HZ)
            if until - self._start > LONGEST_SAMPLES or _is_pause(new, place):
                return Stretch(self._start, self._end + place, self._sure, closes=True)
        return Stretch(self._start, until, self._sure, closes=False)

    def heard(self, stretch: Stretch, text: str) -> None:
        """`text` is empty where Whisper was unsure: what was known stays."""
        self._end = stretch.end
        if text.startswith(self._sure):
            sure = agreed(self._last, text)
            if len(sure) > len(self._sure) and sure.startswith(self._sure):
                self._sure = sure
            self._last = text
        if stretch.closes:
            self._fixed, self._sure, self._last = self.text, "", ""
            self._start = stretch.end


def sounds(audio: Pcm, since: int | None = None) -> bool:
    """Somebody is speaking at the end of it, or has spoken after `since`. In a pause Whisper likes to invent an end
    ("Thank you."), and the transcript that counts is likely to be asked for."""
    lately = audio[-LATELY_FRAMES * FRAME :]
    levels = levels_db(lately)
    if levels.size < NOW_FRAMES:
        return False
    loudest, quiet = float(levels.max()), float(sorted(levels)[len(levels) // 10])
    fall_db = min(FALL_DB, FALL_SHARE * (loudest - quiet))
    first = levels.size - NOW_FRAMES if since is None else -(min(0, len(audio) - len(lately) - since) // FRAME)
    return loudest - quiet >= MIN_RANGE_DB and bool((levels[first:] >= loudest - fall_db).any())


def _is_pause(audio: Pcm, place: int) -> bool:
    levels = levels_db(audio)
    here = levels[max(0, place // FRAME - 10) : place // FRAME + 10]
    return here.size > 0 and float(here.max()) <= float(levels.max()) - PAUSE_DB


def _joined(before: str, after: str) -> str:
    return f"{before} {after}" if before and after else before or after
