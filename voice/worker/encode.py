"""Speech in OpenAI's `response_format`s, encoded while it is still being made: one container, written piecewise."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import soxr

from voice.port import Pcm

__all__ = ["FORMATS", "StreamEncoder"]


class StreamEncoder(Protocol):
    media_type: str

    def feed(self, pcm: Pcm) -> bytes: ...

    def finish(self) -> bytes: ...


class _RawPcm:
    """24 kHz little-endian PCM16 without a header: what OpenAI calls pcm."""

    media_type = "audio/pcm"

    def __init__(self, rate_hz: int) -> None:
        self._resampler = None if rate_hz == 24_000 else soxr.ResampleStream(rate_hz, 24_000, 1, dtype="int16")

    def feed(self, pcm: Pcm) -> bytes:
        return self._bytes(pcm, last=False)

    def finish(self) -> bytes:
        return self._bytes(np.zeros(0, np.int16), last=True)

    def _bytes(self, pcm: Pcm, *, last: bool) -> bytes:
        if self._resampler is not None:
            pcm = self._resampler.resample_chunk(pcm, last=last)
        return pcm.astype("<i2", copy=False).tobytes()


class _Wav:
    """RIFF with the lengths unknown (0xFFFFFFFF), as streamed WAV files have them."""

    media_type = "audio/wav"

    def __init__(self, rate_hz: int) -> None:
        fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
        self._header = b"RIFF\xff\xff\xff\xffWAVE" + fmt + b"data\xff\xff\xff\xff"

    def feed(self, pcm: Pcm) -> bytes:
        header, self._header = self._header, b""
        return header + pcm.astype("<i2", copy=False).tobytes()

    def finish(self) -> bytes:
        return self.feed(np.zeros(0, np.int16))


class _Libav:
    """Any codec of libav, resampled by it to a rate the codec takes."""

    def __init__(self, rate_hz: int, media_type: str, container: str, codec: str, rates: tuple[int, ...]) -> None:
        import av

        self.media_type = media_type
        self._rate_hz = rate_hz
        # The next rate that loses nothing, else the highest.
        out_hz = min((rate for rate in rates if rate >= rate_hz), default=max(rates)) if rates else rate_hz
        # Ogg gathers a second of audio in a page unless told otherwise; the listener is waiting.
        options = {"page_duration": "200000"} if container == "ogg" else {}
        self._sink = io.BytesIO()
        self._container: Any = av.open(_OnlyForward(self._sink), "w", format=container, options=options)
        self._stream = self._container.add_stream(codec, rate=out_hz)
        self._stream.layout = "mono"
        self._av = av

    def feed(self, pcm: Pcm) -> bytes:
        if len(pcm):
            frame = self._av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = self._rate_hz
            self._mux(frame)
        return self._taken()

    def finish(self) -> bytes:
        self._mux(None)
        self._container.close()
        return self._taken()

    def _mux(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def _taken(self) -> bytes:
        data = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return data


class _OnlyForward:
    """A file for libav that cannot seek, so that it writes headers it need not come back to."""

    def __init__(self, sink: io.BytesIO) -> None:
        self._sink = sink

    def write(self, data: bytes) -> int:
        return self._sink.write(data)


_MP3 = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_OPUS = (16_000, 24_000, 48_000)
# name -> a fresh encoder for PCM16 mono at the given rate
FORMATS: dict[str, Callable[[int], StreamEncoder]] = {
    "mp3": lambda rate_hz: _Libav(rate_hz, "audio/mpeg", "mp3", "mp3", _MP3),
    "opus": lambda rate_hz: _Libav(rate_hz, "audio/ogg", "ogg", "libopus", _OPUS),
    "aac": lambda rate_hz: _Libav(rate_hz, "audio/aac", "adts", "aac", _MP3),
    "flac": lambda rate_hz: _Libav(rate_hz, "audio/flac", "flac", "flac", ()),
    "wav": _Wav,
    "pcm": _RawPcm,
}
