"""WAV: RIFF files of linear PCM (8 to 32 bits, float 32 and 64) and of A-law and mu-law, streamed or whole.

Sizes in headers are believed only as far as they make sense: writers to a pipe leave 0 or 0xFFFFFFFF behind.
Several files may follow one another, as from clients that wrap every chunk.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voice.codecs.mono import MonoStream
from voice.codecs.spec import CodecSpec
from voice.errors import AudioError
from voice.port import Pcm

__all__ = ["SPEC"]

_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_MAX_FMT_BYTES = 4096
_UNKNOWN_FROM = 0x7FFF0000
_HINT = "send a WAV file from its beginning"


@dataclass(frozen=True, slots=True)
class _Format:
    code: int
    channels: int
    rate_hz: int
    bits: int

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.bits // 8


class _WavDecoder:
    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._mono = MonoStream(rate_hz)
        self._buffer = bytearray()
        self._format: _Format | None = None
        self._skip = 0
        self._left: int | None = 0
        """Bytes of samples still to come; None: to the end of the stream."""
        self._in_riff = False

    def feed(self, data: bytes) -> Pcm:
        if data.startswith(b"RIFF") and data[8:12] == b"WAVE":
            # A file that begins with this piece, whatever the one before was still owed.
            self._buffer.clear()
            self._format, self._skip, self._left, self._in_riff = None, 0, 0, False
        self._buffer += data
        while self._advance():
            pass
        return self._mono.take()

    def finish(self) -> Pcm:
        return self._mono.finish()

    def _advance(self) -> bool:
        """Take one element off the buffer; False while more bytes are needed."""
        if self._left is None or self._left > 0:
            return self._samples()
        if self._skip:
            gone = min(self._skip, len(self._buffer))
            del self._buffer[:gone]
            self._skip -= gone
            return not self._skip and bool(self._buffer)
        if not self._in_riff or self._buffer[:4] == b"RIFF":
            return self._riff()
        return self._chunk()

    def _riff(self) -> bool:
        if not b"RIFF".startswith(bytes(self._buffer[:4])) and not b"RF64".startswith(bytes(self._buffer[:4])):
            raise AudioError("this is not a WAV stream", hint=_HINT)
        if len(self._buffer) < 12:
            return False
        if self._buffer[8:12] != b"WAVE":
            raise AudioError("this RIFF stream holds no WAV audio", hint=_HINT)
        del self._buffer[:12]
        self._in_riff, self._format = True, None
        return True

    def _chunk(self) -> bool:
        if len(self._buffer) < 8:
            return False
        name, size = struct.unpack_from("<4sI", self._buffer)
        if name == b"fmt ":
            if not 16 <= size <= _MAX_FMT_BYTES:
                raise AudioError(f"a WAV format of {size} bytes", hint=_HINT)
            if len(self._buffer) < 8 + size + size % 2:
                return False
            self._format = _parse_format(bytes(self._buffer[8 : 8 + size]))
            del self._buffer[: 8 + size + size % 2]
        elif name == b"data":
            return self._begin_samples(size)
        elif not name.isascii() or not name.decode("ascii").isprintable() or size >= _UNKNOWN_FROM:
            raise AudioError("a damaged WAV header", hint=_HINT)
        else:
            del self._buffer[:8]
            self._skip = size + size % 2
        return True

    def _begin_samples(self, size: int) -> bool:
        if self._format is None:
            raise AudioError("WAV samples before their format", hint=_HINT)
        if size == 0 and len(self._buffer) < 12:
            return False  # an empty file, or a pipe's: the next bytes tell
        follows = bytes(self._buffer[8:12])
        del self._buffer[:8]
        if size == 0 and follows != b"RIFF" or size >= _UNKNOWN_FROM:
            self._left = None
        else:
            self._left, self._skip = size, size % 2
        return True

    def _samples(self) -> bool:
        assert self._format is not None
        ready = len(self._buffer) if self._left is None else min(len(self._buffer), self._left)
        whole = ready - ready % self._format.frame_bytes
        if whole == 0 and self._left is not None and self._left <= ready:
            whole = self._left  # a last half frame
        if whole == 0:
            return False
        piece = bytes(self._buffer[:whole])
        del self._buffer[:whole]
        if self._left is not None:
            self._left -= whole
        self._mono.add(_as_float(piece, self._format), self._format.rate_hz)
        return bool(self._buffer)


def _parse_format(data: bytes) -> _Format:
    code, channels, rate_hz, _, block, bits = struct.unpack_from("<HHIIHH", data)
    if code == _EXTENSIBLE and len(data) >= 26:
        code = int.from_bytes(data[24:26], "little")
    known = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64), _ALAW: (8,), _MULAW: (8,)}
    if bits not in known.get(code, ()):
        raise AudioError(f"WAV of format {code} with {bits} bits", hint="PCM, float, A-law and mu-law are understood")
    if not 1 <= channels <= 32 or block != channels * bits // 8:
        raise AudioError(f"WAV with {channels} channels in blocks of {block} bytes", hint=_HINT)
    return _Format(code, channels, rate_hz, bits)


def _as_float(data: bytes, form: _Format) -> npt.NDArray[np.float32]:
    """Samples as float32 [frames, channels], -1..1; a half frame at the end is dropped."""
    data = data[: len(data) // form.frame_bytes * form.frame_bytes]
    match form.code, form.bits:
        case (1, 8):
            flat = (np.frombuffer(data, np.uint8).astype(np.float32) - 128.0) / 128.0
        case (1, 16):
            flat = np.frombuffer(data, "<i2").astype(np.float32) / 32768.0
        case (1, 24):
            bytes3 = np.frombuffer(data, np.uint8).reshape(-1, 3)
            wide = np.zeros((len(bytes3), 4), np.uint8)
            wide[:, 1:] = bytes3
            flat = (wide.view("<i4")[:, 0] / 2147483648.0).astype(np.float32)
        case (1, _):
            flat = (np.frombuffer(data, "<i4") / 2147483648.0).astype(np.float32)
        case (3, bits):
            # Signalling NaNs of a damaged file must not warn; they become silence later.
            with np.errstate(all="ignore"):
                flat = np.frombuffer(data, f"<f{bits // 8}").astype(np.float32)
        case (6, _):
            flat = _ALAW_TABLE[np.frombuffer(data, np.uint8)]
        case _:
            flat = _MULAW_TABLE[np.frombuffer(data, np.uint8)]
    return flat.reshape(-1, form.channels)


def _alaw_table() -> npt.NDArray[np.float32]:
    """ITU-T G.711, A-law."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = code >> 4 & 7, code & 15
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 264) << np.maximum(exponent - 1, 0))
    return (np.where(code & 0x80, magnitude, -magnitude) / 32768.0).astype(np.float32)


def _mulaw_table() -> npt.NDArray[np.float32]:
    """ITU-T G.711, mu-law."""
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = code >> 4 & 7, code & 15
    magnitude = (((mantissa << 3) + 132) << exponent) - 132
    return (np.where(code & 0x80, -magnitude, magnitude) / 32768.0).astype(np.float32)


_ALAW_TABLE = _alaw_table()
_MULAW_TABLE = _mulaw_table()


class _WavEncoder:
    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz

    def encode(self, pcm: Pcm) -> bytes:
        data = pcm.astype("<i2", copy=False).tobytes()
        form = struct.pack("<HHIIHH", _PCM, 1, self.rate_hz, 2 * self.rate_hz, 2, 16)
        head = struct.pack("<4sI4s4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", len(form))
        return head + form + struct.pack("<4sI", b"data", len(data)) + data


SPEC = CodecSpec(
    name="wav",
    decoder=_WavDecoder,
    encoder=_WavEncoder,
    media_type="audio/wav",
    description="WAV of any width, rate and channels in; 16-bit mono out",
)
