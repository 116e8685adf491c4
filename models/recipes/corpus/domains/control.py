"""Repeat that, stop, never mind, slower, and words that are not a request."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.facts.countries import COUNTRIES
from models.recipes.corpus.facts.nature import PLAIN_FACTS
from models.recipes.corpus.number_words import capital, words
from models.recipes.corpus.phrases import heard, say

WEIGHT = 1.4

_AGAIN = (
    "(say that again|repeat that|can you repeat that|please repeat [that]|what did you say|again please|what was that|"
    "could you say that again|say it again|come again|i didn't (hear|catch|get) that|sorry what|pardon|"
    "excuse me|one more time|could you repeat that please|repeat please|can you say it again)"
)
_STOP = "(stop|stop it|stop talking|be quiet|quiet|shut up|enough|that's enough|okay stop|please stop|silence|hush)"
_NEVER_MIND = "(never mind|forget it|forget about it|cancel|cancel that|no never mind|oh never mind|it's okay|nothing|no nothing|no thanks|no thank you|nope)"
_YES = "(yes|yeah|yep|sure|yes please|okay|of course|right|correct)"
_MUMBLE = "(uh|um|hmm|uh huh|mm hmm|oh|ah|well|so|and|the|er|huh)"
_TEST = "(testing|test|this is only a test|testing one two three|one two three|mic check|can i test you|just testing)"
_SLOWER = "(speak slower|talk slower|slower please|you talk too fast|speak more slowly|can you speak slower)"
_LOUDER = "(speak louder|louder please|i can't hear you|talk louder|you are too quiet)"


def _fact(rng: random.Random) -> tuple[str, str]:
    roll = rng.random()
    if roll < 0.4:
        country, city = rng.choice(COUNTRIES)[:2]
        return f"what is the capital of {heard(country)}", f"The capital of {country} is {city}."
    if roll < 0.7:
        a, b = rng.randint(1, 12), rng.randint(1, 12)
        return f"what is {words(a)} plus {words(b)}", capital(f"{words(a)} plus {words(b)} is {words(a + b)}.")
    question, answer = rng.choice(PLAIN_FACTS)
    return say(rng, question), answer


def _repeat(rng: random.Random) -> Dialogue:
    question, answer = _fact(rng)
    turns = [question, answer, say(rng, _AGAIN), answer]
    if rng.random() < 0.3:
        question, answer = _fact(rng)
        turns += [question, answer]
        if rng.random() < 0.5:
            turns += [say(rng, _AGAIN), answer]
    return talk(*turns, key=(answer,))


def _nothing_to_repeat(rng: random.Random) -> Dialogue:
    return talk(say(rng, _AGAIN), "I haven't said anything yet.")


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    while True:
        roll = rng.random()
        before = _fact(rng) if rng.random() < 0.5 else ()
        if roll < 0.35:
            yield _repeat(rng)
        elif roll < 0.37:
            yield _nothing_to_repeat(rng)
        elif roll < 0.53:
            yield talk(*before, say(rng, _STOP), rng.choice(("Okay.", "All right.", "Okay, I'll be quiet.")))
        elif roll < 0.69:
            yield talk(*before, say(rng, _NEVER_MIND), rng.choice(("Okay.", "All right.", "No problem.")))
        elif roll < 0.76:
            yield talk(
                *before, say(rng, _YES), rng.choice(("Good. What can I do for you?", "Okay. What would you like?"))
            )
        elif roll < 0.86:
            yield talk(*before, say(rng, _MUMBLE), rng.choice(("Yes? I'm listening.", "I'm listening.", "Yes?")))
        elif roll < 0.92:
            yield talk(say(rng, _TEST), rng.choice(("I hear you well.", "Yes, I hear you. It works.")))
        elif roll < 0.96:
            yield talk(
                *before, say(rng, _SLOWER), "I can't change that myself. You can set my speed in the settings."
            )
        else:
            yield talk(*before, say(rng, _LOUDER), "I can't change that myself. Please turn up your speaker.")
