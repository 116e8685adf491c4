"""What a client sends as audio, whatever its form, into 16 kHz samples for the ears and the recogniser."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.registry import discover
from voice.codecs.spec import CodecSpec, Decoder
from voice.errors import AudioError
from voice.port import Pcm
from voice.resample import StreamResampler
from voice.session.config import AudioConfig

__all__ = ["RATE_HZ", "Intake"]

RATE_HZ = 16_000
AT_ONCE_BYTES = 1024
"""As much of a container takes milliseconds, whatever is in it."""


class Intake:
    """One session's audio. Binary frames and container chunks are separate streams; a client uses one of them."""

    def __init__(self, config: AudioConfig) -> None:
        self._config = config
        self._resampler = StreamResampler(config.input_rate, RATE_HZ)
        self._decoder: Decoder | None = None
        self._raw = False

    def raw(self, data: bytes) -> Pcm:
        """PCM16 little-endian mono at the session's input rate."""
        return self._resampler.process(np.frombuffer(data, "<i2").astype(np.int16, copy=False))

    def container(self, data: bytes) -> Iterator[Pcm]:
        """The next piece of the stream in the session's format, a little at a time. After AudioError a new stream
        begins.
        """
        if self._config.input_format == "pcm":
            if len(data) % 2:
                raise AudioError("A pcm chunk has an odd number of bytes", hint="PCM16 has two bytes a sample")
            yield self.raw(data)
            return
        for start in range(0, len(data), AT_ONCE_BYTES):
            yield self._decoded(data[start : start + AT_ONCE_BYTES])

    def _decoded(self, data: bytes) -> Pcm:
        if self._decoder is None:
            spec: CodecSpec = discover("voice.codecs")[self._config.input_format]
            self._raw = spec.raw
            self._decoder = spec.decoder(self._config.input_rate if spec.raw else RATE_HZ)
        try:
            pcm = self._decoder.feed(data)
            return self._resampler.process(pcm) if self._raw else pcm
        except AudioError:
            self._decoder = None
            raise

    def reconfigure(self, config: AudioConfig) -> None:
        """Raises AudioError for a rate that cannot be resampled; then nothing has changed."""
        if config.input_rate != self._config.input_rate:
            self._resampler = StreamResampler(config.input_rate, RATE_HZ)
        if (config.input_format, config.input_rate) != (self._config.input_format, self._config.input_rate):
            self._decoder = None
        self._config = config
