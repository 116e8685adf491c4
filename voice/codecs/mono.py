"""From decoded samples of any width, channels and rate to int16 mono at one rate, with a bound on each piece."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from voice.codecs.spec import MAX_FEED_S
from voice.errors import AudioError
from voice.port import Pcm
from voice.resample import HIGHEST_HZ, LOWEST_HZ, StreamResampler

__all__ = ["HIGHEST_SOURCE_HZ", "LOWEST_SOURCE_HZ", "MonoStream", "to_int16"]

LOWEST_SOURCE_HZ = 1_000
HIGHEST_SOURCE_HZ = 384_000


def to_int16(samples: npt.NDArray[np.float32]) -> Pcm:
    """-1..1 to int16, rounded, clipped; what is not a number is silence."""
    clean = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    pcm: Pcm = np.clip(np.rint(clean * 32768.0), -32768, 32767).astype(np.int16)
    return pcm


class MonoStream:
    """Collects what one `feed` decodes. `from_hz` may change in mid-stream: a new file begins."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._from_hz = rate_hz
        self._converter: StreamResampler | soxr.ResampleStream | None = None
        self._ready: list[Pcm] = []
        self._samples = 0
        self._in, self._out = 0, 0
        """Samples of this source so far, before and after the rate converter."""

    def add(self, samples: npt.NDArray[np.float32], from_hz: int) -> None:
        """`samples` float32 [frames, channels], -1..1. Raises AudioError on a rate that is no rate."""
        if from_hz != self._from_hz:
            self._drain()
            self._converter = _converter(from_hz, self.rate_hz)
            self._from_hz, self._in, self._out = from_hz, 0, 0
        pcm = to_int16(samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0])
        self._in += len(pcm)
        self._keep(self._convert(pcm))

    def take(self) -> Pcm:
        """Everything that is ready, and a new piece begins."""
        ready, self._ready, self._samples = self._ready, [], 0
        return np.concatenate(ready) if ready else np.zeros(0, np.int16)

    def finish(self) -> Pcm:
        self._drain()
        return self.take()

    def _drain(self) -> None:
        if self._converter is not None:
            rest = self._convert(np.zeros(0, np.int16), last=True)
            # The converter may be a sample off at the end; a length is to be what the format says.
            left = max(0, round(self._in * self.rate_hz / self._from_hz) - self._out)
            self._keep(np.pad(rest[:left], (0, left - len(rest[:left]))))
        self._converter, self._from_hz = None, self.rate_hz

    def _convert(self, pcm: Pcm, last: bool = False) -> Pcm:
        if self._converter is None:
            return pcm
        if isinstance(self._converter, StreamResampler):
            return self._converter.process(pcm, last)
        converted: Pcm = self._converter.resample_chunk(pcm, last=last)
        return converted

    def _keep(self, pcm: Pcm) -> None:
        self._samples += len(pcm)
        self._out += len(pcm)
        if self._samples > MAX_FEED_S * self.rate_hz:
            raise AudioError(
                f"one piece holds more than {MAX_FEED_S} seconds of audio", hint="send it in smaller pieces"
            )
        if len(pcm):
            self._ready.append(pcm)


def _converter(from_hz: int, to_hz: int) -> StreamResampler | soxr.ResampleStream | None:
    if from_hz == to_hz:
        return None
    if LOWEST_HZ <= from_hz <= HIGHEST_HZ and LOWEST_HZ <= to_hz <= HIGHEST_HZ:
        return StreamResampler(from_hz, to_hz)
    if not LOWEST_SOURCE_HZ <= from_hz <= HIGHEST_SOURCE_HZ:
        raise AudioError(f"a sample rate of {from_hz} Hz", hint="usual rates are 8000 to 48000 Hz")
    # Recordings of 96 kHz and the like are files, not conversations: the block filter's delay does not matter.
    return soxr.ResampleStream(from_hz, to_hz, 1, dtype="int16", quality="HQ")
