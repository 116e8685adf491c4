"""How long a recording is, from its first bytes, so that a small file cannot unpack to gigabytes. Pure."""

from __future__ import annotations

import struct

__all__ = ["MOST_S", "is_recording", "seconds"]

MOST_S = 3600


def is_recording(data: bytes) -> bool:
    """WAV, FLAC or MP3, as mtmd tells them."""
    if data.startswith((b"fLaC", b"ID3")):
        return True
    return (data[:4] == b"RIFF" and data[8:12] == b"WAVE") or (data[:1] == b"\xff" and data[1:2] >= b"\xe0")


def seconds(data: bytes) -> float | None:
    """Of a WAV or FLAC; 0 where it does not say (MP3), None for a header that cannot be."""
    try:
        if data[:4] == b"RIFF":
            rate, bytes_each = _wav(data)
            return len(data) / (rate * bytes_each) if rate and bytes_each else None
        if data.startswith(b"fLaC"):
            (packed,) = struct.unpack_from(">Q", data, 18)  # rate 20 bits, channels 3, depth 5, samples 36
            rate = packed >> 44
            return (packed & (1 << 36) - 1) / rate if rate else None
    except struct.error:
        return None
    return 0.0


def _wav(data: bytes) -> tuple[int, int]:
    """Samples a second, and bytes of one in all channels, from the chunk that tells them."""
    at = 12
    while True:
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"fmt ":
            channels, rate = struct.unpack_from("<HI", data, at + 10)
            (bits,) = struct.unpack_from("<H", data, at + 22)
            return rate, channels * bits // 8
        at += 8 + size + size % 2
