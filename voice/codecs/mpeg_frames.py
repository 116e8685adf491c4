"""MPEG audio layer III frames (ISO 11172-3, 13818-3), sans I/O: bytes to frames, tags skipped, gaps marked.

An encoder delays the audio and fills up the last frame; LAME's tag in a first, silent frame says by how much, so
that the decoded length can be exact.
"""

from __future__ import annotations

from dataclasses import dataclass

from voice.errors import AudioError

__all__ = ["MpegFrame", "MpegSplitter"]

_BIT_RATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BIT_RATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
# Every decoder is late by this much, LAME's technical notes; the tag does not count it.
_DECODER_DELAY = 529
_MAX_JUNK_BYTES = 16_384
_MAX_TAG_BYTES = 16_777_216
_HINT = "send MPEG layer III from its beginning"


@dataclass(frozen=True, slots=True)
class MpegFrame:
    """`skip` samples are dropped at its start and `trim` at its end. `new_file`: what came before is over."""

    data: bytes
    rate_hz: int
    samples: int
    skip: int = 0
    trim: int = 0
    new_file: bool = False


@dataclass(frozen=True, slots=True)
class _Header:
    version: int
    rate_hz: int
    bytes: int
    samples: int
    tag_at: int


class MpegSplitter:
    """Buffers at most one frame and its successor's header."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._tag_left = 0
        self._junk = 0
        self._in_step = True
        """The next bytes ought to be a frame; otherwise a candidate must be followed by another one."""
        self._new_file = True
        self._skip = 0
        self._left: int | None = None
        """Samples until the end, where the tag said so."""

    def feed(self, data: bytes) -> list[MpegFrame]:
        """Raises AudioError where there is no frame for 16 KiB."""
        self._buffer += data
        found: list[MpegFrame] = []
        while self._buffer:
            if self._tag_left:
                gone = min(self._tag_left, len(self._buffer))
                del self._buffer[:gone]
                self._tag_left -= gone
                continue
            if any(tag.startswith(bytes(self._buffer[: len(tag)])) for tag in (b"ID3", b"TAG")):
                if not self._skip_tag():
                    break
                continue
            if len(self._buffer) < 4:
                break
            header = _parse_header(bytes(self._buffer[:4]))
            if header is None:
                self._drop_junk()
                continue
            if len(self._buffer) < header.bytes + (0 if self._in_step else 4):
                break
            if not self._in_step:
                follower = _parse_header(bytes(self._buffer[header.bytes : header.bytes + 4]))
                if follower is None or follower.rate_hz != header.rate_hz:
                    self._drop_junk()
                    continue
            frame = bytes(self._buffer[: header.bytes])
            del self._buffer[: header.bytes]
            self._in_step, self._junk = True, 0
            if not self._read_gap_tag(header, frame):
                found.append(self._framed(header, frame))
        return found

    def _skip_tag(self) -> bool:
        """Step over ID3v2 (any version, in front) or ID3v1 (128 bytes, behind); False while more is needed."""
        if self._buffer[:3] == b"TAG":
            self._tag_left = 128
            return True
        if len(self._buffer) < 10:
            return False
        size = 0
        for byte in self._buffer[6:10]:
            if byte & 0x80:
                raise AudioError("a damaged ID3 tag", hint=_HINT)
            size = size << 7 | byte
        if size > _MAX_TAG_BYTES:
            raise AudioError(f"an ID3 tag of {size} bytes", hint=_HINT)
        self._tag_left = 10 + size
        return True

    def _drop_junk(self) -> None:
        """Up to the next byte that could begin a frame."""
        at = self._buffer.find(0xFF, 1)
        gone = len(self._buffer) if at < 0 else at
        self._junk += gone
        if self._junk > _MAX_JUNK_BYTES:
            raise AudioError("this is not an MP3 stream", hint=_HINT)
        del self._buffer[:gone]
        self._in_step = False

    def _read_gap_tag(self, header: _Header, frame: bytes) -> bool:
        """True if the frame is a tag and no audio: Xing's, Info's, with LAME's delay and padding behind it."""
        if frame[header.tag_at : header.tag_at + 4] not in (b"Xing", b"Info"):
            return False
        flags = int.from_bytes(frame[header.tag_at + 4 : header.tag_at + 8], "big")
        frames = int.from_bytes(frame[header.tag_at + 8 : header.tag_at + 12], "big") if flags & 1 else 0
        lame_at = header.tag_at + 8 + 4 * (flags & 1) + 2 * (flags & 2) + 25 * (flags & 4) + (flags & 8) // 2
        self._new_file, self._skip, self._left = True, 0, None
        gaps = frame[lame_at + 21 : lame_at + 24]
        if frame[lame_at : lame_at + 4] in (b"LAME", b"Lavc", b"Lavf") and len(gaps) == 3:
            delay, padding = gaps[0] << 4 | gaps[1] >> 4, (gaps[1] & 15) << 8 | gaps[2]
            self._skip = delay + _DECODER_DELAY
            if frames:
                self._left = max(0, frames * header.samples - delay - padding)
        return True

    def _framed(self, header: _Header, frame: bytes) -> MpegFrame:
        skip = min(self._skip, header.samples)
        self._skip -= skip
        trim = 0
        if self._left is not None:
            trim = max(0, header.samples - skip - self._left)
            self._left -= header.samples - skip - trim
        new_file, self._new_file = self._new_file, False
        return MpegFrame(frame, header.rate_hz, header.samples, skip, trim, new_file)


def _parse_header(data: bytes) -> _Header | None:
    word = int.from_bytes(data, "big")
    version, layer = word >> 19 & 3, word >> 17 & 3
    bit_rate, rate, padding = word >> 12 & 15, word >> 10 & 3, word >> 9 & 1
    # Layer III only; free format (0) has no length to go by; 15 and 3 are reserved.
    if word >> 21 != 0x7FF or version == 1 or layer != 1 or bit_rate in (0, 15) or rate == 3:
        return None
    rate_hz = _RATES_HZ[version][rate]
    kbps = (_BIT_RATES_1 if version == 3 else _BIT_RATES_2)[bit_rate]
    samples = 1152 if version == 3 else 576
    is_mono = word >> 6 & 3 == 3
    side = (17 if is_mono else 32) if version == 3 else (9 if is_mono else 17)
    return _Header(version, rate_hz, samples // 8 * kbps * 1000 // rate_hz + padding, samples, 4 + side)
