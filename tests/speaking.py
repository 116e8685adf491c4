"""Speech for tests on a fresh machine: the embedded synthesiser, at the ears' 16 kHz."""

from __future__ import annotations

import functools

import numpy as np

from models.registry import discover
from voice.port import EngineConfig, Pcm, TtsEngine
from voice.resample import StreamResampler

__all__ = ["spoken"]


@functools.cache
def spoken(text: str) -> Pcm:
    """`text` spoken by espeak-ng, int16 [samples] at 16 kHz; do not change it."""
    chunks = list(_engine().synthesize(text, "default", 1.0, None))
    pcm = np.concatenate([chunk.pcm for chunk in chunks])
    return StreamResampler(chunks[0].rate_hz, 16_000).process(pcm, last=True)


@functools.cache
def _engine() -> TtsEngine:
    return discover("voice.tts")["espeak"].load(EngineConfig())
