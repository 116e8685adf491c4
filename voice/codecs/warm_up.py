"""Use every codec once, so that the first listener does not wait for libraries to load."""

from __future__ import annotations

import numpy as np

from models.registry import discover
from voice.codecs.spec import CodecSpec

__all__ = ["warm_up"]


def warm_up(rate_hz: int = 24_000) -> None:
    """Blocks for some tenths of a second: call it in a thread, at the start of the server."""
    specs: dict[str, CodecSpec] = discover("voice.codecs")
    for spec in specs.values():
        decoder = spec.decoder(rate_hz)
        if spec.encoder is not None:
            decoder.feed(spec.encoder(rate_hz).encode(np.zeros(rate_hz // 10, np.int16)))
