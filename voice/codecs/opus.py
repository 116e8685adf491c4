"""Ogg Opus."""

from __future__ import annotations

from voice.codecs.ebml import EbmlDemuxer
from voice.codecs.libopus import OpusEncoder, OpusStream
from voice.codecs.spec import CodecSpec

__all__ = ["SPEC"]

SPEC = CodecSpec(
    name="opus",
    decoder=lambda rate_hz: OpusStream(rate_hz, EbmlDemuxer),
    encoder=OpusEncoder,
    media_type="audio/ogg",
    description="Ogg Opus: one stream in, a file a message out",
)
