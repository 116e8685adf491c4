"""How long a recording is, from its first bytes, so that a small file cannot unpack to gigabytes. Pure."""

from __future__ import annotations

import struct

import numpy as np

__all__ = ["MOST_S", "is_recording", "seconds"]

MOST_S = 3600
_EXTENSIBLE, _WHOLE_BYTES = 0xFFFE, (1, 3, 6, 7)
"""Format tags of WAV: PCM, floats and G.711; ADPCM has four bits for a sample, whatever it says."""
_PIECE_BYTES = 1 << 20
_BY_CHANCE = 1.25
"""In 320 kbit/s, random bytes look like the beginning of a frame so often that it is this much longer."""
_RATES_HZ = np.array([[11_025, 12_000, 8000, 1], [1] * 4, [22_050, 24_000, 16_000, 1], [44_100, 48_000, 32_000, 1]])
"""By version and number (ISO 11172-3, 2.4.2.3 and 13818-3); 1 where there is none."""
_SAMPLES = np.array([[0, 576, 1152, 384]] * 3 + [[0, 1152, 1152, 384]])
"""Of a frame, by version and layer."""


def is_recording(data: bytes) -> bool:
    """WAV, FLAC or MP3, as mtmd tells them."""
    if data.startswith((b"fLaC", b"ID3")):
        return True
    return (data[:4] == b"RIFF" and data[8:12] == b"WAVE") or (data[:1] == b"\xff" and data[1:2] >= b"\xe0")


def seconds(data: bytes) -> float | None:
    """Of an MP3, which does not say it, about; None for a header that cannot be."""
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
    return _mp3(data)


def _mp3(data: bytes) -> float:
    """Of all that could be a frame, wherever it begins: who loses his way in it looks for the next one anywhere."""
    found = 0.0
    for start in range(0, len(data), _PIECE_BYTES):
        first = np.frombuffer(data[start : start + _PIECE_BYTES + 2], np.uint8)
        at = np.flatnonzero((first[:-2] == 0xFF) & (first[1:-1] >= 0xE0))
        second, third = first[at + 1], first[at + 2]
        version, layer, rate = second >> 3 & 3, second >> 1 & 3, third >> 2 & 3
        frames = (version != 1) & (rate != 3) & (third >> 4 != 15)
        found += float((frames * _SAMPLES[version, layer] / _RATES_HZ[version, rate]).sum())
    return found / _BY_CHANCE


def _wav(data: bytes) -> tuple[int, float]:
    """Samples a second, and bytes of one in all channels, from the chunk that tells them."""
    at = 12
    while True:
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"fmt ":
            kind, channels, rate = struct.unpack_from("<HHI", data, at + 8)
            (bits,) = struct.unpack_from("<H", data, at + 22)
            if kind == _EXTENSIBLE:
                (kind,) = struct.unpack_from("<H", data, at + 32)
            return rate, channels * bits // 8 if kind in _WHOLE_BYTES else channels / 2
        at += 8 + size + size % 2
