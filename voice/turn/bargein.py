"""Is a sound over our own speech an interruption? Pure.

Output is held at the onset; this decides, within about half a second, whether to stop or to go on from the
very sample. LiveKit's minimum of 0.5 s of speech lets a "stop" pass and its users complain of both kinds of
error (research: voice.md section 4, 3 and 7), so words count as well as duration.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from itertools import groupby

from voice.settings import STOP_PHRASES
from voice.turn.back_channels import MURMURS, WORD, begins_murmur, encourages, words_of
from voice.turn.number_words import number_words

__all__ = [
    "INTERRUPTERS",
    "LONGEST_STOP_MS",
    "STOPS_ELSEWHERE",
    "known_stops",
    "is_phrase",
    "QUESTIONS",
    "QUESTION_WORDS",
    "STOP_WORDS",
    "SYLLABLES_MS",
    "BargeInRules",
    "NOTHING_SAID",
    "Said",
    "Verdict",
    "ends_like_us",
    "judge",
    "opens_as_interruption",
    "sounds_like_us",
    "spotted_phrases",
]

STOP_WORDS = frozenset(
    "stop wait no nope nah uh-uh nuh-uh cancel quiet enough pause shut hold hey nevermind never halt stopp warte nein"
    " nee nö ruhe moment genug schluss aufhören hör still schweig abbrechen abbruch".split()
)
"""One of these is an interruption however short it is."""

QUESTION_WORDS = frozenset(
    "what why who whose how where when which was warum wieso wer wie wo wann welche welcher welches".split()
)
"""Somebody asks: they want us to listen."""

INTERRUPTERS = (
    "stop please", "please stop", "stop stop", "no stop", "okay stop", "wait", "wait wait", "wait a second",
    "wait no", "no", "no no", "no wait", "no no no", "hold on", "hang on", "pause", "hush", "hey", "listen",
    "one moment", "excuse me", "stop that", "no stop it", "that is enough", "wait stop",
)  # fmt: skip
"""Phrases that a recogniser which can spot listens for in a short sound, beside MURMURS: what interrupts..."""

QUESTIONS = (
    "what", "why", "who", "how", "where", "when", "which", "what do you mean", "why is that", "but why", "what is it",
    "how so", "what time is it", "what was that", "who is that", "where is that", "how much", "which one", "why not",
    "but what about", "say that again",
)  # fmt: skip
"""... and what wants an answer."""

STOPS_ELSEWHERE = (
    "stopp", "hör auf", "hör bitte auf", "aufhören", "sei still", "sei ruhig", "sei leise", "ruhe", "still", "genug",
    "es reicht", "das reicht", "schluss", "abbrechen", "abbruch", "schweig", "vergiss es", "lass gut sein",
)  # fmt: skip
"""Stop words of recognisers that write German, beside the ones that come with Parley. No other language's words."""

LONGEST_STOP_MS = 1200.0
"""Voiced: nobody takes longer to say one of the stop words."""

SYLLABLES_MS = 160.0
"""Two words take longer than this: what a recogniser makes of a click is no speech."""


class Verdict(Enum):
    WAIT = "wait"
    INTERRUPT = "interrupt"
    RESUME = "resume"


OWN_SHARE = 0.6
"""Of the words heard, when they are taken for our own: a recogniser gets some words of an echo wrong."""


OPENING = 2
"""Words in which a stop word is meant; deep in a sentence it is easily misheard."""

TAIL_SHARE = 0.75
TAIL_SLACK = 2
"""Words of ours that the recogniser may have missed in the echo of the end of a reply."""


_WORD_OR_SIGN = rf"{WORD.pattern}|[%&+=]"
_NUMBER = "#"


@dataclass(frozen=True, slots=True)
class BargeInRules:
    voiced_ms: float
    """Voiced time that is speech and no cough: from here on the recogniser is asked what it is."""
    sure_ms: float
    """Voiced time that is no "mm-hm" either: without the recogniser's word it is an interruption then."""
    patience_ms: float = 1000.0
    """For a short sound that is over: wait this long for the recogniser, then go on speaking."""
    stops: tuple[str, ...] = ()
    """Said alone they interrupt, whatever else they may mean."""
    words_needed: bool = False
    """A loudspeaker without echo cancellation: voice alone may be our own, only words tell."""

    @property
    def deadline_ms(self) -> float:
        """By then there is a verdict, whatever is known."""
        return 3 * self.patience_ms


@dataclass(frozen=True, slots=True)
class Said:
    """The words of ours that the microphone may hear, as they were spoken: of the reply so far, and of its last
    seconds only."""

    text: str = ""
    lately: str = ""


NOTHING_SAID = Said()


def sounds_like_us(text: str, said: Said) -> bool:
    """Most of the words of `text` stand in what we have said: an echo, or somebody reading along.

    What begins with a stop word is ours only if we have just said that; with a question word, if we have said it.
    """
    words, lately = words_of(text), set(words_of(said.lately))
    ours = {*words_of(said.text), *number_words(said.text)}
    if any(word in STOP_WORDS and word not in lately for word in words[:OPENING]):
        return False
    if words and words[0] in QUESTION_WORDS and words[0] not in ours:
        return False
    return bool(words) and sum(word in ours for word in words) >= OWN_SHARE * len(words)


