"""G.711: one byte a sample, spaced so that quiet sounds keep their steps. ITU-T G.711 (1988), tables 1a and 2a.

Both laws are tables. A sample is encoded as the code whose value lies nearest, which is what the recommendation's
decision values say, as they are the middles between neighbours.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from voice.codecs.spec import MAX_FEED_S
from voice.errors import AudioError
from voice.port import Pcm

__all__ = ["A_LAW", "U_LAW", "Law", "LawDecoder", "LawEncoder"]

_Codes = npt.NDArray[np.int32]
# Downwards: where two codes have one value (the two zeros of u-law) the first, all ones, is the one that is sent.
_CODES: _Codes = np.arange(255, -1, -1, dtype=np.int32)


class Law:
    """`values` [256] int16 by code, `codes` [65536] uint8 by sample + 32768."""

    def __init__(self, values: _Codes) -> None:
        self.values = values.astype(np.int16)
        distinct, first = np.unique(values[_CODES], return_index=True)
        middles = (distinct[1:] + distinct[:-1]) / 2
        nearest = np.searchsorted(middles, np.arange(-32768, 32768), side="right")
        self.codes = _CODES[first][nearest].astype(np.uint8)


def _u_law() -> Law:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    size = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return Law(np.where(code & 0x80, -size, size))


def _a_law() -> Law:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment = (code & 0x70) >> 4
    step = (code & 0x0F) << 4
    size = np.where(segment == 0, step + 8, (step + 0x108) << np.maximum(segment - 1, 0))
    return Law(np.where(code & 0x80, size, -size))


U_LAW = _u_law()
A_LAW = _a_law()


class LawDecoder:
    """Every byte is a sample, so a stream may be cut anywhere and nothing is garbage."""

    def __init__(self, law: Law, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._law = law

    def feed(self, data: bytes) -> Pcm:
        if len(data) > MAX_FEED_S * self.rate_hz:
            raise AudioError(f"one piece holds more than {MAX_FEED_S} seconds of audio", hint="send smaller pieces")
        return self._law.values[np.frombuffer(data, np.uint8)]

    def finish(self) -> Pcm:
        return np.zeros(0, np.int16)


class LawEncoder:
    def __init__(self, law: Law) -> None:
        self._law = law

    def encode(self, pcm: Pcm) -> bytes:
        return self._law.codes[pcm.astype(np.int32) + 32768].tobytes()
