"""Does a transcript stop where a clause cannot? Pure.

Recognisers give words without reliable punctuation, so the last words tell: a conjunction, an article, a
preposition that opens a phrase, a question that has only begun, a hesitation, digits that are being dictated.
Only words that rarely end an English or German utterance are listed: a wrong guess costs the user a second of wait.
"""

from __future__ import annotations

import re

__all__ = ["unfinished"]

# fmt: off
_OPENERS = frozenset((
    # conjunctions, articles, possessives
    "and", "or", "but", "because", "if", "when", "while", "although", "that's", "than", "then", "so", "the", "a",
    "my", "your", "his", "our", "their", "every", "und", "oder", "aber", "weil", "wenn", "dass", "der", "die",
    "das", "den", "dem", "ein", "eine", "einen", "einem", "mein", "meine", "dein", "deine",
    # prepositions that open a phrase; those that also end one (in, on, off, up, over) are left out
    "of", "from", "into", "at", "with", "without", "between", "during", "until", "for", "to", "by", "via", "per",
    "von", "für", "ohne", "zwischen", "bis", "zum", "zur", "beim", "im",
    # verbs that want something after them, pronouns that open
    "is", "are", "was", "were", "i'm", "i'll", "i'd", "we're", "you're", "let's", "whose", "which", "wants", "very",
    "ist", "sind", "ich", "wir",
    # hesitation
    "uh", "um", "er", "erm", "hmm", "äh", "ähm", "like",
))
_DIGITS = frozenset((
    "zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun",
))
# fmt: on
_BEGUN = re.compile(
    r"(?:what(?:'s| is| are| was| about)?|how (?:much|many|long|far|about)|where(?:'s| is)?|who(?:'s| is)?"
    r"|tell me(?: about)?|can you|could you|would you|i want|i want to|i would like|i'd like|i need|i think|give me"
    r"|remind me(?: to)?|set a"
    r"|was ist|wie viel|kannst du|ich möchte|ich will)",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_DICTATED = 2
_WHOLE_NUMBER = 7
"""So many digits in a row may be a telephone number: it is over."""


def unfinished(text: str) -> bool:
    """The speaker of `text` will probably go on."""
    text = text.strip()
    if not text or text.endswith(("?", "!")):
        return False
    if text.endswith((",", ":", "-", "–", "—", "...", "…")):
        return True
    words = [word.lower().replace("’", "'") for word in _WORDS.findall(text)]
    if not words:
        return False
    if words[-1] in _OPENERS or _BEGUN.fullmatch(" ".join(words)):
        return True
    return _DICTATED <= _digits_at_end(words) < _WHOLE_NUMBER


def _digits_at_end(words: list[str]) -> int:
    """How many single digits end the text; a longer figure ("42") is a number that was said whole."""
    count = 0
    for word in reversed(words):
        if word not in _DIGITS and not (word.isdigit() and len(word) == 1):
            break
        count += 1
    return count
