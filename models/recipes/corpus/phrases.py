"""A small pattern language for phrases: `(a|b)` picks one, `[a|b]` picks one or nothing, `{slot}` is filled.

`say(rng, "(what is|what's) the capital [city] of {place}", place="france")`. Groups nest. Slots are
filled after the choice, so a slot's value may hold any character.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Sequence
from functools import cache

Piece = str | tuple["Sequence_", ...]
"""A literal, or a choice between sequences."""
Sequence_ = tuple["Piece", ...]

_TOKEN = re.compile(r"[(\[|\])]|[^(\[|\])]+")
_CLOSES = {"(": ")", "[": "]"}


@cache
def _parse(pattern: str) -> Sequence_:
    tokens = _TOKEN.findall(pattern)
    position = 0

    def choice(closing: str | None) -> tuple[Sequence_, ...]:
        nonlocal position
        options: list[Sequence_] = []
        current: list[Piece] = []
        while position < len(tokens):
            token = tokens[position]
            position += 1
            if token in _CLOSES:
                inside = choice(_CLOSES[token])
                # An optional group is empty half the time, however many alternatives it holds.
                current.append(inside if token == "(" else ((), (inside,)))
            elif token == "|":
                options.append(tuple(current))
                current = []
            elif token == closing:
                return (*options, tuple(current))
            elif token in ")]":
                raise ValueError(f"unbalanced {token!r} in {pattern!r}")
            else:
                current.append(token)
        if closing is not None:
            raise ValueError(f"missing {closing!r} in {pattern!r}")
        return (*options, tuple(current))

    options = choice(None)
    return options[0] if len(options) == 1 else (options,)


def _expand(rng: random.Random, sequence: Sequence_) -> str:
    return "".join(piece if isinstance(piece, str) else _expand(rng, rng.choice(piece)) for piece in sequence)


def say(rng: random.Random, patterns: str | Sequence[str], /, **slots: object) -> str:
    """One phrase of a pattern (or of one of several patterns, all equally likely), slots filled.

    Raises ValueError for unbalanced brackets and KeyError for a slot that was not given.
    """
    pattern = patterns if isinstance(patterns, str) else rng.choice(patterns)
    text = _expand(rng, _parse(pattern))
    return " ".join(text.format(**slots).split())


def heard(text: str) -> str:
    """Written text as a recogniser would give it: lower case, no accents, letters and apostrophes only."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return " ".join(re.sub(r"[^a-z']+", " ", plain).split())


def polite(rng: random.Random, request: str) -> str:
    """A request with now and then a word before or after it, as people talk to a machine."""
    roll = rng.random()
    if roll < 0.06:
        return f"please {request}"
    if roll < 0.14:
        return f"{request} please"
    if roll < 0.24:
        return f"{rng.choice(('can you', 'could you', 'can you please', 'would you', 'i want you to'))} {request}"
    return request


def asked(rng: random.Random, question: str) -> str:
    """A question with now and then a lead-in."""
    roll = rng.random()
    if roll < 0.03:
        return f"{question} please"
    if roll < 0.13:
        lead = rng.choice(("hey", "okay", "so", "tell me", "do you know", "can you tell me", "and", "quick question"))
        return f"{lead} {question}"
    return question
