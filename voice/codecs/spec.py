"""What a codec is. A format is one file here with a `SPEC`; the demuxers beside them have none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from voice.port import Pcm

__all__ = ["MAX_FEED_S", "CodecSpec", "Decoder", "Encoder"]

MAX_FEED_S = 600
"""One `feed` gives at most this many seconds: a megabyte of two-byte Opus packets would be two hours of PCM."""


class Decoder(Protocol):
    """One stream of audio, in pieces cut anywhere."""

    rate_hz: int
    """Of what comes out: always the rate that was asked for."""

    def feed(self, data: bytes) -> Pcm:
        """int16 mono [samples] of what `data` completes. May be empty.

        Raises AudioError on anything that is not this format; the decoder is of no use afterwards.
        """
        ...

    def finish(self) -> Pcm:
        """The stream has ended: what the rate converter still holds. What was cut off in the middle is dropped."""
        ...


class Encoder(Protocol):
    def encode(self, pcm: Pcm) -> bytes:
        """A file of its own with these int16 mono samples."""
        ...


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """`decoder(rate_hz)` decodes to mono at that rate; raw formats are taken to have it.

    `encoder(rate_hz)` takes samples of that rate, 8 to 48 kHz; None where the format is only heard, never said.
    """

    name: str
    decoder: Callable[[int], Decoder]
    encoder: Callable[[int], Encoder] | None
    media_type: str
    description: str
    raw: bool = False
    """Nothing in the stream says its rate: it is the one that both sides agreed on."""
