"""G.711 A-law (telephones elsewhere): raw, mono, at the rate both sides agreed on (8 kHz everywhere)."""

from __future__ import annotations

from functools import partial

from voice.codecs.g711 import A_LAW, LawDecoder, LawEncoder
from voice.codecs.spec import CodecSpec

__all__ = ["SPEC"]

SPEC = CodecSpec(
    name="g711_alaw",
    decoder=partial(LawDecoder, A_LAW),
    encoder=lambda rate_hz: LawEncoder(A_LAW),
    media_type="audio/pcma",
    description="G.711 A-law (telephones elsewhere), one byte a sample",
    raw=True,
)
