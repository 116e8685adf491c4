"""Arithmetic in words: small numbers, tables, halves, percents, running totals, and an honest limit."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.number_words import capital, words
from models.recipes.corpus.phrases import asked, say

WEIGHT = 3.4

_LEAD = "(what is|what's|how much is|calculate|what do you get for)"


def _number(rng: random.Random) -> int:
    """Mostly small, as people ask."""
    roll = rng.random()
    if roll < 0.6:
        return rng.randint(1, 12)
    return rng.randint(1, 20) if roll < 0.85 else rng.randint(1, 60)


def _problem(rng: random.Random) -> tuple[str, str, int]:
    """(question, spoken sum without result, result)."""
    kind = rng.choices(("plus", "minus", "times", "divided"), (4, 3, 4, 2))[0]
    if kind == "plus":
        a, b = _number(rng), _number(rng)
        question = say(
            rng,
            (f"{_LEAD} {{a}} plus {{b}}", f"{_LEAD} {{a}} and {{b}}", "add {a} and {b}", "{a} plus {b}"),
            a=words(a),
            b=words(b),
        )
        return question, f"{words(a)} plus {words(b)}", a + b
    if kind == "minus":
        b = _number(rng)
        a = b + (rng.randint(0, 12) if rng.random() < 0.8 else rng.randint(0, 40))
        question = say(
            rng,
            (
                f"{_LEAD} {{a}} minus {{b}}",
                "{a} minus {b}",
                "(subtract|take) {b} from {a}",
                f"{_LEAD} {{a}} minus {{b}}",
            ),
            a=words(a),
            b=words(b),
        )
        return question, f"{words(a)} minus {words(b)}", a - b
    a, b = rng.randint(1, 12), rng.randint(1, 12)
    if kind == "times":
        question = say(
            rng,
            (
                f"{_LEAD} {{a}} times {{b}}",
                f"{_LEAD} {{a}} multiplied by {{b}}",
                "multiply {a} (by|and) {b}",
                "{a} times {b}",
            ),
            a=words(a),
            b=words(b),
        )
        return question, f"{words(a)} times {words(b)}", a * b
    question = say(
        rng,
        (f"{_LEAD} {{a}} divided by {{b}}", "divide {a} by {b}", "{a} divided by {b}"),
        a=words(a * b),
        b=words(b),
    )
    return question, f"{words(a * b)} divided by {words(b)}", a


def _answer(rng: random.Random, spoken: str, result: int) -> str:
    if rng.random() < 0.15:
        return capital(f"{words(result)}.")
    return capital(f"{spoken} is {words(result)}.")


def _single(rng: random.Random) -> Dialogue:
    question, spoken, result = _problem(rng)
    turns = [asked(rng, question), _answer(rng, spoken, result)]
    key = (words(result),)
    while rng.random() < 0.3 and len(turns) < 8:
        step = rng.randint(1, 12)
        if rng.random() < 0.65 or result < step:
            turns.append(
                say(
                    rng,
                    ("and plus {n}", "plus {n}", "add {n}", "and [now] add {n} to that", "and {n} more"),
                    n=words(step),
                )
            )
            spoken, result = f"{words(result)} plus {words(step)}", result + step
        elif rng.random() < 0.7 or result > 12:
            turns.append(say(rng, ("and minus {n}", "minus {n}", "take away {n}", "and subtract {n}"), n=words(step)))
            spoken, result = f"{words(result)} minus {words(step)}", result - step
        else:
            turns.append(say(rng, ("and times {n}", "times {n}", "multiply that by {n}"), n=words(step)))
            spoken, result = f"{words(result)} times {words(step)}", result * step
        turns.append(capital(f"{spoken} is {words(result)}."))
        key = (f"is {words(result)}.",)
    return talk(*turns, key=key)


def _what_about(rng: random.Random) -> Dialogue:
    a, b, c = rng.randint(1, 12), rng.randint(1, 12), rng.randint(1, 12)
    word, combine = rng.choice((("plus", a + b), ("times", a * b)))
    second = a + c if word == "plus" else a * c
    return talk(
        say(rng, f"{_LEAD} {{a}} {word} {{b}}", a=words(a), b=words(b)),
        capital(f"{words(a)} {word} {words(b)} is {words(combine)}."),
        say(
            rng,
            f"(and|what about|and what about) {word} {{c}}" if rng.random() < 0.5 else f"and {{a}} {word} {{c}}",
            a=words(a),
            c=words(c),
        ),
        capital(f"{words(a)} {word} {words(c)} is {words(second)}."),
        key=(f"is {words(second)}.",),
    )


def _other(rng: random.Random) -> Dialogue:
    kind = rng.choice(("half", "double", "percent", "square", "even", "bigger"))
    if kind == "half":
        n = rng.randint(1, 50)
        return talk(
            say(rng, ("(what is|what's) half of {n}", "half of {n}"), n=words(2 * n)),
            capital(f"half of {words(2 * n)} is {words(n)}."),
            key=(f"is {words(n)}.",),
        )
    if kind == "double":
        n = rng.randint(1, 50)
        return talk(
            say(rng, ("(what is|what's) (double|twice) {n}", "double {n}"), n=words(n)),
            capital(f"twice {words(n)} is {words(2 * n)}."),
            key=(f"is {words(2 * n)}.",),
        )
    if kind == "percent":
        n, percent = rng.choice((10, 20, 30, 40, 50, 60, 80, 100, 200, 300, 400, 500)), rng.choice((10, 20, 25, 50))
        if n * percent % 100:
            n, percent = 200, 25
        return talk(
            say(rng, "(what is|what's|how much is) {p} percent of {n}", p=words(percent), n=words(n)),
            capital(f"{words(percent)} percent of {words(n)} is {words(n * percent // 100)}."),
            key=(f"is {words(n * percent // 100)}.",),
        )
    if kind == "square":
        n = rng.randint(1, 12)
        if rng.random() < 0.5:
            return talk(
                say(rng, "(what is|what's) {n} squared", n=words(n)),
                capital(f"{words(n)} squared is {words(n * n)}."),
                key=(f"is {words(n * n)}.",),
            )
        return talk(
            say(rng, "(what is|what's) the square root of {n}", n=words(n * n)),
            capital(f"the square root of {words(n * n)} is {words(n)}."),
            key=(f"is {words(n)}.",),
        )
    if kind == "even":
        n = rng.randint(1, 60)
        truth = "even" if n % 2 == 0 else "odd"
        return talk(
            say(
                rng, ("is {n} (even or odd|odd or even)", "is {n} an even number", "is {n} an odd number"), n=words(n)
            ),
            f"{capital(words(n))} is {truth}.",
            key=(truth,),
        )
    a, b = rng.sample(range(1, 100), 2)
    return talk(
        say(
            rng,
            ("(what is|what's|which is) (bigger|larger|more) {a} or {b}", "which number is bigger {a} or {b}"),
            a=words(a),
            b=words(b),
        ),
        capital(f"{words(max(a, b))} is more than {words(min(a, b))}."),
        key=(f"{words(max(a, b))} is more",),
    )


def _too_big(rng: random.Random) -> Dialogue:
    a, b = rng.randint(101, 9999), rng.randint(13, 9999)
    operation = rng.choice(("times", "divided by", "plus", "minus", "multiplied by"))
    return talk(
        say(rng, f"{_LEAD} {{a}} {operation} {{b}}", a=words(a), b=words(b)),
        rng.choice(
            (
                "That is too big for me to work out reliably.",
                "Those numbers are too big for me. I would only guess.",
                "I only do small numbers. That one is too big for me.",
            )
        ),
        key=("too big",),
    )


def dialogues(rng: random.Random) -> Iterator[Dialogue]:
    while True:
        kind = rng.choices((_single, _other, _too_big, _what_about), (10, 2.5, 0.6, 0.7))[0]
        yield kind(rng)
