"""Opus packets, whatever container they came in: what demuxers give and decoders take. RFC 6716, RFC 7845."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from voice.errors import AudioError

__all__ = ["MAX_PACKET_BYTES", "Demuxer", "Head", "Packet", "packet_samples", "parse_head"]

MAX_PACKET_BYTES = 131_072
"""No packet is longer. Real ones have at most 1275 bytes a frame and 48 frames."""

# Frame length in samples at 48 kHz by configuration number, RFC 6716 section 3.1.
_FRAME_SAMPLES = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4


@dataclass(frozen=True, slots=True)
class Head:
    """A stream begins: its identification header (RFC 7845 section 5.1)."""

    data: bytes
    channels: int
    pre_skip: int
    """Samples at 48 kHz to drop at the start."""


@dataclass(frozen=True, slots=True)
class Packet:
    """`trim`: samples at 48 kHz to drop at its end."""

    data: bytes
    trim: int = 0


class Demuxer(Protocol):
    def feed(self, data: bytes) -> list[Head | Packet]:
        """What `data` completes. Raises AudioError on what is not this container."""
        ...


def parse_head(data: bytes) -> Head:
    """Raises AudioError unless it is an Opus identification header."""
    if len(data) < 19 or data[:8] != b"OpusHead" or data[8] >> 4 != 0 or not 1 <= data[9] <= 8:
        raise AudioError("a damaged Opus header", hint="record with audio/webm;codecs=opus or audio/ogg;codecs=opus")
    return Head(data, data[9], int.from_bytes(data[10:12], "little"))


def packet_samples(data: bytes) -> int:
    """Length in samples at 48 kHz, from the table of contents. 0 for a packet that is none."""
    if not data:
        return 0
    frame = _FRAME_SAMPLES[data[0] >> 3]
    match data[0] & 3:
        case 0:
            return frame
        case 3:
            return frame * (data[1] & 63) if len(data) > 1 else 0
        case _:
            return 2 * frame
