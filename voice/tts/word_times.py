"""Pure: from what an engine knows about time to the words of the text as they were written."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from voice.port import Word

__all__ = ["from_positions", "from_units", "spans"]


def spans(text: str) -> list[tuple[int, int]]:
    """Start and end of every word of `text`: what stands between white space and has a letter or digit in it."""
    return [m.span() for m in re.finditer(r"\S+", text) if any(c.isalnum() for c in m.group())]


def from_positions(
    text: str, starts: Sequence[tuple[int, float]], pauses_s: Sequence[float], end_s: float
) -> tuple[Word, ...]:
    """`starts`: (character position, seconds) of everything that was begun to be spoken, in the order of time.

    An engine may report several beginnings for one written word ("1997"), or one for several. A word lasts until
    the next begins, or until the first of `pauses_s` (sorted) in it. Words the engine never began are left out.
    """
    places = spans(text)
    firsts = [start for start, _ in places]
    begun: list[tuple[int, float]] = []
    for position, at_s in starts:
        index = bisect_right(firsts, position) - 1
        if index >= 0 and position < places[index][1] and (not begun or index > begun[-1][0]):
            begun.append((index, at_s))
    words = []
    for nth, (index, at_s) in enumerate(begun):
        until_s = begun[nth + 1][1] if nth + 1 < len(begun) else end_s
        # Digits may pause inside a number, so only the pause after the last beginning of this word ends it.
        last_s = max((s for p, s in starts if places[index][0] <= p < places[index][1] and s < until_s), default=at_s)
        pause = bisect_right(pauses_s, last_s)
        if pause < len(pauses_s):
            until_s = min(until_s, pauses_s[pause])
        start, end = places[index]
        words.append(Word(text[start:end], at_s, max(at_s, until_s)))
    return tuple(words)


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