def is_phrase(text: str, phrases: Sequence[str]) -> bool:
    """`text` is one of the phrases, once or several times over ("stop, stop!"), but for "please"."""
    words = [word for word in words_of(text) if word != "please"]
    return bool(words) and any(
        words == words_of(each) * (len(words) // max(1, len(words_of(each)))) for each in phrases
    )


def opens_as_interruption(text: str) -> bool:
    """It begins with a stop or a question word, whatever follows. Not what may become a remark: "what a pity"."""
    first = (word.split("'")[0] for word in words_of(text)[:OPENING])
    return any(word in STOP_WORDS | QUESTION_WORDS for word in first) and not begins_murmur(text)


def known_stops(stop_words: Sequence[str]) -> tuple[str, ...]:
    """The operator's, or those that come with Parley: theirs in every language that has some."""
    own = tuple(stop_words)
    return (*own, *STOPS_ELSEWHERE) if own == STOP_PHRASES else own


def spotted_phrases(stop_words: Sequence[str]) -> tuple[str, ...]:
    """All that a recogniser which can spot listens for in a sound over a reply."""
    return (*stop_words, *INTERRUPTERS, *MURMURS, *QUESTIONS)


def ends_like_us(text: str, said: str) -> bool:
    """`text`, heard just after we spoke, is the end of what we said: its words, in their order, and no question.

    Stricter than `sounds_like_us`: who asks for the capital of France says most of "The capital of France is Paris"
    and wants an answer.
    """
    spoken = re.findall(_WORD_OR_SIGN, said.lower())
    numbers = number_words(said) | {each for each in spoken if not each[0].isalpha()}
    words, ours = _in_figures(words_of(text), numbers), _in_figures(spoken, numbers)
    tail = ours[-len(words) - TAIL_SLACK :]
    if not words or any(word in QUESTION_WORDS | STOP_WORDS and word not in tail for word in words):
        return False
    common = sum(block.size for block in SequenceMatcher(None, words, tail, autojunk=False).get_matching_blocks())
    return common >= TAIL_SHARE * len(words)


def judge(
    rules: BargeInRules, voiced_ms: float, elapsed_ms: float, ended: bool, text: str | None, said: Said = NOTHING_SAID
) -> Verdict:
    """`text`: what the recogniser makes of the sound, None while it has said nothing. `said`: what may be our echo.

    0. our own words: go on once they are over; they may be the beginning of something else until then
    1. a stop word or a question word was heard: interrupt, but for those of a back-channel ("no way")
    2. only back-channels were heard, or we were asked to go on: go on if the sound is over; if it goes on and on, it
       was more than that. So if it may only be the beginning of one ("that's...")
    3. other words, and voiced for longer than a cough: interrupt
    4. it goes on without a word from the recogniser: voiced for longer than an "mm-hm" is an interruption; twice as
       long, where it listened and made out no words (music)
    5. over and short: two words are an interruption, one or none is not
    6. still undecided: wait, but not for ever
    """
    words = words_of(text or "")
    late = elapsed_ms >= rules.deadline_ms
    if sounds_like_us(text or "", said):  # 0
        return Verdict.RESUME if ended or elapsed_ms >= rules.patience_ms else Verdict.WAIT
    encouraging = encourages(text or "")
    known = not encouraging and any(word in STOP_WORDS or word in QUESTION_WORDS for word in words)
    if known or is_phrase(text or "", rules.stops):
        return Verdict.INTERRUPT  # 1
    if encouraging and ended:
        return Verdict.RESUME  # 2
    if encouraging or (not ended and begins_murmur(text or "")):
        return Verdict.INTERRUPT if voiced_ms >= 2 * rules.sure_ms or late else Verdict.WAIT
    if words and voiced_ms >= rules.voiced_ms:
        return Verdict.INTERRUPT  # 3
    if not words and not ended and not rules.words_needed and voiced_ms >= rules.sure_ms * (1 if text is None else 2):
        return Verdict.INTERRUPT  # 4
    if ended and text is not None:  # 5
        return Verdict.INTERRUPT if len(words) >= 2 and voiced_ms >= SYLLABLES_MS else Verdict.RESUME
    if rules.words_needed and text is None and not late and voiced_ms >= rules.voiced_ms:
        return Verdict.WAIT  # long enough for a voice, only words tell, and the recogniser is still at it
    if elapsed_ms >= rules.patience_ms and (ended or voiced_ms < rules.voiced_ms):  # 6
        return Verdict.INTERRUPT if voiced_ms >= rules.voiced_ms and not rules.words_needed else Verdict.RESUME
    return Verdict.RESUME if late else Verdict.WAIT


def _in_figures(words: Sequence[str], numbers: Collection[str]) -> list[str]:
    """With one sign for every number that is made of `numbers`, in digits or in words."""
    signs = (_NUMBER if word in numbers else word for word in words)
    return [sign for sign, same in groupby(signs) for _ in (range(1) if sign == _NUMBER else same)]
