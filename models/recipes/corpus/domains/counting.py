"""Counting up and down, by steps, the alphabet, number lists: the long answers that tests interrupt."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import INTERRUPTED, Dialogue, Turn, talk
from models.recipes.corpus.number_words import capital, words
from models.recipes.corpus.phrases import polite, say

WEIGHT = 1.2

_GO_ON = "(go on|continue|keep going|please continue|go ahead|carry on|and then|keep counting)"


def _line(numbers: list[int]) -> str:
    return capital(", ".join(words(number) for number in numbers)) + "."


def _count(rng: random.Random) -> tuple[str, list[int]]:
    roll = rng.random()
    if roll < 0.5:
        start, top = 1, rng.choice((3, 5, 8, 10, 10, 12, 15, 20, 20, 20, 25, 30, 40, 50))
        ask = "count (from one to|up to|to) {n} [for me]"
        return say(rng, (ask, "count to {n}", "count from one to {n}", "can you count to {n}"), n=words(top)), list(
            range(start, top + 1)
        )
    if roll < 0.65:
        start = rng.randint(2, 60)
        top = start + rng.randint(2, 15)
        return say(rng, "count from {a} to {b}", a=words(start), b=words(top)), list(range(start, top + 1))
    if roll < 0.85:
        start = rng.choice((3, 5, 10, 10, 10, 12, 15, 20, 20))
        ask = (
            "count (down|backwards) from {n} [to one]",
            "count from {n} [down|backwards] to one",
            "(do|start) a countdown from {n}",
        )
        return say(rng, ask, n=words(start)), list(range(start, 0, -1))
    step = rng.choice((2, 2, 5, 10, 3))
    top = step * rng.choice((5, 6, 8, 10))
    names = {2: "twos", 3: "threes", 5: "fives", 10: "tens"}
    return say(rng, "count [up] (by|in) {s} [up] to {n}", s=names[step], n=words(top)), list(
        range(step, top + 1, step)
    )


def _counting(rng: random.Random) -> Dialogue:
    ask, numbers = _count(rng)
    ask = polite(rng, ask)
    roll = rng.random()
    if roll < 0.2 and len(numbers) > 4:
        # Interrupted while counting, then asked to go on: from the number after the last one heard.
        cut = rng.randint(2, len(numbers) - 1)
        heard_part = _line(numbers[:cut])[:-1]
        rest = _line(numbers[cut:])
        turns = (
            Turn("user", ask),
            Turn("assistant", f"{heard_part}, {INTERRUPTED}", learn=False),
            Turn("user", say(rng, _GO_ON)),
            Turn("assistant", rest),
        )
        return Dialogue(turns, key=(rest,))
    return talk(ask, _line(numbers), key=(_line(numbers),))


def _next_number(rng: random.Random) -> Dialogue:
    number = rng.randint(1, 99)
    if rng.random() < 0.5:
        return talk(
            say(rng, "(what number comes|which number comes|what comes) after {n}", n=words(number)),
            capital(f"after {words(number)} comes {words(number + 1)}."),
            key=(f"comes {words(number + 1)}.",),
        )
    return talk(
        say(rng, "(what number comes|which number comes|what comes) before {n}", n=words(number)),
        capital(f"before {words(number)} comes {words(number - 1)}."),
        key=(f"comes {words(number - 1)}.",),
    )


def _alphabet(rng: random.Random) -> Dialogue:
    return talk(
        say(rng, "(say|tell me|recite) the (alphabet|a b c)"),
        "A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S, T, U, V, W, X, Y, Z.",
        key=("P, Q, R, S, T",),
    )


def _table(rng: random.Random) -> Dialogue:
    of = rng.randint(2, 12)
    numbers = [of * factor for factor in range(1, 11)]
    return talk(
        say(rng, "(say|tell me|give me|what is) the {n} times table", n=words(of)),
        _line(numbers),
        key=(_line(numbers),),
    )


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    while True:
        yield rng.choices((_counting, _next_number, _alphabet, _table), (6, 2, 0.5, 0.7))[0](rng)
