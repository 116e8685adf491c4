"""The sentences the language model learns: user turns of the dialogue corpus, weighted for a voice assistant.

What people say to an assistant is not what a chat model must practise: here requests about the house, timers,
music and lists weigh more, invented names (which the chat model learns to copy) are left out, and requests
also come in the clipped form that people use with machines ("turn off kitchen light").
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection

from models.recipes.corpus.dialogue import load_domains

SHARES = {
    "home": 20.0,
    "timers": 7.0,
    "media": 6.0,
    "lists": 4.0,
    "control": 3.0,
    "calendar": 4.0,
    "refusals": 3.0,
    "geography": 1.5,
    "arithmetic": 1.2,
    "greetings": 1.0,
    "identity": 1.0,
    "smalltalk": 1.0,
    "nature": 0.8,
    "language": 0.8,
    "explain": 0.8,
    "memory": 0.8,
    "jokes": 0.6,
    "stories": 0.6,
    "counting": 0.5,
}
"""Shares of the lines by domain; a domain not named here gets `OTHER_SHARE`."""
OTHER_SHARE = 0.7
CLIPPED = frozenset(("home", "timers", "media", "lists", "calendar"))
DETERMINERS = frozenset(("the", "a", "an", "my"))
CLIP_EVERY = 2
"""One request in so many is written a second time without its articles."""
FOLLOW_UPS = 0.3
"""Share of the later turns of dialogues: "and in the bedroom too" is said less often than what it follows."""
LEAD_INS = frozenset(("hey", "okay", "so", "and", "quick", "now", "also", "actually", "no"))
LEAD_IN_SHARE = 0.3

Sentence = tuple[str, ...]


def sentences(
    lines: int, seed: int, vocabulary: Collection[str], refuse: Callable[[str], bool]
) -> tuple[Counter[Sentence], int]:
    """About `lines` sentences with their counts, and how many `refuse` dropped.

    Sentences with a word outside of `vocabulary` (the pronouncing dictionary) are left out.
    """
    found: Counter[Sentence] = Counter()
    refused = 0
    domains = load_domains()
    total = sum(SHARES.get(domain.name, OTHER_SHARE) for domain in domains)
    for domain in domains:
        wanted = round(lines * SHARES.get(domain.name, OTHER_SHARE) / total)
        rng = random.Random(f"{seed}/{domain.name}/lm")
        stream = domain.dialogues(random.Random(f"{seed}/{domain.name}"))
        tries = 0
        while wanted > 0 and tries < 20 * lines:
            for turn, line in enumerate(next(stream).user_lines()):
                tries += 1
                if turn > 0 and rng.random() > FOLLOW_UPS:
                    continue
                if line.split()[0] in LEAD_INS and rng.random() > LEAD_IN_SHARE:
                    continue
                for form in _forms(line, domain.name, rng):
                    words = tuple(form.split())
                    if refuse(form):
                        refused += 1
                    elif all(word in vocabulary for word in words):
                        found[words] += 1
                        wanted -= 1
    return found, refused


def _forms(line: str, domain: str, rng: random.Random) -> list[str]:
    forms = [line]
    if domain in CLIPPED and rng.randrange(CLIP_EVERY) == 0:
        clipped = " ".join(word for word in line.split() if word not in DETERMINERS)
        if clipped and clipped != line:
            forms.append(clipped)
    return forms
