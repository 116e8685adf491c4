"""Where a reply's audio goes in the terminal client, and how much of it has been played."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from models.clock import Clock
from voice.port import Pcm

__all__ = ["Recorder", "SilentSpeaker", "Speaker"]


class Speaker(Protocol):
    """Plays replies one after the other. Everything is called from the event loop and does not block."""

    def play(self, reply: str, pcm: Pcm) -> None: ...

    def stop(self) -> None:
        """Forget what has not been played."""
        ...

    def position(self) -> tuple[str, float] | None:
        """The reply that is being played and how many milliseconds of it were; None before the first one."""
        ...

    def idle(self) -> bool:
        """Nothing is left to play."""
        ...


class SilentSpeaker:
    """A loudspeaker without sound: samples take the time they would take. Runs dry as a real one does."""

    def __init__(self, clock: Clock, rate_hz: int) -> None:
        self._clock = clock
        self._rate_hz = rate_hz
        self._reply = ""
        self._samples = 0
        self._ends_at_s = 0.0

    def play(self, reply: str, pcm: Pcm) -> None:
        if reply != self._reply:
            self._reply, self._samples = reply, 0
        self._ends_at_s = max(self._ends_at_s, self._clock.now()) + len(pcm) / self._rate_hz
        self._samples += len(pcm)

    def stop(self) -> None:
        self._samples -= self._waiting()
        self._ends_at_s = min(self._ends_at_s, self._clock.now())

    def position(self) -> tuple[str, float] | None:
        if not self._reply:
            return None
        return self._reply, max(0, self._samples - self._waiting()) * 1000 / self._rate_hz

    def idle(self) -> bool:
        return self._clock.now() >= self._ends_at_s

    def _waiting(self) -> int:
        left_s = max(0.0, self._ends_at_s - self._clock.now())
        return min(self._samples, round(left_s * self._rate_hz))


class Recorder:
    """Passes audio on to a speaker and keeps what was really played, to be saved."""

    def __init__(self, speaker: Speaker, rate_hz: int) -> None:
        self._speaker = speaker
        self._rate_hz = rate_hz
        self._reply = ""
        self._pieces: list[Pcm] = []
        self._reply_samples = 0

    def play(self, reply: str, pcm: Pcm) -> None:
        if reply != self._reply:
            self._reply, self._reply_samples = reply, 0
        self._pieces.append(pcm)
        self._reply_samples += len(pcm)
        self._speaker.play(reply, pcm)

    def stop(self) -> None:
        self._speaker.stop()
        where = self._speaker.position()
        if where is not None and where[0] == self._reply:
            self._cut(self._reply_samples - round(where[1] * self._rate_hz / 1000))

    def position(self) -> tuple[str, float] | None:
        return self._speaker.position()

    def idle(self) -> bool:
        return self._speaker.idle()

    def audio(self) -> Pcm:
        """Everything that was played so far, one reply after the other."""
        return np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)

    def _cut(self, samples: int) -> None:
        while samples > 0 and self._pieces:
            last = self._pieces.pop()
            if len(last) > samples:
                self._pieces.append(last[: len(last) - samples])
            self._reply_samples -= min(samples, len(last))
            samples -= len(last)
