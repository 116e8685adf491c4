"""Opus packets to samples and back, with the libopus that comes in PyAV's wheel.

Why packets and not PyAV's own demuxers: those read from a file object and would need a thread a stream that blocks
on a pipe, to be woken and joined when a client vanishes. The demuxers beside this file take bytes when bytes come.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from voice.codecs.mono import MonoStream
from voice.codecs.ogg import OggDemuxer, write_ogg
from voice.codecs.packets import Demuxer, Head, Packet
from voice.errors import AudioError
from voice.port import Pcm

__all__ = ["OpusEncoder", "OpusStream"]

_RATE_HZ = 48_000
_NATIVE_RATES_HZ = (8_000, 12_000, 16_000, 24_000, 48_000)
_FRAME_MS = 20
_BIT_RATE = 32_000
# Of 0 to 10: 2 ms of work a second of speech where 10 takes 8 to 14, and no difference one hears.
_EFFORT = "5"
_MP4_BRAND_AT = slice(4, 8)


def _begins(data: bytes) -> bool:
    """A piece that starts with the head of a stream: of WebM, or Ogg's page with the flag "beginning of stream"."""
    return data.startswith(b"\x1a\x45\xdf\xa3") or (data.startswith(b"OggS") and data[5:6] == b"\x02")


class OpusStream:
    """Decodes an Opus stream. The container is told from its first bytes, since clients mix up their names:
    Firefox's MediaRecorder, asked for nothing special, records Ogg where Chromium records WebM."""

    def __init__(self, rate_hz: int, webm: Callable[[], Demuxer]) -> None:
        self.rate_hz = rate_hz
        self._mono = MonoStream(rate_hz)
        self._webm = webm
        self._first = b""
        self._demuxer: Demuxer | None = None
        self._decoder: Any = None
        self._skip = 0

    def feed(self, data: bytes) -> Pcm:
        if self._demuxer is not None and _begins(data):
            # A recorder was started anew, as after a lost connection: what it left unfinished before does not come.
            self._demuxer, self._decoder, self._skip = None, None, 0
        if self._demuxer is None:
            self._first += data
            if len(self._first) < 4:
                return self._mono.take()
            self._demuxer = self._choose(self._first)
            data, self._first = self._first, b""
        for item in self._demuxer.feed(data):
            if isinstance(item, Head):
                self._open(item)
            else:
                self._decode(item)
        return self._mono.take()

    def finish(self) -> Pcm:
        return self._mono.finish()

    def _choose(self, first: bytes) -> Demuxer:
        if first.startswith(b"OggS"):
            return OggDemuxer()
        if first.startswith(b"\x1a\x45\xdf\xa3"):
            return self._webm()
        held = "an MP4 stream" if first[_MP4_BRAND_AT] == b"ftyp" else "neither WebM nor Ogg"
        raise AudioError(
            f"the audio is {held}",
            hint="a recording is sent from its beginning; record with audio/webm;codecs=opus or send PCM frames",
        )

    def _open(self, head: Head) -> None:
        from av.codec import CodecContext  # loads FFmpeg

        decoder = CodecContext.create("libopus", "r")
        # Decoding starts at the first packet and the pre-skip is dropped here: one place for both ends.
        decoder.extradata = head.data[:10] + b"\0\0" + head.data[12:]
        decoder.sample_rate = _RATE_HZ
        self._decoder, self._skip = decoder, head.pre_skip

    def _decode(self, packet: Packet) -> None:
        from av import FFmpegError
        from av import Packet as AvPacket

        if self._decoder is None:
            raise AudioError("Opus packets without their header", hint="send the stream from its beginning")
        try:
            frames = self._decoder.decode(AvPacket(packet.data))
        except (FFmpegError, ValueError):
            raise AudioError("a damaged Opus packet", hint="pieces of one stream must arrive whole") from None
        for frame in frames:
            samples = _as_float(frame)
            keep = samples[self._skip : len(samples) - packet.trim]
            self._skip = max(0, self._skip - len(samples))
            if len(keep):
                self._mono.add(keep, _RATE_HZ)


def _as_float(frame: Any) -> npt.NDArray[np.float32]:
    """libav frame (s16 packed or fltp planar) to float32 [frames, channels]."""
    array = frame.to_ndarray()
    if frame.format.is_packed:
        array = array.reshape(-1, len(frame.layout.channels))
    else:
        array = array.T
    scale = 32768.0 if array.dtype == np.int16 else 1.0
    return np.asarray(array, dtype=np.float32) / np.float32(scale)


class OpusEncoder:
    """Every call is an Ogg Opus file whose decoded length is exact."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._coder_hz = rate_hz if rate_hz in _NATIVE_RATES_HZ else _RATE_HZ

    def encode(self, pcm: Pcm) -> bytes:
        import soxr
        from av import AudioFrame
        from av.codec import CodecContext

        if self._coder_hz != self.rate_hz:
            pcm = soxr.resample(pcm, self.rate_hz, self._coder_hz).astype(np.int16, copy=False)
        coder: Any = CodecContext.create("libopus", "w")
        coder.sample_rate, coder.layout, coder.format = self._coder_hz, "mono", "s16"
        coder.time_base = Fraction(1, self._coder_hz)
        coder.bit_rate = _BIT_RATE
        coder.options = {"application": "audio", "frame_duration": str(_FRAME_MS), "compression_level": _EFFORT}
        coder.open()
        scale = _RATE_HZ // self._coder_hz
        pre_skip = int.from_bytes(coder.extradata[10:12], "little")
        # The coder is late by its pre-skip: more samples must follow to push the last ones out.
        frame_size = self._coder_hz * _FRAME_MS // 1000
        late = -(-pre_skip // scale)
        padded = np.concatenate([pcm, _fading(pcm, late + -(len(pcm) + late) % frame_size)])
        packets: list[bytes] = []
        for start in range(0, len(padded), frame_size):
            frame = AudioFrame.from_ndarray(padded[None, start : start + frame_size], format="s16", layout="mono")
            frame.sample_rate, frame.pts = self._coder_hz, start
            packets.extend(bytes(packet) for packet in coder.encode(frame))
        packets.extend(bytes(packet) for packet in coder.encode(None))
        head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, pre_skip, self.rate_hz, 0, 0)
        samples = pre_skip + len(pcm) * scale
        needed = -(-samples // (_RATE_HZ * _FRAME_MS // 1000))
        return write_ogg(head, packets[:needed], samples)


def _fading(pcm: Pcm, samples: int) -> Pcm:
    """The end of the signal mirrored and fading out. After a sudden end the coder's filters would pull the last
    samples towards zero, and messages played one after the other would click: the jump at a border was 1,500
    with silence here and is 420 like this, on speech (48 kHz) whose samples differ by 170 on average."""
    mirrored = pcm[: -1 - samples : -1].astype(np.float32)
    faded = np.zeros(samples, np.float32)
    faded[: len(mirrored)] = mirrored * np.linspace(1.0, 0.0, samples, dtype=np.float32)[: len(mirrored)]
    return faded.astype(np.int16)
