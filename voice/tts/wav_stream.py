"""Pure: samples out of a WAV file that is still arriving. RIFF/WAVE with PCM16; several channels are mixed to one."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

from voice.errors import AudioError
from voice.port import Pcm

__all__ = ["WavStream"]

_MAX_HEADER = 1 << 20


@dataclass(slots=True)
class WavStream:
    """`rate_hz` is 0 until the header was read. Streamed files state false lengths, so data runs to the end."""

    rate_hz: int = 0
    _channels: int = 0
    _in_data: bool = False
    _data: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> Pcm:
        """Raises AudioError for what is no PCM16 WAV."""
        self._data += data
        if not self._in_data and not self._read_header():
            return np.zeros(0, np.int16)
        whole = len(self._data) - len(self._data) % (2 * self._channels)
        pcm = np.frombuffer(bytes(self._data[:whole]), "<i2").reshape(-1, self._channels)
        del self._data[:whole]
        mono: Pcm = pcm[:, 0] if self._channels == 1 else pcm.mean(axis=1).round()
        return mono.astype(np.int16)

    def _read_header(self) -> bool:
        """True once the data chunk has been reached; what was read is gone from the buffer then."""
        if len(self._data) < 12:
            return False
        if self._data[:4] != b"RIFF" or self._data[8:12] != b"WAVE":
            raise AudioError("not a WAV file")
        at = 12
        while len(self._data) >= at + 8:
            name, size = struct.unpack_from("<4sI", self._data, at)
            if name == b"data":
                if not self.rate_hz:
                    raise AudioError("a WAV file without a format")
                del self._data[: at + 8]
                self._in_data = True
                return True
            if size > _MAX_HEADER:
                raise AudioError("a WAV file with a broken header")
            if len(self._data) < at + 8 + size:
                return False
            if name == b"fmt ":
                self._read_format(bytes(self._data[at + 8 : at + 8 + size]))
            at += 8 + size + size % 2
        return False

    def _read_format(self, fmt: bytes) -> None:
        if len(fmt) < 16:
            raise AudioError("a WAV file with a broken format")
        tag, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", fmt[:16])
        # 0xFFFE is WAVE_FORMAT_EXTENSIBLE, which at 16 bits is PCM too.
        if tag not in (1, 0xFFFE) or bits != 16 or not 1 <= channels <= 8 or not 4_000 <= rate_hz <= 192_000:
            raise AudioError(
                f"WAV with {bits} bits, {channels} channels, {rate_hz} Hz, format {tag} is not done here"
            )
        self.rate_hz, self._channels = rate_hz, channels
