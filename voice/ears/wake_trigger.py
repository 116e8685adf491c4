"""Pure: from wake-word scores of 80 ms frames to wake words, and where they lie in the audio."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from voice.port import Pcm

__all__ = ["AHEAD_S", "BACK_S", "WakeTrigger", "locate", "match_words", "spoken_name", "word_of_file"]

AHEAD_S = 0.25
"""Audio after the crossing that locate() wants to see."""
BACK_S = 1.6
"""Audio before it."""

_RATE_HZ = 16_000
_SMOOTH = 320
"""Samples (20 ms) over which loudness is taken."""


def spoken_name(name: str) -> str:
    """One spelling of a wake word: "Hey_Jarvis", "hey-jarvis" and "Hey  Jarvis!" are "hey jarvis"."""
    return " ".join(re.findall(r"[^\W_]+", name.casefold()))


def word_of_file(stem: str) -> str:
    """The word of a model's file name: "hey_jarvis_v0.1" is "hey jarvis"."""
    return spoken_name(re.sub(r"[_-]?v\d+(\.\d+)*$", "", stem))


def match_words(asked: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """{the engine's word: the word as it was asked for}, for the asked words that the engine knows."""
    by_name = {spoken_name(word): word for word in known}
    return {by_name[spoken_name(word)]: word for word in asked if spoken_name(word) in by_name}


class WakeTrigger:
    """One stream. After a word was heard, the stream is deaf to that word for `refractory_ms`."""

    __slots__ = ("_deaf_until_s", "_refractory_s", "_threshold")

    def __init__(self, threshold: float, refractory_ms: int) -> None:
        self._threshold = threshold
        self._refractory_s = refractory_ms / 1000
        self._deaf_until_s: dict[str, float] = {}

    def crosses(self, score: float) -> bool:
        return score >= self._threshold

    def forget(self, word: str) -> None:
        """It was not that word: it is listened for again."""
        self._deaf_until_s.pop(word, None)

    def step(self, scores: Mapping[str, float], frame_end_s: float) -> str | None:
        """The word whose score crosses the threshold in this frame; of several, the best."""
        heard = [
            (score, word)
            for word, score in scores.items()
            if self.crosses(score) and frame_end_s >= self._deaf_until_s.get(word, 0.0)
        ]
        if not heard:
            return None
        self._deaf_until_s.update({word: frame_end_s + self._refractory_s for _, word in heard})
        return max(heard)[1]


def locate(pcm: Pcm, crossing: int, word: str) -> tuple[int, int]:
    """The word's [start, end) in `pcm`; `crossing`: the end of the frame in which its score crossed the threshold.

    openWakeWord's scores cross when the word is nearly over: over 36 human "alexa" 70 ms before its end, give or
    take 60. A fixed cut there takes 20 ms and more from one command in nine that follows after 30 ms. So the end is
    looked for where it is quiet, in the 240 ms after the crossing, the earlier the better (100 dB louder would be
    worth a second): in the gap, or in the closure of the first consonant. With a gap of 60 ms or more nothing of
    212 commands was lost and nothing of the word was left; without any gap 8 % lost more than 60 ms.
    The start is looked for likewise, about as long before as a word of so many letters takes.
    """
    end = _quietest(pcm, crossing, crossing + 3840, prefer=crossing + 320, pull_db_s=100)
    begun = crossing + round((0.07 - 0.25 - 0.065 * sum(map(str.isalnum, word))) * _RATE_HZ)
    start = _quietest(pcm, begun - 4800, begun + 1920, prefer=begun, pull_db_s=60)
    return min(start, end), end


def _quietest(pcm: Pcm, first: int, last: int, prefer: int, pull_db_s: float) -> int:
    """The sample in [first, last) with the least loudness around it, as far as `pcm` goes."""
    first = max(first, 0)
    last = min(last, len(pcm))
    if last - first < 1:
        return min(max(prefer, 0), len(pcm))
    half = _SMOOTH // 2
    around = np.pad(
        pcm[max(0, first - half) : last + half].astype(np.float64) ** 2, (max(0, half - first), 0), "edge"
    )
    around = np.pad(around, (0, last - first + _SMOOTH - len(around)), "edge")
    sums = np.concatenate((np.zeros(1), np.cumsum(around)))
    loudness_db = 10 * np.log10((sums[_SMOOTH:] - sums[:-_SMOOTH])[: last - first] / _SMOOTH + 100)
    away_s = np.abs(np.arange(first, last) - prefer) / _RATE_HZ
    return first + int(np.argmin(loudness_db + pull_db_s * away_s))
