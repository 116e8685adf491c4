"""WebM (RFC 9559 Matroska, RFC 8794 EBML) with Opus in it, sans I/O: bytes to packets.

A MediaRecorder's chunks are one stream cut anywhere, with a segment and clusters of unknown size. Parsing needs no
stack for that: segments, clusters and their like are entered by reading on after their header, every other element
is read whole (and is bounded) or skipped, and the element that follows says by its id what has ended.
"""

from __future__ import annotations

from collections.abc import Iterator

from voice.codecs.packets import MAX_PACKET_BYTES, Head, Packet, parse_head
from voice.errors import AudioError

__all__ = ["EbmlDemuxer"]

_EBML, _SEGMENT, _CLUSTER, _TRACKS = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1654AE6B
_SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK, _DISCARD_PADDING = 0xA3, 0xA0, 0xA1, 0x75A2
_TRACK_ENTRY, _TRACK_NUMBER, _CODEC_ID, _CODEC_PRIVATE = 0xAE, 0xD7, 0x86, 0x63A2
_ENTERED = (_SEGMENT, _CLUSTER)
_READ = (_EBML, _TRACKS, _SIMPLE_BLOCK, _BLOCK_GROUP)
_MAX_ELEMENT = 1_048_576
# Attachments, tags and indexes are skipped; in what a microphone records they are small.
_MAX_SKIPPED = 67_108_864
_HINT = "a WebM stream is sent from its beginning, in order; record with audio/webm;codecs=opus"


class EbmlDemuxer:
    """The first Opus track of a WebM stream; further streams may follow. Buffers at most one element."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip = 0
        self._started = False
        self._track: int | None = None

    def feed(self, data: bytes) -> list[Head | Packet]:
        self._buffer += data
        found: list[Head | Packet] = []
        while True:
            if self._skip:
                gone = min(self._skip, len(self._buffer))
                del self._buffer[:gone]
                self._skip -= gone
                if self._skip:
                    return found
            header = _element_header(self._buffer)
            if header is None:
                return found
            element, size, body_at = header
            if not self._started and element != _EBML:
                raise AudioError("this is not a WebM stream", hint=_HINT)
            if element in _ENTERED:
                del self._buffer[:body_at]
            elif size is None:
                raise AudioError(f"a WebM element {element:#x} of unknown size", hint=_HINT)
            elif element not in _READ:
                if size > _MAX_SKIPPED:
                    raise AudioError(f"a WebM element of {size} bytes", hint=_HINT)
                del self._buffer[:body_at]
                self._skip = size
            elif size > _MAX_ELEMENT:
                raise AudioError(f"a WebM element of {size} bytes", hint=_HINT)
            elif len(self._buffer) < body_at + size:
                return found
            else:
                body = bytes(self._buffer[body_at : body_at + size])
                del self._buffer[: body_at + size]
                found.extend(self._read(element, body))

    def _read(self, element: int, body: bytes) -> Iterator[Head | Packet]:
        match element:
            case 0x1A45DFA3:  # _EBML
                self._started, self._track = True, None
            case 0x1654AE6B:  # _TRACKS
                yield self._choose_track(body)
            case 0xA3:  # _SIMPLE_BLOCK
                yield from self._block(body, 0)
            case _:  # _BLOCK_GROUP
                blocks = [value for name, value in _children(body) if name == _BLOCK]
                paddings = [value for name, value in _children(body) if name == _DISCARD_PADDING]
                for block in blocks:
                    yield from self._block(block, _padding_samples(paddings[0]) if paddings else 0)

    def _choose_track(self, body: bytes) -> Head:
        codecs = []
        for name, entry in _children(body):
            if name != _TRACK_ENTRY:
                continue
            fields = dict(_children(entry))
            codec = fields.get(_CODEC_ID, b"").rstrip(b"\0").decode("ascii", "replace")
            codecs.append(codec)
            if codec == "A_OPUS":
                self._track = int.from_bytes(fields.get(_TRACK_NUMBER, b"\x01"), "big")
                return parse_head(fields.get(_CODEC_PRIVATE, b""))
        held = ", ".join(codec[:24] for codec in codecs) or "no track"
        raise AudioError(f"this WebM stream holds {held}, no Opus", hint="record with audio/webm;codecs=opus")

    def _block(self, body: bytes, trim: int) -> Iterator[Packet]:
        """A block's frames: track number, 16-bit time, flags, then one frame or several laced ones."""
        if self._track is None:
            raise AudioError("a WebM block before its track", hint=_HINT)
        number, at = _vint(body, 0)
        if number is None or len(body) < at + 3:
            raise AudioError("a damaged WebM block", hint=_HINT)
        if number != self._track:
            return
        lacing = body[at + 2] >> 1 & 3
        frames = list(_laced(body[at + 3 :], lacing))
        for index, frame in enumerate(frames):
            if len(frame) > MAX_PACKET_BYTES:
                raise AudioError("a WebM block of impossible length", hint=_HINT)
            if frame:
                yield Packet(frame, trim if index == len(frames) - 1 else 0)


