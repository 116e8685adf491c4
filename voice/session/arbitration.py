"""One winner when several devices of one user hear the same wake word. Pure.

The word reaches every device in the room within the sound's few milliseconds, and the server within the network's
few tens. So the first to report opens a contest, for `WINDOW_S` others may join it, then the one that heard the word
best has won. Whoever reports the same word later, but within `SAME_S`, was too late. Best is who heard the word
clearest over its own room: loudness over the floor of the device's own noise, which does not depend on how its
microphone is set, and the model's score, which tells little near its upper end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from voice.ears.events import WakeHeard
from voice.ears.ring import AudioRing
from voice.port import Pcm

__all__ = ["RATE_HZ", "SAME_S", "WINDOW_S", "Arbiter", "Claim", "claim_of", "clearness_db"]

WINDOW_S = 0.2
SAME_S = 1.0
RATE_HZ = 16_000
_BEFORE_S = 3
"""Before a wake word, so much tells how quiet the room is."""
_SCORE_DB = 10.0
"""A score higher by 1 outweighs so many dB."""


@dataclass(frozen=True, slots=True)
class Claim:
    """`device` heard `word` with the model's `score` 0..1, `clear_db` over its noise."""

    device: str
    word: str
    score: float
    clear_db: float

    @property
    def strength(self) -> float:
        return self.clear_db + _SCORE_DB * self.score


@dataclass(slots=True)
class _Contest:
    began: float
    best: Claim
    devices: set[str] = field(default_factory=set)


class Arbiter:
    """The contests of all users. `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._contests: dict[tuple[str, str], _Contest] = {}

    def claim(self, owner: str, claim: Claim, now: float) -> float:
        """Enter it. Returns when `won` may be asked; `now` where it was decided already."""
        self._forget(now)
        key = owner, claim.word.casefold()
        contest = self._contests.get(key)
        if contest is None or claim.device in contest.devices:  # a device hears one utterance once: a new one
            contest = self._contests[key] = _Contest(now, claim)
        elif now < contest.began + WINDOW_S and claim.strength > contest.best.strength:
            contest.best = claim
        contest.devices.add(claim.device)
        return max(now, contest.began + WINDOW_S)

    def won(self, owner: str, device: str, word: str) -> bool:
        """Is `device` the one? True also for a contest that is long forgotten: then nobody else is there."""
        contest = self._contests.get((owner, word.casefold()))
        return contest is None or contest.best.device == device

    def _forget(self, now: float) -> None:
        for key in [key for key, contest in self._contests.items() if now >= contest.began + SAME_S]:
            del self._contests[key]


def claim_of(device: str, heard: WakeHeard, ring: AudioRing) -> Claim:
    """What a session says of the word it heard. `ring` holds its audio."""
    start, end = round(heard.start_s * RATE_HZ), round(heard.end_s * RATE_HZ)
    before = ring.read(max(0, start - _BEFORE_S * RATE_HZ), start)
    return Claim(device, heard.word, heard.score, clearness_db(ring.read(start, end), before))


def clearness_db(word: Pcm, before: Pcm) -> float:
    """How far the loudest half of `word` stands over the quietest tenth of what was `before` it; int16 16 kHz."""
    return _level_db(word, 50, 100) - _level_db(before, 0, 10)


def _level_db(pcm: Pcm, low: float, high: float) -> float:
    """The mean power of the 20 ms frames between two percentiles."""
    frames = pcm[: len(pcm) // 320 * 320].astype(np.float64).reshape(-1, 320)
    if not len(frames):
        return 0.0
    powers = np.sort((frames**2).mean(axis=1))
    first = min(int(len(powers) * low / 100), len(powers) - 1)
    last = max(int(np.ceil(len(powers) * high / 100)), first + 1)
    return float(10 * np.log10(powers[first:last].mean() + 1.0))
