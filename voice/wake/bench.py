"""How well wake words are heard in a folder of recordings: misses, and false wakes per hour, at any threshold.

The recordings go through the ears as a session's audio does, several at a time and faster than time passes. The ears
listen with the threshold FLOOR and without a refractory time, so that every score is known; what would have waked at
a threshold is found out afterwards, by the trigger that sessions have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import anyio.to_thread
import numpy as np

from models.errors import ParleyError
from voice.ears.ears import Ears
from voice.ears.events import EarEvent, EarFailed, VadFrame, WakeHeard
from voice.ears.wake_trigger import WakeTrigger, spoken_name
from voice.errors import AudioError
from voice.port import Pcm
from voice.worker.upload import decode

__all__ = ["FLOOR", "Heard", "WakeReport", "bench_wake", "holds_word", "recordings_in"]

RATE_HZ = 16_000
FLOOR = 0.02
"""Scores below it are not looked at."""
SUFFIXES = frozenset(".wav .mp3 .ogg .oga .opus .flac .webm .m4a .aac .aiff .wma".split())
AT_ONCE = 8
PIECE = RATE_HZ
TAIL_S = 1.5
"""Silence after every recording, so that its last word is over."""
VAD_FRAME = 512
AHEAD_FRAMES = 125
"""So many frames (4 s) may wait in an ear."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard in one recording. `expected`: the word is said in it. `problem`: why it was not listened to.

    `wakes`: at the threshold of the report; `scores`: everything over FLOOR.
    """

    path: Path
    seconds: float
    expected: bool
    wakes: tuple[WakeHeard, ...] = ()
    problem: str = ""
    scores: tuple[WakeHeard, ...] = ()


@dataclass(frozen=True, slots=True)
class WakeReport:
    """`hits`, `misses`: recordings with the word. False wakes are counted in the others."""

    heard: tuple[Heard, ...]

    def at(self, threshold: float, refractory_ms: int) -> WakeReport:
        """What it would have been at another threshold, of FLOOR or more."""
        return WakeReport(tuple(replace(each, wakes=_wakes(each, threshold, refractory_ms)) for each in self.heard))

    @property
    def hits(self) -> tuple[Heard, ...]:
        return tuple(each for each in self._with_word if each.wakes)

    @property
    def misses(self) -> tuple[Heard, ...]:
        return tuple(each for each in self._with_word if not each.wakes)

    @property
    def false_wakes(self) -> tuple[Heard, ...]:
        return tuple(each for each in self._without if each.wakes)

    @property
    def unread(self) -> tuple[Heard, ...]:
        return tuple(each for each in self.heard if each.problem)

    @property
    def hours_without(self) -> float:
        """Of recordings without the word."""
        return sum(each.seconds for each in self._without) / 3600

    @property
    def false_per_hour(self) -> float | None:
        """None where there is nothing without the word."""
        count = sum(len(each.wakes) for each in self.false_wakes)
        return count / self.hours_without if self.hours_without > 0 else None

    @property
    def _with_word(self) -> tuple[Heard, ...]:
        return tuple(each for each in self.heard if each.expected and not each.problem)

    @property
    def _without(self) -> tuple[Heard, ...]:
        return tuple(each for each in self.heard if not each.expected and not each.problem)


def recordings_in(folder: Path) -> tuple[Path, ...]:
    """All files below that are no hidden ones, sorted; those that are no recordings are reported as not read."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return tuple(sorted(path for path in found if not path.name.startswith(".")))


def holds_word(path: Path, word: str) -> bool:
    """A recording holds the word if its name or its folder's says so: "alexa/17.wav", "hey_jarvis-lights.wav"."""
    return any(f" {spoken_name(word)} " in f" {spoken_name(name)} " for name in (path.stem, path.parent.name))


async def bench_wake(ears: Ears, paths: Sequence[Path], word: str, done: Callable[[Heard], None]) -> WakeReport:
    """Listen for `word` in all recordings; `done` is told of each.

    `ears` are not running yet, and have no refractory time. Ask the report `at` which threshold.
    """
    heard: list[Heard] = []
    waiting = list(reversed(paths))

    async def work() -> None:
        while waiting:
            path = waiting.pop()
            found = await _listen(ears, path, word)
            heard.append(found)
            done(found)

    async with anyio.create_task_group() as tasks:
        await tasks.start(ears.run)
        async with anyio.create_task_group() as workers:
            for _ in range(AT_ONCE):
                workers.start_soon(work)
        tasks.cancel_scope.cancel()
    return WakeReport(tuple(sorted(heard, key=lambda each: each.path)))


async def _listen(ears: Ears, path: Path, word: str) -> Heard:
    expected = holds_word(path, word)
    try:
        pcm = await anyio.to_thread.run_sync(_read, path)
    except (ParleyError, OSError) as error:
        return Heard(path, 0.0, expected, problem=str(error))
    events: list[EarEvent] = []
    news = anyio.Event()

    def deliver(fresh: list[EarEvent]) -> None:
        events.extend(fresh)
        news.set()

    ear = ears.open(deliver, (word,), FLOOR)
    try:
        for at in range(0, len(pcm), PIECE):
            ear.feed(pcm[at : at + PIECE])
            due = min(at + PIECE, len(pcm)) // VAD_FRAME - AHEAD_FRAMES
            if at + PIECE >= len(pcm):
                due = len(pcm) // VAD_FRAME
            while sum(isinstance(event, VadFrame) for event in events) < due and not _failed(events):
                await news.wait()
                news = anyio.Event()
    finally:
        ear.close()
    scores = tuple(event for event in events if isinstance(event, WakeHeard))
    return Heard(path, len(pcm) / RATE_HZ - TAIL_S, expected, problem=_failed(events), scores=scores)


def _wakes(heard: Heard, threshold: float, refractory_ms: int) -> tuple[WakeHeard, ...]:
    trigger = WakeTrigger(threshold, refractory_ms)
    ordered = sorted(heard.scores, key=lambda each: each.end_s)
    return tuple(each for each in ordered if trigger.step({each.word: each.score}, each.end_s) is not None)


def _failed(events: Sequence[EarEvent]) -> str:
    """Why nothing more will be heard, "" if it will."""
    return next((event.message for event in events if isinstance(event, EarFailed) and event.final), "")


def _read(path: Path) -> Pcm:
    """int16 mono 16 kHz, with silence after it. Raises AudioError for what is no recording."""
    if path.suffix.lower() not in SUFFIXES:
        raise AudioError("no recording, by its name")
    pcm = decode(path.read_bytes())
    if not len(pcm):
        raise AudioError("there is no audio in it")
    return np.concatenate((pcm, np.zeros(round(TAIL_S * RATE_HZ), np.int16)))
