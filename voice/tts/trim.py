"""Pure: where the sound of an utterance begins."""

from __future__ import annotations

import numpy as np

from voice.port import Pcm

__all__ = ["leading_silence"]

_QUIET = 64  # of 32768: -54 dB, below the noise of any synthesiser's voice


def leading_silence(pcm: Pcm, rate_hz: int, keep_ms: int = 8) -> int:
    """Samples before the first sound that can go; `keep_ms` of them stay, so that the onset is not clicked."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > _QUIET)
    if loud.size == 0:
        return len(pcm)
    return max(0, int(loud[0]) - rate_hz * keep_ms // 1000)
