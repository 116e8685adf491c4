"""Ogg pages (RFC 3533) with Opus in them (RFC 7845), sans I/O: bytes to packets, packets to a file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from voice.codecs.packets import MAX_PACKET_BYTES, Head, Packet, packet_samples, parse_head
from voice.errors import AudioError

__all__ = ["OggDemuxer", "write_ogg"]

_HEADER = struct.Struct("<4sBBqIIIB")
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_NO_GRANULE = -1
_MAX_SEGMENTS = 255
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_OTHERS = {b"\x01vorbis": "Vorbis", b"\x7fFLAC": "FLAC", b"Speex   ": "Speex", b"\x80theora": "Theora"}


class OggDemuxer:
    """The first Opus stream of an Ogg file, live or whole, chained ones too. Buffers one page and one packet."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._serial: int | None = None
        self._partial = bytearray()
        self._headers_left = 0
        self._samples = 0
        self._base: int | None = None

    def feed(self, data: bytes) -> list[Head | Packet]:
        self._buffer += data
        found: list[Head | Packet] = []
        while (page := self._next_page()) is not None:
            found.extend(self._packets(*page))
        return found

    def _next_page(self) -> tuple[int, int, int, bytes, bytes] | None:
        """(flags, granule, serial, lacing, body) of the next complete page."""
        buffer = self._buffer
        if not b"OggS".startswith(bytes(buffer[:4])):
            raise AudioError(
                "this is not an Ogg stream", hint="an Ogg Opus stream is sent from its beginning, in order"
            )
        if len(buffer) < _HEADER.size:
            return None
        _, version, flags, granule, serial, _, crc, segments = _HEADER.unpack_from(buffer)
        if version != 0:
            raise AudioError(f"Ogg version {version} is not known")
        body_at = _HEADER.size + segments
        if len(buffer) < body_at:
            return None
        lacing = bytes(buffer[_HEADER.size : body_at])
        end = body_at + sum(lacing)
        if len(buffer) < end:
            return None
        page = bytes(buffer[:end])
        if _crc(page[:22] + b"\0\0\0\0" + page[26:]) != crc:
            raise AudioError("a damaged Ogg page", hint="pieces of one stream must arrive whole and in order")
        del buffer[:end]
        return flags, granule, serial, lacing, page[body_at:]

    def _packets(self, flags: int, granule: int, serial: int, lacing: bytes, body: bytes) -> list[Head | Packet]:
        """The packets that the page completes, the samples after its last granule marked for trimming."""
        if flags & _FIRST:
            if self._serial is not None and body[:8] != b"OpusHead":
                return []  # another stream beside ours
            self._begin(serial, body)
        elif serial != self._serial:
            return []
        found: list[Head | Packet] = []
        at = 0
        # A page that does not continue a packet drops what was left open: the rest of it was lost.
        if not flags & _CONTINUED:
            self._partial.clear()
        for lace in lacing:
            self._collect(body[at : at + lace])
            at += lace
            if lace < 255:
                self._finish_packet(found)
        if flags & _LAST:
            self._trim(found, granule)
        elif granule != _NO_GRANULE and self._base is None and self._headers_left == 0 and found:
            self._base = granule - self._samples
        return found

    def _begin(self, serial: int, body: bytes) -> None:
        if body[:8] != b"OpusHead":
            name = next((name for magic, name in _OTHERS.items() if body.startswith(magic)), "something else")
            raise AudioError(f"this Ogg stream holds {name}, not Opus", hint="record with audio/ogg;codecs=opus")
        self._serial, self._headers_left = serial, 2
        self._samples, self._base = 0, None

    def _collect(self, piece: bytes) -> None:
        # The tags (the second packet) may hold a picture of megabytes and are of no use here.
        if self._headers_left != 1:
            self._partial += piece
            if len(self._partial) > MAX_PACKET_BYTES:
                raise AudioError("an Ogg packet of impossible length")

    def _finish_packet(self, found: list[Head | Packet]) -> None:
        data = bytes(self._partial)
        self._partial.clear()
        if self._headers_left:
            if self._headers_left == 2:
                found.append(parse_head(data))
            self._headers_left -= 1
        elif data:
            self._samples += packet_samples(data)
            found.append(Packet(data))

    def _trim(self, found: list[Head | Packet], granule: int) -> None:
        """The last page's granule says where the audio ends (RFC 7845 section 4.4)."""
        over = self._samples - (granule - (self._base or 0)) if granule != _NO_GRANULE else 0
        for index in range(len(found) - 1, -1, -1):
            packet = found[index]
            if over <= 0 or isinstance(packet, Head):
                break
            trim = min(over, packet_samples(packet.data))
            found[index] = Packet(packet.data, trim)
            over -= trim


def write_ogg(head: bytes, packets: Sequence[bytes], samples: int) -> bytes:
    """A whole Ogg Opus file. `samples`: its length at 48 kHz, the pre-skip of `head` counted."""
    tags = b"OpusTags" + struct.pack("<I", 6) + b"Parley" + struct.pack("<I", 0)
    pages = [_page(_FIRST, 0, 0, [head]), _page(0, 0, 1, [tags])]
    batches = _batches(packets)
    done = 0
    for number, batch in enumerate(batches):
        done += sum(packet_samples(packet) for packet in batch)
        is_last = number == len(batches) - 1
        pages.append(_page(_LAST if is_last else 0, samples if is_last else done, number + 2, batch))
    return b"".join(pages)


def _batches(packets: Sequence[bytes]) -> list[list[bytes]]:
    """As many packets a page as its table of 255 segments takes, so that none runs over a border."""
    batches: list[list[bytes]] = [[]]
    used = 0
    for packet in packets:
        segments = len(packet) // 255 + 1
        if used + segments > _MAX_SEGMENTS:
            batches.append([])
            used = 0
        batches[-1].append(packet)
        used += segments
    return batches


def _page(flags: int, granule: int, number: int, packets: Sequence[bytes]) -> bytes:
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    # One logical stream a file: the serial number has nothing to tell apart.
    header = _HEADER.pack(b"OggS", 0, flags, granule, 1, number, 0, len(lacing))
    page = header + lacing + b"".join(packets)
    return page[:22] + struct.pack("<I", _crc(page)) + page[26:]


def _crc(page: bytes) -> int:
    """Ogg's CRC-32 (polynomial 04C11DB7, most significant bit first, no inversion) by way of zlib's, which is
    the same with the bits of every byte and of the result mirrored and both ends inverted."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
