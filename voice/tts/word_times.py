"""Pure: from what an engine knows about time to the words of the text as they were written."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import inf

from voice.mouth.heard_words import spans
from voice.port import Word

__all__ = ["from_positions", "from_units"]

_MERGED = 4
"""So many words more than on average are said as one."""


def from_positions(
    text: str,
    starts: Sequence[tuple[int, float]],
    pauses_s: Sequence[float],
    end_s: float,
    sounds_s: Sequence[float] = (),
) -> tuple[Word, ...]:
    """`starts`: (character position, seconds) of everything that was begun to be spoken, in the order of time.

    An engine may report several beginnings for one written word ("1997"), or one for several ("on the"), which then
    share its time by their lengths. A word lasts until the next begins, or until the first of `pauses_s` (sorted)
    after its last beginning, and after the last of `sounds_s` (sorted) before the next: "FBI" has pauses in it.
    Without any beginning there are no words.
    """
    places = spans(text)
    firsts = [start for start, _ in places]
    begun: list[tuple[int, float, float]] = []  # word, its first beginning, its last
    for position, at_s in starts:
        index = bisect_right(firsts, position) - 1
        if index < 0 or position >= places[index][1]:
            continue
        if not begun or index > begun[-1][0]:
            begun.append((index, at_s, at_s))
        elif index == begun[-1][0]:
            begun[-1] = (index, begun[-1][1], max(begun[-1][2], at_s))
    words: list[Word] = []
    for nth, (index, at_s, last_s) in enumerate(begun):
        is_last = nth + 1 == len(begun)
        until_s = end_s if is_last else begun[nth + 1][1]
        sound = bisect_left(sounds_s, until_s)
        pause = bisect_right(pauses_s, max(last_s, sounds_s[sound - 1]) if sound else last_s)
        if pause < len(pauses_s):
            until_s = min(until_s, pauses_s[pause])
        first, after = (0 if nth == 0 else index), (len(places) if is_last else begun[nth + 1][0])
        words += _shared([text[a:b] for a, b in places[first:after]], at_s, max(at_s, until_s))
    return tuple(words)


def _shared(texts: Sequence[str], start_s: float, end_s: float) -> list[Word]:
    """Words that follow each other from `start_s` to `end_s`, each as long as it has letters."""
    total = sum(len(text) for text in texts)
    words, done = [], 0
    for text in texts:
        low, high = done / total, (done + len(text)) / total
        words.append(Word(text, start_s + low * (end_s - start_s), start_s + high * (end_s - start_s)))
        done += len(text)
    return words


def from_units(
    words: Sequence[str], alone: Sequence[Sequence[int]], units: Sequence[tuple[float, float, int]]
) -> list[Word]:
    """Lay written words over spoken units, in order: groups of phonemes between spaces, each with its start, its end
    and its number of phonemes.

    `alone`: the same numbers for each word when it is said by itself. "25" is two units, and "of the" may be one,
    whose time the two words share. Times are monotone and stay within the units.
    """
    if not words or not units:
        return []
    groups = [(word, length) for word, lengths in enumerate(alone) for length in lengths]
    times: list[tuple[float, float] | None] = [None] * len(words)
    last, begin = 0, 0
    for (start_s, end_s, _), count in zip(
        units, _runs([size for _, size in groups], [u[2] for u in units]), strict=True
    ):
        said, begin = groups[begin : begin + count], begin + count
        total = sum(size for _, size in said) or 1
        at_s = start_s
        for nth, (word, size) in enumerate(said, 1):
            until_s = end_s if nth == count else min(end_s, at_s + size / total * (end_s - start_s))
            times[word] = ((times[word] or (at_s, at_s))[0], until_s)
            last, at_s = word, until_s
        if not said:  # nobody's: a word is over when what follows it is
            times[last] = ((times[last] or (start_s, end_s))[0], end_s)
    found, at_s = [], units[0][0]
    for text, place in zip(words, times, strict=True):
        start_s, at_s = place or (at_s, at_s)
        found.append(Word(text, start_s, at_s))
    return found


def _runs(lengths: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """How many of `lengths`, one after the other, are each of `wanted`, so that their sums come as near as can be."""
    most = _MERGED + len(lengths) // len(wanted)
    costs, taken = [0.0, *[inf] * len(lengths)], []
    for want in wanted:
        before, costs, counts = costs, [inf] * len(costs), [0] * len(costs)
        for begin, cost in enumerate(before):
            if cost < inf:
                for end in range(begin, min(begin + most, len(lengths)) + 1):
                    total = cost + abs(sum(lengths[begin:end]) - want)
                    if total < costs[end]:
                        costs[end], counts[end] = total, end - begin
        taken.append(counts)
    found, at = [], len(lengths)
    for counts in reversed(taken):
        found.append(counts[at])
        at -= counts[at]
    return found[::-1]
