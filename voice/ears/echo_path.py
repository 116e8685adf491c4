"""The way from loudspeaker to microphone, as far as it is known: a delay, and a filter from there on. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from voice.ears.echo_filter import PARTS, EchoFilter
from voice.ears.likeness import correlate
from voice.ears.loudness import QUIET
from voice.ears.timeline import BLOCK, KEPT, RATE_HZ, WINDOW, Timeline

__all__ = ["DECAY", "EARLY", "LOUDER", "PEAK_PRESENT", "RELEARN", "SHIFT", "EchoPath"]

EARLY = 2 * BLOCK
"""The filter begins so many samples before the delay: the strongest path need not be the first."""
RELEARN = (RATE_HZ // 2, 5 * RATE_HZ // 4)
"""So long after an echo was found the filter begins anew, with more to learn from."""
DECAY = 0.72
"""Of the reverberation's power a block: 60 dB in 0.67 s."""
LOUDER = 6.0
"""A voice has so many times the power of the expected echo."""
PEAK_PRESENT = 13.0
"""Of the correlation, over its RMS: a lower one says nothing."""
SHIFT = 1280
"""Samples (80 ms) by which a client's playout may begin early or late."""
_GLANCE = 6 * BLOCK
_FAR_BELOW = 0.03
_REHEARSED = (2 * RATE_HZ // BLOCK) * BLOCK

Floats = npt.NDArray[np.floating[Any]]


class EchoPath:
    """Over `line`. `delay`: samples between what we send and what comes back."""

    def __init__(self, line: Timeline) -> None:
        self._line = line
        self.delay = 0
        self.filter = EchoFilter()
        self.relearn_at: list[int] = []
        """Positions at which the filter begins anew."""
        self.level = self._recent = 0.0
        """How much of our power comes back; the power that may still reverberate."""
        self.slack = 0
        """Blocks by which the delay may be off: it was learned in another session."""
        self.refuted = False
        """And there is no such echo today."""

    def cancel(self, ago: int = 0, *, learn: bool = True) -> tuple[Floats, Floats]:
        """(echo, residual) of the block that ended `ago` samples ago."""
        x = self._line.two_blocks(ago + max(0, self.delay - EARLY))
        return self.filter.cancel(x, self._line.block(ago), learn=learn)

    def rehearse(self, until: int = KEPT) -> float:
        """Let the filter learn from what was heard. Gives the share of the last second's power that it leaves."""
        line, start = self._line, KEPT - _REHEARSED
        at = slice(-WINDOW - self.delay, -self.delay or None)
        ours, heard = line.ref[at], line.mic[-WINDOW:]
        power = np.convolve(ours**2, np.ones(BLOCK) / BLOCK, "same")
        there = power > 0.05 * power.mean()
        self.level = float((heard[there] ** 2).mean() / (power[there].mean() + 1e-12)) if there.any() else 1.0
        left = 0.0
        for _ in range(2):
            left = 0.0
            for end in range(start, until + 1, BLOCK):
                _, residual = self.cancel(KEPT - end)
                left += float((residual**2).sum()) if end > until - WINDOW else 0.0
        return left / (float((line.mic[until - WINDOW : until] ** 2).sum()) + 1e-12)

    def relearn(self) -> None:
        """A delay and a filter that were found in a tenth of a second are rough."""
        self.relearn_at = self.relearn_at[1:]
        lag, height = correlate(*self._line.lately(), RATE_HZ)
        if height >= PEAK_PRESENT:
            self.delay = lag
        self.refuted, self.slack = bool(self.slack) and height < PEAK_PRESENT, 0
        self.filter.forget()
        self.rehearse(KEPT - BLOCK)

    def rough(self, ago: int = 0) -> bool:
        """The filter has learned little yet, and the newest block is no louder than our own voice is there."""
        if not self.relearn_at:
            return False
        mine = self._played(KEPT - ago - self.delay)
        self._recent = max(mine, DECAY * self._recent)
        heard = float(np.mean(self._line.block(ago) ** 2))
        return self._recent > 1e-9 and heard < LOUDER * self.level * self._recent

    def check(self) -> None:
        """Of a path of another session: nothing is heard where its echo should be."""
        if not self.slack or not self.relearn_at:
            return
        slack = self.slack * BLOCK
        end = KEPT - self.delay - slack  # this has come back by now, if it comes back
        ours = float(np.mean(self._line.ref[max(0, end - _GLANCE) : max(1, end)] ** 2))
        heard = float(np.mean(self._line.mic[-_GLANCE - 2 * slack :] ** 2))
        self.refuted = ours > QUIET**2 and heard < _FAR_BELOW * self.level * ours

    def _played(self, late: int) -> float:
        """Power of what we sent about that sample; the most of it, where the delay is not sure."""
        around = slice(max(0, late - (2 + self.slack) * BLOCK), max(1, late + (1 + self.slack) * BLOCK))
        powers = self._line.ref[around] ** 2
        if not self.slack or len(powers) < BLOCK:
            return float(np.mean(powers))
        whole = powers[len(powers) % BLOCK :].reshape(-1, BLOCK)
        return float(whole.mean(axis=1).max())

    def expected(self, count: int, shift: int = 0, reach: int = SHIFT) -> Floats:
        """What the filter makes of the reference, were that `shift` samples later: `count` samples, up to `reach`
        after the newest heard."""
        late, ref, ahead = max(0, self.delay - EARLY) + shift, self._line.ref, self._line.ahead
        end = len(ref) + reach - late
        whole: Floats = np.concatenate((ref, ahead[: max(0, end - len(ref))]))
        whole = np.concatenate((whole, np.zeros(max(0, end - len(whole)))))
        made = self.filter.make(whole[max(0, end - count - PARTS * BLOCK) : end])[-count:]
        return np.concatenate((np.zeros(count - len(made)), made))

    def move(self, shift: int, begin: int) -> None:
        """The reference from its sample `begin` on is `shift` samples later than we thought."""
        self._line.move(shift, begin)
        for part in range(PARTS):  # as the next block expects them: the newest of these becomes the one before it
            self.filter.put(part, self._line.two_blocks((part + 1) * BLOCK + max(0, self.delay - EARLY)))
