"""WebM with Opus, as browsers' MediaRecorder makes it. Only heard: replies go out as Ogg Opus."""

from __future__ import annotations

from voice.codecs.ebml import EbmlDemuxer
from voice.codecs.libopus import OpusStream
from voice.codecs.spec import CodecSpec

__all__ = ["SPEC"]

SPEC = CodecSpec(
    name="webm",
    decoder=lambda rate_hz: OpusStream(rate_hz, EbmlDemuxer),
    encoder=None,
    media_type="audio/webm",
    description="WebM with Opus, one continuous stream in chunks cut anywhere",
)
