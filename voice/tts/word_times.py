"""Pure: from what an engine knows about time to the words of the text as they were written."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from voice.mouth.heard_words import spans
from voice.port import Word

__all__ = ["from_positions", "from_units"]


def from_positions(
    text: str, starts: Sequence[tuple[int, float]], pauses_s: Sequence[float], end_s: float
) -> tuple[Word, ...]:
    """`starts`: (character position, seconds) of everything that was begun to be spoken, in the order of time.

    An engine may report several beginnings for one written word ("1997"), or one for several ("on the"), which then
    share its time by their lengths. A word lasts until the next begins, or until the first of `pauses_s` (sorted)
    after its last beginning. Without any beginning there are no words.
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
        pause = bisect_right(pauses_s, last_s)
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


def from_units(words: Sequence[str], weights: Sequence[float], units: Sequence[tuple[float, float]]) -> list[Word]:
    """Lay written words over spoken units (groups of phonemes between spaces) with known times, in order.

    Equal numbers: one to one. Otherwise ("25" is two units, "of the" may be one) each word gets the stretch of
    the spoken time that its weight (its expected length) has among all weights, moved to a unit's border where
    one is near. Times are monotone and stay within the units.
    """
    if not words or not units:
        return []
    if len(words) == len(units):
        return [Word(word, start, end) for word, (start, end) in zip(words, units, strict=True)]
    # Work in spoken time: pauses between units do not count.
    edges = [0.0]
    for start, end in units:
        edges.append(edges[-1] + end - start)
    total = sum(weights) or 1.0
    snap = 0.35 * edges[-1] / max(len(words), len(units))
    bounds = [0.0]
    gone = 0.0
    for weight in weights[:-1]:
        gone += weight
        at = edges[-1] * gone / total
        nearest = min(edges, key=lambda edge: abs(edge - at))
        near = abs(nearest - at) <= snap and nearest > bounds[-1]
        bounds.append(nearest if near else max(bounds[-1], at))
    bounds.append(edges[-1])
    found = []
    for word, low, high in zip(words, bounds, bounds[1:], strict=False):
        start_s = _real(edges, units, low, after=True)
        # A word without any length lies on one side of a pause, not around it.
        found.append(Word(word, start_s, max(start_s, _real(edges, units, high, after=False))))
    return found


def _real(edges: Sequence[float], units: Sequence[tuple[float, float]], spoken_s: float, *, after: bool) -> float:
    """Spoken time to real time; on the border of two units, `after` chooses the later side of the pause."""
    index = bisect_right(edges, spoken_s) - 1
    if not after and index > 0 and edges[index] == spoken_s:
        index -= 1
    index = min(max(index, 0), len(units) - 1)
    start, end = units[index]
    return min(end, start + spoken_s - edges[index])
