"""Interpolated modified Kneser-Ney smoothing of a trigram model.

Chen and Goodman, "An empirical study of smoothing techniques for language modeling" (1998), section 3:
three discounts per order from the counts of counts, lower orders from continuation counts (how many
different words come before an n-gram), except n-grams that begin a sentence, which nothing precedes.

A model is held as plain dictionaries from n-gram to probability, with back-off weights for the contexts;
`prob()` walks them as any ARPA reader does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

START, END, UNKNOWN = "<s>", "</s>", "<UNK>"
NGram = tuple[str, ...]
ORDER = 3


@dataclass(slots=True)
class Model:
    """`probs[n-1]` maps n-grams to probabilities, `backoffs[n-1]` their weights as contexts (1 where absent)."""

    probs: list[dict[NGram, float]] = field(default_factory=lambda: [{} for _ in range(ORDER)])
    backoffs: list[dict[NGram, float]] = field(default_factory=lambda: [{} for _ in range(ORDER - 1)])

    def prob(self, ngram: NGram) -> float:
        """p(last word | the words before it); zero only for a word outside of the vocabulary."""
        weight = 1.0
        while len(ngram) > 1:
            found = self.probs[len(ngram) - 1].get(ngram)
            if found is not None:
                return weight * found
            weight *= self.backoffs[len(ngram) - 2].get(ngram[:-1], 1.0)
            ngram = ngram[1:]
        return weight * self.probs[0].get(ngram, 0.0)

    def vocabulary(self) -> frozenset[str]:
        return frozenset(ngram[0] for ngram in self.probs[0])


def count(sentences: Iterable[tuple[Sequence[str], float]]) -> list[Counter[NGram]]:
    """Weighted n-gram counts of sentences, orders 1 to 3, with one sentence start and end each."""
    counts: list[Counter[NGram]] = [Counter() for _ in range(ORDER)]
    for words, weight in sentences:
        padded = (START, *words, END)
        for n in range(1, ORDER + 1):
            for index in range(len(padded) - n + 1):
                counts[n - 1][padded[index : index + n]] += weight  # type: ignore[assignment]
    del counts[0][(START,)]
    return counts


def continuation(counts: list[Counter[NGram]]) -> list[Counter[NGram]]:
    """Counts for the lower orders: by how many different words an n-gram is preceded."""
    adjusted: list[Counter[NGram]] = [Counter() for _ in range(ORDER - 1)] + [counts[-1]]
    for n in range(ORDER - 1):
        for ngram in counts[n + 1]:
            adjusted[n][ngram[1:]] += 1
        if n > 0:
            for ngram, number in counts[n].items():
                if ngram[0] == START:
                    adjusted[n][ngram] = number
    return adjusted


def discounts(counts: Mapping[NGram, float]) -> tuple[float, float, float]:
    """D1, D2 and D3+ of one order; 0.5, 1, 1.5 where the counts of counts do not allow an estimate."""
    n1, n2, n3, n4 = (sum(1 for number in counts.values() if k - 0.5 < number <= k + 0.5) for k in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return 0.5, 1.0, 1.5
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return found if all(0 < d < k + 1 for k, d in enumerate(found)) else (0.5, 1.0, 1.5)  # type: ignore[return-value]


def estimate(counts: list[Counter[NGram]], floor: Mapping[str, float]) -> Model:
    """A trigram model of the counts over the vocabulary of `floor`, a unigram distribution to fall back on.

    Every word of the counts must be in `floor` or be the sentence end. Deterministic.
    """
    model = Model()
    adjusted = continuation(counts)
    total_floor = sum(floor.values())
    for n in range(1, ORDER + 1):
        level = adjusted[n - 1]
        d1, d2, d3 = discounts(level)
        totals: Counter[NGram] = Counter()
        kept: Counter[NGram] = Counter()
        for ngram, number in level.items():
            taken = min(number, d1 if number < 1.5 else d2 if number < 2.5 else d3)
            totals[ngram[:-1]] += number
            kept[ngram[:-1]] += taken  # type: ignore[assignment]
        for ngram in sorted(level):
            context, number = ngram[:-1], level[ngram]
            taken = min(number, d1 if number < 1.5 else d2 if number < 2.5 else d3)
            lower = model.prob(ngram[1:]) if n > 1 else floor.get(ngram[0], 0.0) / total_floor
            model.probs[n - 1][ngram] = ((number - taken) + kept[context] * lower) / totals[context]
        if n == 1:
            rest = kept[()] / totals[()]
            for word, share in floor.items():
                model.probs[0].setdefault((word,), rest * share / total_floor)
        else:
            for context, mass in kept.items():
                model.backoffs[n - 2][context] = mass / totals[context]
    return model
