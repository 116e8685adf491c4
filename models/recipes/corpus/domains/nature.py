"""Planets, elements, animals, records and a set of single facts."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.facts.nature import ANIMALS, ELEMENTS, PLAIN_FACTS, PLANETS, RECORDS
from models.recipes.corpus.phrases import asked, say
from models.recipes.corpus.relations import Relation, endless

WEIGHT = 2.2


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


_KNOWN_BABIES = [(_with_article(row[0]), row[1]) for row in ANIMALS]
_SOUNDS = [(_with_article(row[0]), row[3]) for row in ANIMALS if "sound" not in row[3] and "song" not in row[3]]

RELATIONS = (
    Relation(
        [(row[0], row[3]) for row in PLANETS],
        ask=(
            "(what is|what's) {a}",
            "tell me [something] about {a}",
            "what do you know about {a}",
            "what kind of planet is {a}",
        ),
        answer=("{a} is {b}.",),
    ),
    Relation(
        [(row[0], row[2]) for row in PLANETS],
        ask=("how many moons does {a} have", "does {a} have [any] moons", "how many moons has {a}"),
        answer=("{a} {b}.",),
    ),
    Relation(
        [(row[1], row[0]) for row in PLANETS],
        ask=(
            "(what is|what's|which is) the {a} planet [from the sun]",
            "which planet is {a} from the sun",
        ),
        answer=("{b} is the {a} planet from the sun.", "That is {b}."),
        follow=("and the {a}", "and the {a} one", "what about the {a}"),
    ),
    Relation(
        [(row[0], row[1]) for row in ELEMENTS],
        ask=(
            "(what is|what's) the [chemical] symbol (of|for) {a}",
            "which symbol does {a} have",
            "what is the symbol {a} has",
        ),
        answer=("The symbol for {a} is {b}.",),
        weight=1.2,
    ),
    Relation(
        [(row[0], row[2]) for row in ELEMENTS],
        ask=("(what is|what's) the atomic number of {a}", "which atomic number does {a} have"),
        answer=("The atomic number of {a} is {b}.", "It is {b}."),
    ),
    Relation(
        [(row[0], row[3]) for row in ELEMENTS if row[0] not in ("mercury",)],
        ask=(
            "(what is|what's) {a}",
            "what kind of element is {a}",
            "tell me about {a}",
            "what do you know about {a}",
        ),
        answer=("{a} is {b}.",),
        weight=1.2,
    ),
    Relation(
        _KNOWN_BABIES,
        ask=(
            "what do you call {a}'s baby",
            "(what is|what's) the young of {a} called",
            "what is the baby of {a} called",
            "(what is|what's) the baby of {a}",
        ),
        answer=("The young of {a} is called a {b}.", "A {b}."),
    ),
    Relation(
        _SOUNDS,
        ask=("what sound does {a} make", "what noise does {a} make", "what does {a} say", "how does {a} sound"),
        answer=("{a} goes {b}.", "It goes {b}."),
    ),
    Relation(
        [(_with_article(row[0]), row[2]) for row in ANIMALS if "strong" not in row[2]],
        ask=("how many legs does {a} have", "how many legs has {a}"),
        answer=("{a} has {b}.",),
        weight=0.8,
    ),
    Relation(
        [(_with_article(row[0]), row[4]) for row in ANIMALS],
        ask=("what kind of animal is {a}", "what type of animal is {a}", "what is {a}", "what's {a}"),
        answer=("{a} is {b}.",),
        check=("is {a} {b}",),
        weight=1.2,
    ),
)


def _record(rng: random.Random) -> Dialogue:
    what, answer = rng.choice(RECORDS)
    return talk(
        asked(rng, say(rng, ("(what is|what's) the {what}", "which is the {what}"), what=what)), answer, key=(answer,)
    )


def _plain(rng: random.Random) -> Dialogue:
    question, answer = rng.choice(PLAIN_FACTS)
    return talk(asked(rng, say(rng, question)), answer, key=(answer,))


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    relations = endless(rng, RELATIONS)
    while True:
        roll = rng.random()
        if roll < 0.1:
            yield _record(rng)
        elif roll < 0.45:
            yield _plain(rng)
        else:
            yield next(relations)
