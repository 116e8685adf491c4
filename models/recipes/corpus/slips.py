"""How a clean user line really arrives: recogniser slips, or written style from a keyboard or Whisper.

Only training uses this; the corpus itself stays clean lower-case words.
"""

from __future__ import annotations

import random
import re

from models.recipes.corpus.number_words import words

_SOUNDS_LIKE = {
    "two": "to",
    "for": "four",
    "four": "for",
    "to": "two",
    "is": "as",
    "a": "the",
    "the": "a",
    "an": "a",
    "of": "off",
    "and": "in",
    "what's": "whats",
    "what": "what's",
    "your": "you're",
    "you": "your",
    "by": "buy",
    "i'm": "im",
    "tell": "till",
    "eight": "ate",
    "one": "won",
    "are": "our",
    "in": "and",
    "know": "no",
}
_FILLERS = ("uh", "um", "er", "hmm", "well", "okay", "so")
_QUESTION = (
    "what",
    "who",
    "where",
    "when",
    "which",
    "why",
    "how",
    "is",
    "are",
    "do",
    "does",
    "can",
    "could",
    "did",
    "will",
)
_NUMBERS = {words(number): str(number) for number in range(100, -1, -1)}
_NUMBER = re.compile(r"\b(" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + r")\b")
_BIG = re.compile(r"\b(hundred|thousand|point|half|first|second|third)\b")


def slip(rng: random.Random, line: str) -> str:
    """The line with one small fault of a recogniser: a filler, a lost article, a doubled or misheard word."""
    parts = line.split()
    at = rng.randrange(len(parts))
    roll = rng.random()
    if roll < 0.3:
        parts.insert(rng.choice((0, 0, at)), rng.choice(_FILLERS))
    elif roll < 0.55:
        articles = [index for index, word in enumerate(parts) if word in ("a", "an", "the", "is", "of", "in", "to")]
        if articles and len(parts) > 2:
            del parts[rng.choice(articles)]
    elif roll < 0.65:
        parts.insert(at, parts[at])
    elif roll < 0.9:
        known = [index for index, word in enumerate(parts) if word in _SOUNDS_LIKE]
        if known:
            index = rng.choice(known)
            parts[index] = _SOUNDS_LIKE[parts[index]]
    elif len(parts) > 4:
        del parts[rng.choice((0, -1)) if parts[-1] in ("please", "today", "now") else 0]
    return " ".join(parts)


def written(rng: random.Random, line: str, names: frozenset[str]) -> str:
    """The line as typed or as Whisper writes it: capitals, a full stop or question mark, often digits.

    `names` are words written with a capital in the dialogue's answers ("France").
    """
    by_heard = {name.lower(): name for name in names}
    if rng.random() < 0.6 and not _BIG.search(line):
        line = _NUMBER.sub(lambda match: _NUMBERS[match.group(1)], line)
        if rng.random() < 0.3:
            line = line.replace(" plus ", " + ").replace(" minus ", " - ")
    keep = rng.random() < 0.85
    parts = [by_heard.get(word, word) if keep else word for word in line.split()]
    parts = ["I" + word[1:] if word in ("i", "i'm", "i've") else word for word in parts]
    text = " ".join(parts)
    if rng.random() < 0.9:
        text = text[:1].upper() + text[1:]
    if rng.random() < 0.85:
        text += "?" if parts[0].lower().split("'")[0] in _QUESTION else "."
    return text
