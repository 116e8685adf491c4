"""Raw PCM16, little-endian, mono, at the rate both sides agreed on."""

from __future__ import annotations

import numpy as np

from voice.codecs.spec import MAX_FEED_S, CodecSpec
from voice.errors import AudioError
from voice.port import Pcm

__all__ = ["SPEC"]


class _PcmDecoder:
    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._odd = b""

    def feed(self, data: bytes) -> Pcm:
        if len(data) > 2 * MAX_FEED_S * self.rate_hz:
            raise AudioError(f"one piece holds more than {MAX_FEED_S} seconds of audio", hint="send smaller pieces")
        data = self._odd + data
        whole = len(data) // 2 * 2
        self._odd = data[whole:]
        return np.frombuffer(data[:whole], dtype="<i2").astype(np.int16)

    def finish(self) -> Pcm:
        return np.zeros(0, np.int16)


class _PcmEncoder:
    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz

    def encode(self, pcm: Pcm) -> bytes:
        return pcm.astype("<i2", copy=False).tobytes()


SPEC = CodecSpec(
    name="pcm",
    decoder=_PcmDecoder,
    encoder=_PcmEncoder,
    media_type="audio/pcm",
    description="raw 16-bit little-endian mono samples",
    raw=True,
)
