"""Does a transcript stop where a clause cannot? Pure.

Recognisers give words without reliable punctuation, so the last words tell: a conjunction, an article, a
preposition that opens a phrase, a question that has only begun, a hesitation, digits that are being dictated. Some of
these words do end a question: "what is it made of", "tell me what fog is". Only words that rarely end an English or
German utterance are listed: a wrong guess costs the user a second of wait.
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
    r"|remind(?: me(?: to)?)?|set a|(?:can|could|may) (?:i|we)(?: get| have)?|do you(?: know)?|let me"
    r"|(?:is|are) there|set|put|add|create|tell|send|show(?: me)?|(?:turn|switch)(?: on| off| up| down)?"
    r"|what (?:time|day|kind)|(?:set|start|create|make) (?:a|an|my|the|another) (?:timer|alarm|reminder)"
    r"|was ist|wie viel|kannst du|ich möchte|ich will)",
    re.IGNORECASE,
)
_LEAD_INS = frozenset(
    "okay ok so well um uh hey hi hello yes yeah no and now then also oh right alright please".split()
)
_ASKING = frozenset("what what's who who's which where where's when how how's why whose".split())
_VERBS_AND = {
    "of": "made part think", "from": "come comes came made you i", "at": "good look looking",
    "to": "talk talking listen listening speak speaking belong set connected married related go going up",
    "for": "ask asked set used vote wait waiting look looking good known famous stand pay",
    "with": "happened wrong start help do",
}  # fmt: skip
"""What these may follow at the end of a question."""
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
    while len(words) > 1 and words[0] in _LEAD_INS:
        words = words[1:]
    if _BEGUN.fullmatch(" ".join(words)) or (words[-1] in _OPENERS and not _ends_a_question(words)):
        return True
    return _DICTATED <= _digits_at_end(words) < _WHOLE_NUMBER


def _ends_a_question(words: list[str]) -> bool:
    """With a word that otherwise opens something."""
    asking = next((place for place, word in enumerate(words) if word in _ASKING), len(words))
    if asking >= len(words) - 2:
        return False
    last = words[-1]
    if last in ("is", "are", "was", "were"):
        return asking > 0 or "did" in words  # "tell me what fog is", but not "what time is"
    return last in ("like", "then") or words[-2] in _VERBS_AND.get(last, "").split()


def _digits_at_end(words: list[str]) -> int:
    """How many single digits end the text; a longer figure ("42") is a number that was said whole."""
    count = 0
    for word in reversed(words):
        if word not in _DIGITS and not (word.isdigit() and len(word) == 1):
            break
        count += 1
    return count
