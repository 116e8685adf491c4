"""G.711 u-law (telephones of America and Japan): raw, mono, at the rate both sides agreed on (8 kHz everywhere)."""

from __future__ import annotations

from functools import partial

from voice.codecs.g711 import U_LAW, LawDecoder, LawEncoder
from voice.codecs.spec import CodecSpec

__all__ = ["SPEC"]

SPEC = CodecSpec(
    name="g711_ulaw",
    decoder=partial(LawDecoder, U_LAW),
    encoder=lambda rate_hz: LawEncoder(U_LAW),
    media_type="audio/pcmu",
    description="G.711 u-law (telephones of America and Japan), one byte a sample",
    raw=True,
)
