"""The ears' work in their thread: cut every session's audio into frames and run the engines on all of them together.

Synchronous and without threads or clocks of its own; `ears.py` is the shell. A round (`step`) takes at most one VAD
frame and one wake frame of every line, so a line with a long backlog does not hold up the others: what they bring
meanwhile joins the next round.

Wake frames cost ten times what VAD frames cost, so they are only looked at where the VAD hears something like a
voice: from LOOK_BACK before a frame of at least GATE probability to HANG after the last one. The gate is far below
the threshold of speech: over 59 human "alexa", recall with it is the same in silence (56) and not worse at 10, 5
and 0 dB of kitchen, music and office noise (55, 49, 43 with it, 54, 48, 43 without).

A wake word is reported AHEAD_S of audio after its score crossed the threshold, when its end can be seen; if no more
audio comes, the shell says so (`Line.settle`). By then three more frames have their scores, and one of them has to
cross as well: of 53 false wakes in five hours of actors' speech 28 are left; of 70 wake words of people 67 are heard
either way, in rooms, noise and at low level 123 instead of 126 of 126.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import structlog

from voice.ears.events import AudioLost, EarEvent, EarFailed, VadFrame, WakeHeard
from voice.ears.wake_trigger import AHEAD_S, BACK_S, WakeTrigger, locate
from voice.port import Pcm, VadEngine, WakeEngine

__all__ = ["RATE_HZ", "EarBatch", "Line"]

Result = TypeVar("Result")
_log = structlog.get_logger()

RATE_HZ = 16_000
VAD_FRAME = 512
WAKE_FRAME = 1280

GATE = 0.1
LOOK_BACK = 8 * WAKE_FRAME
HANG = 6 * WAKE_FRAME

_AHEAD = round(AHEAD_S * RATE_HZ)
_LOOKED_AT = 3
"""Frames after a crossing, in one of which the word has to be heard again."""
_BACK = round(BACK_S * RATE_HZ)

_STRIKES = 3
"""A part that failed this often in a row is off for the line."""


@dataclass(slots=True)
class _Crossing:
    """A wake word whose end is still to be found."""

    word: str
    scores: list[float]
    """Of the frame that crossed, and of those after it."""
    at: int

    @property
    def looked_at(self) -> bool:
        """What comes after it is known."""
        return len(self.scores) > _LOOKED_AT

    @property
    def score(self) -> float:
        """The second best, for a word is heard in two frames; the best, where the audio ended too soon for that."""
        return sorted(self.scores)[-2] if self.looked_at else max(self.scores)


class Line:
    """One session, on the side of the thread. All positions are samples since its first."""

    __slots__ = (
        "_parts",
        "crossing",
        "end",
        "events",
        "first",
        "open_until",
        "pcm",
        "strikes",
        "trigger",
        "vad_at",
        "vad_stream",
        "wake_at",
        "wake_stream",
        "words",
    )

    def __init__(self) -> None:
        self.pcm: Pcm = np.zeros(0, np.int16)
        self.first = 0
        """Position of pcm[0]."""
        self._parts: list[Pcm] = []
        self.end = 0
        self.vad_at = 0
        self.wake_at = 0
        self.vad_stream: int | None = None
        self.wake_stream: int | None = None
        self.words: dict[str, str] = {}
        """{the engine's word: as it was asked for}; empty: no wake word."""
        self.trigger: WakeTrigger | None = None
        self.crossing: _Crossing | None = None
        self.open_until = 0
        self.strikes = {"vad": 0, "wake": 0}
        self.events: list[EarEvent] = []

    def take(self, start: int, pcm: Pcm) -> None:
        """Audio from position `start` on. What lies between is lost, and said so."""
        if start > self.end:
            self.settle()
            self.events.append(AudioLost(self.end / RATE_HZ, start / RATE_HZ))
            self.pcm, self._parts = pcm, []
            self.first = self.vad_at = self.wake_at = start
        else:
            self._parts.append(pcm)
        self.end = start + len(pcm)

    def frame(self, at: int, size: int) -> Pcm:
        self._join()
        return self.pcm[at - self.first : at - self.first + size]

    def settle(self) -> None:
        """Report the wake word that waits, with what there is of the audio after it; forget it, if it was not one."""
        crossing, trigger, self.crossing = self.crossing, self.trigger, None
        if crossing is None or trigger is None:
            return
        if not trigger.crosses(crossing.score):
            trigger.forget(crossing.word)
            return
        self._join()
        start, end = (self.first + i for i in locate(self.pcm, crossing.at - self.first, crossing.word))
        self.events.append(WakeHeard(crossing.word, crossing.score, start / RATE_HZ, end / RATE_HZ))

    def take_events(self) -> list[EarEvent]:
        events, self.events = self.events, []
        return events

    def trim(self) -> None:
        """Forget what both engines have heard, and what lies too far back for a wake word."""
        heard = min(self.vad_at, self.wake_at)
        if self.words:
            heard = min(heard, (self.crossing.at if self.crossing else self.wake_at) - _BACK)
        done = heard - self.first
        if 0 < done <= len(self.pcm):
            self.pcm = self.pcm[done:]
            self.first += done

    def _join(self) -> None:
        if self._parts:
            self.pcm = np.concatenate((self.pcm, *self._parts))
            self._parts = []

    @property
    def vad_ready(self) -> bool:
        return self.end - self.vad_at >= VAD_FRAME

    @property
    def wake_ready(self) -> bool:
        return bool(self.words) and self.wake_at < self.open_until and self.end - self.wake_at >= WAKE_FRAME


class EarBatch:
    """All lines and the engines. Confined to one thread, as the engines are."""

    def __init__(self, vad: VadEngine, wake: WakeEngine | None) -> None:
        self._vad = vad
        self._wake = wake
        self.lines: list[Line] = []

    def add(self, line: Line) -> None:
        self.lines.append(line)

    def remove(self, line: Line) -> None:
        """Give the line's streams back."""
        self.lines.remove(line)
        self._close_vad(line)
        self._close_wake(line)

    def listen_for(self, line: Line, words: dict[str, str], trigger: WakeTrigger) -> None:
        """From now on; the line's wake stream begins afresh."""
        line.settle()
        self._close_wake(line)
        line.words = dict(words)
        line.trigger = trigger
        line.strikes["wake"] = 0

    def step(self) -> bool:
        """One round. False when no line has a whole frame left."""
        ready = [line for line in self.lines if line.vad_ready]
        if ready:
            self._hear_voice(ready)
        for line in self.lines:
            self._skip(line)
        ready = [line for line in self.lines if line.wake_ready]
        if ready:
            self._hear_words(ready)
        for line in self.lines:
            crossing = line.crossing
            if crossing is not None and line.end >= crossing.at + _AHEAD:
                if crossing.looked_at or not line.wake_ready:
                    line.settle()
            line.trim()
        return any(line.vad_ready or line.wake_ready for line in self.lines)

    # ---- voice ----------------------------------------------------------------------------------------------

    def _hear_voice(self, lines: list[Line]) -> None:
        frames = np.stack([line.frame(line.vad_at, VAD_FRAME) for line in lines]).astype(np.float32) / 32768
        levels_db = 10 * np.log10(frames.var(axis=1) * 32768.0**2 + 1)
        heard = self._try("vad", lines, frames, self._run_vad)
        for (line, probability), level_db in zip(heard, levels_db, strict=True):
            line.vad_at += VAD_FRAME
            if probability is None:
                line.open_until = line.end + HANG  # without a gate, every word is listened for
                continue
            if probability >= GATE:
                line.open_until = line.vad_at + HANG
            line.events.append(VadFrame(float(probability), line.vad_at / RATE_HZ, float(level_db)))

    def _run_vad(self, lines: Sequence[Line], frames: npt.NDArray[np.float32]) -> Sequence[float]:
        streams = []
        for line in lines:
            if line.vad_stream is None:
                line.vad_stream = self._vad.open()
            streams.append(line.vad_stream)
        probabilities: list[float] = self._vad.step(streams, frames).tolist()
        return probabilities

    # ---- wake words -----------------------------------------------------------------------------------------

    def _skip(self, line: Line) -> None:
        """Where the gate is shut, keep the look-back only."""
        if not line.words:
            line.wake_at = line.vad_at
        elif line.wake_at >= line.open_until:
            behind = line.vad_at - line.wake_at - LOOK_BACK
            if behind > 0:
                line.wake_at += -(-behind // WAKE_FRAME) * WAKE_FRAME
                # what it heard before the gap is no neighbour of what follows: an old word would be heard again
                self._close_wake(line)

    def _hear_words(self, lines: list[Line]) -> None:
        frames = np.stack([line.frame(line.wake_at, WAKE_FRAME) for line in lines])
        for line, scores in self._try("wake", lines, frames, self._run_wake):
            line.wake_at += WAKE_FRAME
            if scores is None or line.trigger is None:
                continue
            named = {line.words[word]: score for word, score in scores.items() if word in line.words}
            if line.crossing is not None:
                line.crossing.scores.append(named.get(line.crossing.word, 0.0))
            word = line.trigger.step(named, line.wake_at / RATE_HZ)
            if word is not None:
                line.settle()
                line.crossing = _Crossing(word, [named[word]], line.wake_at)

    def _run_wake(self, lines: Sequence[Line], frames: npt.NDArray[np.int16]) -> Sequence[dict[str, float]]:
        assert self._wake is not None  # lines have words only where there is an engine
        streams = []
        for line in lines:
            if line.wake_stream is None:
                line.wake_stream = self._wake.open(tuple(line.words))
            streams.append(line.wake_stream)
        return self._wake.step(streams, frames)

    # ---- failures -------------------------------------------------------------------------------------------

    def _try(
        self,
        part: Literal["vad", "wake"],
        lines: list[Line],
        frames: npt.NDArray[Any],
        run: Callable[[Sequence[Line], npt.NDArray[Any]], Sequence[Result]],
    ) -> list[tuple[Line, Result | None]]:
        """Run an engine on all lines; when it fails, on each alone, so that one cannot deafen the others."""
        working = [i for i, line in enumerate(lines) if line.strikes[part] < _STRIKES]
        results: list[Result | None] = [None] * len(lines)
        try:
            if working:
                for i, result in zip(working, run([lines[i] for i in working], frames[working]), strict=True):
                    results[i] = result
                    lines[i].strikes[part] = 0
        except Exception as error:
            alone = working if len(working) > 1 else []
            if not alone:
                self._strike(part, lines[working[0]], error)
            for i in alone:
                ((_, results[i]),) = self._try(part, [lines[i]], frames[i : i + 1], run)
        return list(zip(lines, results, strict=True))

    def _strike(self, part: Literal["vad", "wake"], line: Line, error: Exception) -> None:
        line.strikes[part] += 1
        if part == "vad":
            self._close_vad(line)
        else:
            self._close_wake(line)
        message = f"{type(error).__name__}: {error}"
        line.events.append(EarFailed(part, message, final=line.strikes[part] >= _STRIKES))

    def _close_vad(self, line: Line) -> None:
        stream, line.vad_stream = line.vad_stream, None
        if stream is not None:
            _close("vad", self._vad, stream)

    def _close_wake(self, line: Line) -> None:
        stream, line.wake_stream = line.wake_stream, None
        if stream is not None and self._wake is not None:
            _close("wake", self._wake, stream)


def _close(part: str, engine: VadEngine | WakeEngine, stream: int) -> None:
    try:
        engine.close(stream)
    except Exception:
        # The stream may be lost to the engine; nobody is there any more to be told.
        _log.exception("ear_stream_not_closed", part=part)