def _element_header(buffer: bytearray) -> tuple[int, int | None, int] | None:
    """(id, size or None for unknown, where the body starts), or None while more is needed."""
    if not buffer:
        return None
    id_length = 9 - buffer[0].bit_length()
    if id_length > 4:
        raise AudioError("this is not a WebM stream", hint=_HINT)
    if len(buffer) <= id_length:
        return None
    size_length = 9 - buffer[id_length].bit_length()
    if size_length > 8:
        raise AudioError("a damaged WebM element", hint=_HINT)
    body_at = id_length + size_length
    if len(buffer) < body_at:
        return None
    size, _ = _vint(bytes(buffer[id_length:body_at]), 0)
    return int.from_bytes(buffer[:id_length], "big"), size, body_at


def _vint(data: bytes, at: int) -> tuple[int | None, int]:
    """A variable-length number and where it ends; None if it is the reserved "unknown". Raises AudioError."""
    length = 9 - data[at].bit_length() if at < len(data) else 9
    if length > 8 or at + length > len(data):
        raise AudioError("a damaged WebM number", hint=_HINT)
    value = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return (None if value == (1 << 7 * length) - 1 else value), at + length


def _children(body: bytes) -> Iterator[tuple[int, bytes]]:
    """(id, body) of the elements inside an element that was read whole. Raises AudioError."""
    at = 0
    while at < len(body):
        header = _element_header(bytearray(body[at : at + 12]))
        name, size, body_at = header or (0, None, 0)
        if size is None or at + body_at + size > len(body):
            raise AudioError("a damaged WebM element", hint=_HINT)
        yield name, body[at + body_at : at + body_at + size]
        at += body_at + size


def _padding_samples(value: bytes) -> int:
    """DiscardPadding, signed nanoseconds, in samples at 48 kHz; what is not at the end does not matter here."""
    return max(0, round(int.from_bytes(value, "big", signed=True) * 48_000 / 1e9)) if len(value) <= 8 else 0


def _laced(data: bytes, lacing: int) -> Iterator[bytes]:
    """The frames of a block: 0 no lacing, 1 Xiph, 2 fixed size, 3 EBML (RFC 9559 section 10.3)."""
    if lacing == 0:
        yield data
        return
    if not data:
        raise AudioError("a damaged WebM block", hint=_HINT)
    count, at = data[0] + 1, 1
    sizes: list[int] = []
    if lacing == 2:
        if (len(data) - 1) % count:
            raise AudioError("a damaged WebM block", hint=_HINT)
        sizes = [(len(data) - 1) // count] * (count - 1)
    elif lacing == 1:
        for _ in range(count - 1):
            size = 0
            while at < len(data) and data[at] == 255:
                size, at = size + 255, at + 1
            if at >= len(data):
                raise AudioError("a damaged WebM block", hint=_HINT)
            sizes.append(size + data[at])
            at += 1
    else:
        for index in range(count - 1):
            value, end = _vint(data, at)
            # All but the first are differences, stored with an offset that makes them unsigned.
            bias = (1 << 7 * (end - at) - 1) - 1
            value = (1 << 7 * (end - at)) - 1 if value is None else value
            sizes.append(value if index == 0 else sizes[-1] + value - bias)
            at = end
    for size in sizes:
        if size < 0 or at + size > len(data):
            raise AudioError("a damaged WebM block", hint=_HINT)
        yield data[at : at + size]
        at += size
    yield data[at:]
