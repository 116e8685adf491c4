"""What we sent and what the microphone heard, on the microphone's own clock. Pure; 16 kHz.

A signal is an array of samples between -1 and 1. The reference lies ahead of the microphone: a piece of a reply
stands where the microphone was when the piece was sent, or behind the piece before it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from voice.ears.clock_drift import ClockDrift
from voice.port import Pcm

__all__ = ["BLOCK", "KEPT", "LONGEST_S", "RATE_HZ", "WINDOW", "Timeline"]

RATE_HZ = 16_000
BLOCK = 256
WINDOW = RATE_HZ
"""Samples in which an echo is looked for."""
KEPT = 3 * RATE_HZ
"""Samples of both signals that are kept."""
LONGEST_S = 1.2
"""The latest echo that is looked for: buffers of the client and of the network included, but for one that stalls."""
_MOST_AHEAD = 60 * RATE_HZ

Floats = npt.NDArray[np.floating[Any]]


class Timeline:
    """`at` is the microphone's position: samples since the first."""

    def __init__(self) -> None:
        self.mic = np.zeros(KEPT, np.float32)
        self.ref = np.zeros(KEPT, np.float32)
        """The last `KEPT` samples before `at`."""
        self.ahead = np.zeros(0, np.float32)
        """Reference from `at` on."""
        self.at = 0
        self.spoke_until = -(1 << 60)
        """Position after the last sample of reference."""
        self.drift = ClockDrift(RATE_HZ, BLOCK)

    def play(self, pcm: Pcm, late: int) -> bool:
        """We have sent `pcm`, `late` samples after `at`. True: after a silence."""
        missing = late - len(self.ahead)
        begins = self.at + max(0, late) > self.spoke_until
        filler = [np.zeros(missing, np.float32)] if missing > 0 else []
        self.ahead = np.concatenate((self.ahead, *filler, pcm.astype(np.float32) / 32768))[:_MOST_AHEAD]
        self.spoke_until = self.at + len(self.ahead)
        return begins

    def stop(self, late: int) -> None:
        """`late` samples after `at` the client was told to drop what it has not played."""
        self.ahead = self.ahead[:late]
        self.spoke_until = min(self.spoke_until, self.at + len(self.ahead))

    def away(self) -> None:
        """The connection was lost: what comes now begins anew, even if nothing was silent."""
        self.spoke_until = min(self.spoke_until, self.at - 1)

    def hear(self, pcm: Pcm) -> None:
        count = len(pcm)
        if count > KEPT:
            self._advance(count - KEPT)
            pcm = pcm[-KEPT:]
            count = KEPT
        self.mic = np.concatenate((self.mic[count:], pcm.astype(np.float32) / 32768))
        self._advance(count)

    def _advance(self, count: int) -> None:
        fresh, self.ahead = self.drift.take(self.ahead, count)
        self.ref = np.concatenate((self.ref, fresh))[-KEPT:]
        self.at += count

    @property
    def active(self) -> bool:
        """Some of our voice may be in the signal."""
        return self.at <= self.spoke_until + round(LONGEST_S * RATE_HZ)

    def lately(self, window: int = WINDOW) -> tuple[Floats, Floats]:
        """(the last `window` samples of the microphone, what of ours may be in them)."""
        return self.mic[-window:], self.ref[-window - round(LONGEST_S * RATE_HZ) :]

    def block(self, ago: int) -> Floats:
        """What the microphone heard in the block that ended `ago` samples ago."""
        return self.mic[KEPT - ago - BLOCK : KEPT - ago]

    def two_blocks(self, ago: int) -> Floats:
        """What we sent in the two blocks that ended `ago` samples ago; zeros where that is not kept."""
        end = max(0, KEPT - ago)
        x = self.ref[max(0, end - 2 * BLOCK) : end]
        return x if len(x) == 2 * BLOCK else np.pad(x, (2 * BLOCK - len(x), 0))

    def move(self, shift: int, begin: int) -> None:
        """The reference from its sample `begin` on is `shift` samples later than we thought."""
        whole = np.concatenate((self.ref, self.ahead))
        if shift >= 0:
            whole = np.concatenate((whole[:begin], np.zeros(shift, np.float32), whole[begin:]))
        else:
            whole = np.concatenate((whole[: max(0, begin + shift)], whole[max(begin, -shift) :]))
        whole = np.concatenate((whole, np.zeros(max(0, KEPT - len(whole)), np.float32)))
        self.spoke_until += shift
        # the silence after what we said is none that the loudspeaker plays: what is sent next does not wait for it
        until = None if len(self.ahead) else KEPT + max(0, self.spoke_until - self.at)
        self.ref, self.ahead = whole[:KEPT], whole[KEPT:until]
