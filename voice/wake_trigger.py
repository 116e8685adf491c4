"""Pure: from wake-word scores of 80 ms frames to wake words, and where they lie in the audio."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from voice.ear_events import WakeHeard

__all__ = ["WakeTrigger", "match_words", "spoken_name"]

END_BEFORE_S = 0.08
"""The word ended about this long before the end of the frame whose score crossed the threshold."""

LONGEST_WORD_S = 1.2


def spoken_name(name: str) -> str:
    """One spelling of a wake word: "Hey_Jarvis", "hey-jarvis" and "Hey  Jarvis!" are "hey jarvis"."""
    return " ".join(re.findall(r"[^\W_]+", name.casefold()))


def match_words(asked: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """{the engine's word: the word as it was asked for}, for the asked words that the engine knows."""
    by_name = {spoken_name(word): word for word in known}
    return {by_name[spoken_name(word)]: word for word in asked if spoken_name(word) in by_name}


class WakeTrigger:
    """One stream. After a word was heard, it is deaf to that word for `refractory_ms`."""

    __slots__ = ("_deaf_until_s", "_refractory_s", "_threshold")

    def __init__(self, threshold: float, refractory_ms: int) -> None:
        self._threshold = threshold
        self._refractory_s = refractory_ms / 1000
        self._deaf_until_s: dict[str, float] = {}

    def step(self, scores: Mapping[str, float], frame_end_s: float) -> WakeHeard | None:
        """The scores of one frame; of several words over the threshold the best is reported."""
        heard = [
            (score, word)
            for word, score in scores.items()
            if score >= self._threshold and frame_end_s >= self._deaf_until_s.get(word, 0.0)
        ]
        if not heard:
            return None
        score, word = max(heard)
        self._deaf_until_s.update({each: frame_end_s + self._refractory_s for _, each in heard})
        end_s = max(0.0, frame_end_s - END_BEFORE_S)
        return WakeHeard(word, float(score), max(0.0, end_s - LONGEST_WORD_S), end_s)
