"""What listeners put in while another speaks, and which means "go on". Pure.

There are too many to list as sentences, and they are made alike: "mm-hm", "oh right", "that's really nice", "yeah,
that makes sense", "das ist ja toll". So a remark is a praise or a murmur, with what may stand before it, any number
of times over. The kinds are those that corpora of telephone calls are annotated with: continuers, back-channels in
question form, appreciation.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

__all__ = ["BACK_CHANNELS", "MURMURS", "WORD", "begins_murmur", "encourages", "hummed", "murmured", "words_of"]

BACK_CHANNELS = frozenset(
    "mhm mm hm hmm uh huh um ah oh yeah yes yep yup okay ok right sure i see aha wow nice cool great good"
    " mm-hm mm-hmm mmhm mmhmm mmm mhmm uh-huh uhuh a-ha yup yea ya alright really exactly absolutely true fine indeed"
    " ja jaja jo jep jawohl genau aha klar ach achso stimmt richtig gut toll super prima verstehe natürlich sicher"
    " eben logisch".split()
)
"""Words that say "go on", not "stop"."""

MURMURS = (
    "mm-hm", "mm", "uh-huh", "hm", "aha", "ah", "oh", "oh wow", "wow", "yeah", "yes", "yep", "okay", "right", "sure",
    "yeah yeah", "yes yes", "okay okay", "oh okay", "oh yeah", "oh i see", "i see", "got it", "cool", "great", "good",
    "nice", "really", "of course", "exactly", "alright", "absolutely", "oh really", "oh right", "oh good", "i know",
    "right right", "sure sure", "yeah okay", "yeah sure", "okay good", "uh-huh uh-huh", "mm-hm mm-hm", "true", "yup",
)  # fmt: skip
"""The commonest, which a recogniser that can spot listens for in a short sound."""

_PRAISE = frozenset(
    "perfect excellent awesome amazing brilliant interesting wonderful lovely fantastic beautiful terrific incredible"
    " impressive fascinating remarkable neat sweet funny crazy wild sad awful terrible"
    " exciting splendid marvelous superb outstanding gotcha definitely totally certainly obviously"
    " agreed understood ha haha hahaha aw aww ooh oof yikes phew gosh gee goodness"
    " perfekt wunderbar interessant spannend faszinierend krass schön wahnsinn lustig witzig echt wirklich oha tja"
    " naja".split()
)
_BEFORE = frozenset("so very really pretty quite such too just my oh well sehr echt wirklich ja na ziemlich".split())
"""Words that may stand before one of these, and end nothing."""
_OPENINGS = (
    "that's", "that is", "that was", "that sounds", "sounds", "it's", "this is", "you're", "das", "das ist",
    "das war", "das klingt", "klingt", "ist",
)  # fmt: skip
_WHOLE = (
    *MURMURS, "you don't say", "i bet", "i know it", "i believe it",
    "i understand", "i agree", "i can imagine", "all right", "oh boy", "oh my", "oh my god", "my god", "no kidding",
    "no way", "no doubt", "no wonder", "no problem", "no worries", "fair enough", "makes sense", "that makes sense",
    "too bad", "how nice", "how interesting", "how funny", "how lovely", "how cool", "how wonderful", "what a pity",
    "what a shame", "what a surprise", "that's a shame", "that's a pity", "that's a good point", "me too",
    "same here", "i get it", "i hear you",
    "for sure", "sure thing", "you bet", "oh dear", "good point", "good to know", "good for you", "fair point",
    "ach so", "ach was", "na klar", "alles klar", "ich verstehe", "ich weiß", "weiß ich", "das weiß ich",
    "in ordnung", "kein problem", "nicht schlecht", "ergibt sinn", "das ergibt sinn", "macht sinn",
    "das macht sinn", "ganz genau", "passt", "oh je", "ach du meine güte", "gut zu wissen",
)  # fmt: skip
_GO_ON = (
    "go on", "go ahead", "keep going", "carry on", "continue", "i'm listening", "weiter", "mach weiter",
    "erzähl weiter", "sprich weiter", "red weiter", "ich höre",
)  # fmt: skip
_POLITE = ("please", "bitte")
_HUM = re.compile(r"(?:u+m|m+|h+m+|m+h+m*)(?:-(?:hu?)?m+)?|a+h+(?:-?h+a+)?|o+h+")
_DRAWN_OUT = re.compile(r"y+e+a+h+")
"""However long it is drawn out, and however it is written down."""
_HUMS = frozenset("uh huh um uh-huh uhuh aha a-ha eh er erm äh ähm ooh aw aww ugh oof phew ha haha hahaha".split())

WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*|\d+(?:st|nd|rd|th)?")


def words_of(text: str) -> list[str]:
    """In lower case; "mm-hm" and "that's" are one each."""
    return WORD.findall(text.lower().replace("’", "'"))


def murmured(text: str) -> bool:
    """Nothing but back-channels, and at least one."""
    return _read(words_of(text), _MURMURED) == _WHOLE_REMARK


def hummed(text: str) -> bool:
    """Sounds and no word, and at least one."""
    words = words_of(text)
    return bool(words) and all(word in _HUMS or _HUM.fullmatch(word) for word in words)


def encourages(text: str) -> bool:
    """It is that, or asks us to go on, or both."""
    return _read(words_of(text), _ENCOURAGING) == _WHOLE_REMARK


def begins_murmur(text: str) -> bool:
    """It may become that: all of it is, or is the beginning of it."""
    return _read(words_of(text), _ENCOURAGING) != _OTHER


_OTHER, _BEGINNING, _WHOLE_REMARK = range(3)
_Phrases = dict[str, list[tuple[list[str], bool]]]
"""By their first word, the longest first; whether a remark may end there."""


def _known(whole: Iterable[str], openings: Iterable[str]) -> _Phrases:
    found: _Phrases = defaultdict(list)
    for ends, phrases in ((True, whole), (False, openings)):
        for words in (phrase.split() for phrase in phrases):
            found[words[0]].append((words, ends))
    return {first: sorted(phrases, key=lambda each: -len(each[0])) for first, phrases in found.items()}


_MURMURED = _known(_WHOLE, _OPENINGS)
_ENCOURAGING = _known((*_WHOLE, *_GO_ON), (*_OPENINGS, *_POLITE))


def _read(words: list[str], phrases: _Phrases) -> int:
    """From left to right, the longest phrase first."""
    at, ends = 0, False
    while at < len(words):
        word = words[at]
        known = next((each for each in phrases.get(word, ()) if words[at : at + len(each[0])] == each[0]), None)
        if known is not None:
            at, ends = at + len(known[0]), known[1] or (ends and word in _POLITE)
        elif word in BACK_CHANNELS or word in _PRAISE or _HUM.fullmatch(word) or _DRAWN_OUT.fullmatch(word):
            at, ends = at + 1, True
        elif word in _BEFORE:
            at, ends = at + 1, False
        else:
            rest = words[at:]
            return _BEGINNING if any(each[: len(rest)] == rest for each, _ in phrases.get(word, ())) else _OTHER
    return _WHOLE_REMARK if ends else _BEGINNING if words else _OTHER
