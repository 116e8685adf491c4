"""A relation between things (country, capital) as questions, follow-ups, reversals and yes/no questions."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.recipes.corpus.dialogue import Dialogue, talk
from models.recipes.corpus.phrases import asked, heard, say


@dataclass(frozen=True, slots=True)
class Relation:
    """`pairs` of (thing, value) as written; patterns use {a} and {b}: heard form for users, written in answers."""

    pairs: Sequence[tuple[str, str]]
    ask: Sequence[str]
    answer: Sequence[str]
    follow: Sequence[str] = ("and {a}", "what about {a}", "and for {a}", "how about {a}")
    reverse: Sequence[str] = ()
    reverse_answer: Sequence[str] = ()
    check: Sequence[str] = ()
    wrong: Sequence[str] = ("No, {right}",)
    weight: float = 1.0

    def _question(self, rng: random.Random, pair: tuple[str, str]) -> str:
        return asked(rng, say(rng, self.ask, a=heard(pair[0]), b=heard(pair[1])))

    def _answer(self, rng: random.Random, pair: tuple[str, str]) -> str:
        return first_upper(say(rng, self.answer, a=pair[0], b=pair[1]))

    def dialogue(self, rng: random.Random) -> Dialogue:
        """One dialogue of one to four turns about this relation."""
        pair = rng.choice(self.pairs)
        roll = rng.random()
        if self.check and roll < 0.15:
            return self._yes_no(rng, pair)
        if self.reverse and roll < 0.35:
            question = asked(rng, say(rng, self.reverse, a=heard(pair[0]), b=heard(pair[1])))
            answer = first_upper(say(rng, self.reverse_answer, a=pair[0], b=pair[1]))
            return talk(question, answer, key=(pair[0],))
        turns = [self._question(rng, pair), self._answer(rng, pair)]
        while self.follow and rng.random() < 0.3 and len(turns) < 8:
            pair = rng.choice(self.pairs)
            turns += [say(rng, self.follow, a=heard(pair[0])), self._answer(rng, pair)]
        return talk(*turns, key=(pair[1],))

    def _yes_no(self, rng: random.Random, pair: tuple[str, str]) -> Dialogue:
        right = say(rng, self.answer, a=pair[0], b=pair[1])
        if rng.random() < 0.5:
            question = say(rng, self.check, a=heard(pair[0]), b=heard(pair[1]))
            return talk(question, f"Yes, {right}", key=("Yes", pair[1]))
        other = rng.choice(self.pairs)
        while other[1] == pair[1]:
            other = rng.choice(self.pairs)
        question = say(rng, self.check, a=heard(pair[0]), b=heard(other[1]))
        return talk(question, say(rng, self.wrong, right=right), key=("No", pair[1]))


def first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def endless(rng: random.Random, relations: Sequence[Relation]) -> Iterator[Dialogue]:
    """Dialogues from all relations by weight, without end."""
    weights = [relation.weight for relation in relations]
    while True:
        yield rng.choices(relations, weights)[0].dialogue(rng)


def table(text: str, columns: int) -> list[tuple[str, ...]]:
    """Rows of a `a | b | c` table. Raises ValueError for a row with another number of cells."""
    rows = [tuple(cell.strip() for cell in line.split("|")) for line in text.strip().splitlines() if line.strip()]
    for row in rows:
        if len(row) != columns:
            raise ValueError(f"{len(row)} cells where {columns} are wanted: {row}")
    return rows
