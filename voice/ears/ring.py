"""The last seconds of a session's audio, read by absolute sample index.

Onsets are dated back and wake words are cut out after they were heard, so audio must be there a little longer
than the moment it came. Positions count from the session's first sample and never wrap.
"""

from __future__ import annotations

import numpy as np

from voice.errors import AudioError
from voice.port import Pcm

__all__ = ["AudioRing"]


class AudioRing:
    """Bounded: when full, the oldest samples go. Memory is 2 bytes a sample, taken at once."""

    __slots__ = ("_buffer", "end", "rate_hz")

    def __init__(self, seconds: float, rate_hz: int = 16_000) -> None:
        if seconds <= 0 or rate_hz <= 0:
            raise ValueError("a ring needs a length and a rate above zero")
        self.rate_hz = rate_hz
        self.end = 0
        """Samples appended so far: one past the newest."""
        self._buffer = np.zeros(max(1, round(seconds * rate_hz)), np.int16)

    @property
    def start(self) -> int:
        """The oldest sample that is still here."""
        return max(0, self.end - len(self._buffer))

    def append(self, pcm: Pcm) -> None:
        """Add int16 [samples], any number. Raises AudioError on another dtype or shape."""
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise AudioError(f"audio is {pcm.dtype} with {pcm.ndim} dimensions", hint="give int16 mono samples")
        size = len(self._buffer)
        self.end += len(pcm)
        kept = pcm[-size:] if len(pcm) > size else pcm
        at = (self.end - len(kept)) % size
        head = min(len(kept), size - at)
        self._buffer[at : at + head] = kept[:head]
        self._buffer[: len(kept) - head] = kept[head:]

    def rewrite(self, pcm: Pcm) -> None:
        """The newest samples are these instead, as far as they are here."""
        kept = pcm[-(self.end - self.start) :] if self.end > self.start else pcm[:0]
        self._buffer[np.arange(self.end - len(kept), self.end) % len(self._buffer)] = kept

    def silence(self, start: int, end: int) -> None:
        """Samples [start, end) become zero, as far as they are here."""
        first, stop = max(start, self.start), min(end, self.end)
        if stop > first:
            self._buffer[np.arange(first, stop) % len(self._buffer)] = 0

    def read(self, start: int, end: int | None = None) -> Pcm:
        """A copy of samples [start, end), `end` None for the newest. What is gone or yet to come is left out."""
        stop = self.end if end is None else min(end, self.end)
        first = max(start, self.start)
        if stop <= first:
            return np.zeros(0, np.int16)
        size = len(self._buffer)
        at = first % size
        head = min(stop - first, size - at)
        return np.concatenate((self._buffer[at : at + head], self._buffer[: stop - first - head]))

    def release(self) -> None:
        """Give the memory back; nothing is read or appended any more. The parts of a session that is over refer to
        each other, and Python may find that out much later."""
        self._buffer = np.zeros(1, np.int16)
