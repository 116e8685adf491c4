"""Recordings through the real ears, many at once, as sessions send them: frames of 20 ms."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import numpy as np

from models.registry import discover
from tests.recordings import RATE_HZ, silence
from voice.ears.ears import AudioLost, EarEvent, EarFailed, Ears, VadFrame, WakeHeard
from voice.ears.segmenter import Offset, Onset, Segmenter
from voice.port import EngineConfig, Pcm, VadEngine, WakeEngine
from voice.settings import TurnSettings, VadSettings, WakeSettings

__all__ = ["Heard", "hear", "segments"]

_TAIL_S = 1.5
"""Silence after every recording. None before: what begins with digital silence and breaks off into a noisy room
startles Silero, and no microphone does that."""
_FRAME = 320


@dataclass(frozen=True, slots=True)
class Heard:
    frames: tuple[VadFrame, ...]
    wakes: tuple[WakeHeard, ...]


@functools.cache
def _engines() -> tuple[VadEngine, WakeEngine]:
    vad, wake = VadSettings(), WakeSettings()
    return (
        discover("voice.vad")[vad.engine].load(EngineConfig()),
        discover("voice.wake")[wake.engine].load(EngineConfig()),
    )


async def hear(sounds: Sequence[Pcm], wake_words: Sequence[str] = (), threshold: float = 0.5) -> list[Heard]:
    """Every sound in an ear of its own, all at the same time."""
    vad, wake = _engines()
    ears = Ears(vad, wake, refractory_ms=WakeSettings().refractory_ms)
    events: list[list[EarEvent]] = [[] for _ in sounds]
    padded = [np.concatenate((pcm, silence(_TAIL_S))) for pcm in sounds]
    async with anyio.create_task_group() as tasks:
        await tasks.start(ears.run)
        listening = [ears.open(each.extend, wake_words, threshold) for each in events]
        for second in range(0, max(map(len, padded)), RATE_HZ):
            for at in range(second, second + RATE_HZ, _FRAME):
                for ear, pcm in zip(listening, padded, strict=True):
                    ear.feed(pcm[at : at + _FRAME])
            while ears.statistics().behind_s > 1.0:
                await anyio.sleep(0.005)
        expected = [len(pcm) // 512 for pcm in padded]
        while [sum(isinstance(e, VadFrame) for e in each) for each in events] != expected:
            await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()
    assert not any(isinstance(e, AudioLost | EarFailed) for each in events for e in each)
    return [
        Heard(
            tuple(e for e in each if isinstance(e, VadFrame)),
            tuple(e for e in each if isinstance(e, WakeHeard)),
        )
        for each in events
    ]


def segments(heard: Heard, pause_ms: int | None = None) -> list[tuple[float, float]]:
    """(onset, offset) in seconds, with the default settings; speech that does not end lasts to the last frame."""
    turn = TurnSettings()
    segmenter = Segmenter(VadSettings().threshold, pause_ms or turn.pause_ms, turn.min_speech_ms)
    found: list[tuple[float, float]] = []
    onset_s = None
    for frame in heard.frames:
        match segmenter.step(frame.probability, frame.end_s):
            case Onset(at_s):
                onset_s = at_s
            case Offset(at_s):
                assert onset_s is not None
                found.append((onset_s, at_s))
                onset_s = None
    if onset_s is not None:
        found.append((onset_s, heard.frames[-1].end_s))
    return found
