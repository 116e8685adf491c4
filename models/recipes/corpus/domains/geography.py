"""Capitals, continents, currencies, languages, cities, landmarks, extremes."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.facts.countries import CITIES, COUNTRIES, LANDMARKS, SUPERLATIVES
from models.recipes.corpus.phrases import asked, heard, say
from models.recipes.corpus.relations import Relation, endless

WEIGHT = 3.2

# America, England and the like share a capital with another name; a reversed question would be ambiguous.
_CAPITALS = [(row[0], row[1]) for row in COUNTRIES]
_ONE_NAME = [pair for pair in _CAPITALS if pair[0] not in ("America", "Great Britain")]

RELATIONS = (
    Relation(
        _CAPITALS,
        ask=(
            "(what is|what's) the capital [city] of {a}",
            "(what is|what's) {a}'s capital [city]",
            "(tell me|do you know|name|give me) the capital [city] of {a}",
            "which city is the capital of {a}",
            "capital of {a}",
            "what city is the capital of {a}",
        ),
        answer=(
            "(the capital of {a} is {b}.|the capital of {a} is {b}.|{b} is the capital of {a}.|It is {b}.|{b}.)",
        ),
        follow=(
            "and of {a}",
            "and {a}",
            "what about {a}",
            "and the capital of {a}",
            "how about {a}",
            "what about the one of {a}",
            "and what is it for {a}",
        ),
        weight=4,
    ),
    Relation(
        [(capital, country) for country, capital in _ONE_NAME],
        ask=("{a} is the capital of (which|what) country", "(which|what) country has {a} as its capital"),
        answer=("{a} is the capital of {b}.",),
        follow=(),
        weight=0.8,
    ),
    Relation(
        _CAPITALS,
        ask=("what is the capital of {a}",),
        answer=("the capital of {a} is {b}.",),
        follow=(),
        check=("is {b} the capital of {a}", "is {b} really the capital of {a}", "{b} is the capital of {a} right"),
        weight=0.8,
    ),
    Relation(
        [(row[0], row[2]) for row in COUNTRIES],
        ask=(
            "(what|which) continent is {a} (on|in|part of)",
            "where in the world is {a}",
            "where is {a}",
            "on (which|what) continent is {a}",
        ),
        answer=("{a} is in {b}.", "{a} is in {b}.", "In {b}."),
        check=("is {a} in {b}",),
        wrong=("No, {right}",),
        weight=1.2,
    ),
    Relation(
        [(row[0], row[3]) for row in COUNTRIES],
        ask=(
            "(what is|what's) the (currency|money) (of|in) {a}",
            "(what|which) currency (do they use|is used|do people use) in {a}",
            "what money do they use in {a}",
            "how do you pay in {a}",
            "what do they pay with in {a}",
        ),
        answer=("The currency of {a} is {b}.", "In {a} people pay with {b}.", "They use {b}."),
        weight=1.2,
    ),
    Relation(
        [(row[0], row[4]) for row in COUNTRIES],
        ask=(
            "(what|which) language (do they|do people) speak in {a}",
            "(what|which) language is spoken in {a}",
            "(what is|what's) the [main|official] language (of|in) {a}",
            "what do they speak in {a}",
        ),
        answer=("In {a} people speak mainly {b}.", "Mainly {b}.", "They speak mainly {b} in {a}."),
        weight=1.2,
    ),
    Relation(
        CITIES,
        ask=(
            "(what|which) country is {a} in",
            "where is {a}",
            "in (what|which) country is {a}",
            "where is the city of {a}",
        ),
        answer=("{a} is in {b}.", "{a} is a city in {b}.", "In {b}."),
        weight=1.0,
    ),
    Relation(
        [(row[1], row[0]) for row in _ONE_NAME],
        ask=("where is {a}", "(what|which) country is {a} in", "in (what|which) country is {a}"),
        answer=("{a} is in {b}.", "{a} is the capital of {b}.", "In {b}."),
        weight=0.8,
    ),
    Relation(
        LANDMARKS,
        ask=("where is {a}", "where can i (find|see) {a}", "where do i find {a}"),
        answer=("{a}? In {b}.", "In {b}."),
        weight=0.6,
    ),
)


def _extremes(rng: random.Random) -> Dialogue:
    what, answer = rng.choice(SUPERLATIVES)
    question = say(
        rng,
        (
            "(what is|what's) the {what} [in the world|on earth]",
            "which is the {what}",
            "tell me the {what} in the world",
        ),
        what=heard(what),
    )
    return talk(asked(rng, question), answer, key=(answer,))


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    relations = endless(rng, RELATIONS)
    while True:
        yield _extremes(rng) if rng.random() < 0.07 else next(relations)
