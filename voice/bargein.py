"""Is a sound over our own speech an interruption? Pure.

Output is held at the onset; this decides, within about half a second, whether to stop or to go on from the
very sample. LiveKit's minimum of 0.5 s of speech lets a "stop" pass and its users complain of both kinds of
error (research: voice.md section 4, 3 and 7), so words count as well as duration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

__all__ = ["BACK_CHANNELS", "STOP_WORDS", "BargeInRules", "Verdict", "judge", "sounds_like_us"]

BACK_CHANNELS = frozenset(
    "mhm mm hm hmm uh huh um ah oh yeah yes yep yup okay ok right sure i see aha wow nice cool great good"
    " mm-hm uh-huh ja genau aha klar".split()
)
"""Words that say "go on", not "stop"."""

STOP_WORDS = frozenset(
    "stop wait no cancel quiet enough pause shut hold hey nevermind never halt stopp warte nein ruhe".split()
)
"""One of these is an interruption however short it is."""


class Verdict(Enum):
    WAIT = "wait"
    INTERRUPT = "interrupt"
    RESUME = "resume"


OWN_SHARE = 0.6
"""Of the words heard, when they are taken for our own: a recogniser gets some words of an echo wrong."""


@dataclass(frozen=True, slots=True)
class BargeInRules:
    voiced_ms: float
    """Voiced time that is speech and no cough."""
    verdict_ms: float
    """Decide at the latest this long after the onset, once the sound is over or goes on."""
    patience_ms: float = 1000.0
    """For a short sound that is over: wait this long for the recogniser, then go on speaking."""
    words_needed: bool = False
    """A loudspeaker without echo cancellation: voice alone may be our own, only words tell."""


def sounds_like_us(text: str, said: str) -> bool:
    """Most of the words of `text` stand in what we are saying: an echo, or somebody reading along."""
    words, ours = _words(text), set(_words(said))
    return bool(words) and sum(word in ours for word in words) >= OWN_SHARE * len(words)


def judge(
    rules: BargeInRules, voiced_ms: float, elapsed_ms: float, ended: bool, text: str | None, said: str = ""
) -> Verdict:
    """`text`: what the recogniser makes of the sound, None while it has said nothing. `said`: what we were saying.

    0. our own words: go on once they are over; they may be the beginning of something else until then
    1. a stop word was heard: interrupt
    2. only back-channel words were heard: go on if the sound is over or the time is up without more voice
    3. voiced long enough: interrupt
    4. the sound is over and short: words that are no back-channel need company to count; none: go on
    5. still undecided: wait, but not for ever
    """
    words = _words(text or "")
    if sounds_like_us(text or "", said):  # 0
        return Verdict.RESUME if ended or elapsed_ms >= rules.patience_ms else Verdict.WAIT
    if any(word in STOP_WORDS for word in words):
        return Verdict.INTERRUPT  # 1
    if words and all(word in BACK_CHANNELS for word in words):  # 2
        if ended:
            return Verdict.RESUME
        if elapsed_ms < rules.verdict_ms:
            return Verdict.WAIT
    if voiced_ms >= rules.voiced_ms and (words or not rules.words_needed):
        return Verdict.INTERRUPT  # 3
    if ended and text is not None:  # 4
        return Verdict.INTERRUPT if len(words) >= 2 else Verdict.RESUME
    return Verdict.RESUME if elapsed_ms >= rules.patience_ms else Verdict.WAIT  # 5


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+(?:['-][^\W\d_]+)*", text.lower())
