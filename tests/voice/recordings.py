"""Audio files as other programs make them (FFmpeg by PyAV), and WebM as browsers do, for the tests of the codecs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import av
import numpy as np
import soxr

from voice.port import Pcm

RATE_HZ = 16_000


def murmur(samples: int, rate_hz: int = RATE_HZ) -> Pcm:
    """Something like a voice: a gliding fundamental with harmonics, swelling and falling. Never repeats itself."""
    at_s = np.arange(samples) / rate_hz
    pitch = 2 * np.pi * (130 * at_s + 12 * np.sin(2.1 * at_s) + 4 * np.sin(7.3 * at_s))
    wave = sum(np.sin(k * pitch) / k for k in range(1, 9)) * (0.6 + 0.4 * np.sin(5 * at_s + 1))
    voice: Pcm = (6000 * wave).astype(np.int16)
    return voice


def likeness(a: Pcm, b: Pcm) -> float:
    """Correlation of two recordings of one length, -1 to 1."""
    return float(np.corrcoef(a.astype(float), b.astype(float))[0, 1])


def encoded(pcm: Pcm, rate_hz: int, container: str, codec: str, options: dict[str, str] | None = None) -> bytes:
    """`pcm` as a file of FFmpeg's, mono."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options or {}) as output:
        stream: Any = output.add_stream(codec, rate=rate_hz, layout="mono")
        stream.codec_context.open()
        # Coders of uncompressed audio take frames of any size.
        size = stream.codec_context.frame_size or 1000
        name = stream.codec_context.format.name
        resampler = av.AudioResampler(format=name, layout="mono", rate=rate_hz)
        for start in range(0, len(pcm), size):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm[None, start : start + size]), "s16", "mono")
            frame.sample_rate, frame.pts = rate_hz, start
            for part in resampler.resample(frame):
                output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


def webm(pcm: Pcm, rate_hz: int = RATE_HZ, *, live: bool = True) -> bytes:
    """Live: a segment and clusters of unknown size, as a MediaRecorder writes them."""
    wide = soxr.resample(pcm, rate_hz, 48_000).astype(np.int16)
    options = {"live": "1", "cluster_time_limit": "200"} if live else {"cluster_time_limit": "200"}
    return encoded(wide, 48_000, "webm", "libopus", options)


def ogg(pcm: Pcm, rate_hz: int = RATE_HZ) -> bytes:
    wide = soxr.resample(pcm, rate_hz, 48_000).astype(np.int16)
    return encoded(wide, 48_000, "ogg", "libopus")


def opus_packets(pcm: Pcm, rate_hz: int = RATE_HZ) -> tuple[bytes, list[bytes]]:
    """The identification header and the packets."""
    with av.open(io.BytesIO(webm(pcm, rate_hz))) as file:
        stream = file.streams.audio[0]
        return bytes(stream.codec_context.extradata or b""), [bytes(p) for p in file.demux(stream) if p.size]


def element(name: int, body: bytes, size_length: int = 0) -> bytes:
    """An EBML element."""
    length = size_length or next(n for n in range(1, 9) if len(body) < (1 << 7 * n) - 1)
    size = (len(body) | 1 << 7 * length).to_bytes(length, "big")
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + size + body


def webm_head(head: bytes, codec: bytes = b"A_OPUS", track: int = 1) -> bytes:
    """EBML header, a segment of unknown size, tracks."""
    entry = element(0xD7, bytes([track])) + element(0x86, codec) + element(0x63A2, head)
    return (
        element(0x1A45DFA3, element(0x4282, b"webm"))
        + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff"
        + element(0x1654AE6B, element(0xAE, entry))
    )


CLUSTER = b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff" + element(0xE7, b"\0")


def block(frames: Sequence[bytes], lacing: int = 0, track: int = 1) -> bytes:
    """A block's body with its frames laced: 0 none, 1 Xiph, 2 fixed, 3 EBML."""
    head = bytes([0x80 | track, 0, 0, lacing << 1])
    if lacing == 0:
        return head + b"".join(frames)
    sizes = b""
    if lacing == 1:
        sizes = b"".join(b"\xff" * (len(f) // 255) + bytes([len(f) % 255]) for f in frames[:-1])
    elif lacing == 3:
        sizes = (len(frames[0]) | 0x4000).to_bytes(2, "big")
        for before, frame in zip(frames, frames[1:-1], strict=False):
            sizes += ((len(frame) - len(before) + (1 << 13) - 1) | 0x4000).to_bytes(2, "big")
    return head + bytes([len(frames) - 1]) + sizes + b"".join(frames)
