"""Many texts in a grammar, written so that those that begin alike share their beginning. Pure.

llama.cpp follows all alternatives side by side: of five thousand texts one by one it keeps five thousand, of a tree
those that can still be meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from llm.replies.tool_calls import literal

__all__ = ["PLAIN_CHARS", "none_of", "one_of"]

DEEPEST = 40
"""Groups in each other."""
FEW = 8
PLAIN_CHARS = "\\x22\\x5C\\x7F\\x00-\\x1F"
"""What does not stand in a JSON string as it is, as the inside of a class."""


def one_of(texts: Iterable[str], depth: int = 0) -> str:
    """One of these texts, as alternatives."""
    distinct = list(dict.fromkeys(texts))
    if len(distinct) <= FEW or depth > DEEPEST:
        return " | ".join(map(literal, distinct))
    ways = []
    for _, group in groupby(sorted(distinct), key=lambda text: text[:1]):
        alike = list(group)
        first, last = alike[0], alike[-1]
        same = next((at for at in range(len(first)) if first[at] != last[at]), len(first))  # they are sorted
        begin = first[:same]
        rest = [text[len(begin) :] for text in alike if text != begin]
        if not rest:
            ways.append(literal(begin))
        else:
            ways.append(f"{literal(begin)} ( {one_of(rest, depth + 1)} ){'?' if begin in alike else ''}")
    return " | ".join(ways)


def none_of(texts: Iterable[str], depth: int = 0) -> str:
    """The inside of a JSON string that is none of these texts; without escapes, so some others are left out, too."""
    distinct = set(texts)
    heads = sorted({text[0] for text in distinct if text})
    escaped = "".join(f"\\U{ord(head):08X}" for head in heads)
    ways = [f"[^{PLAIN_CHARS}{escaped}] [^{PLAIN_CHARS}]*"]
    if depth < DEEPEST:
        for head in heads:
            rest = none_of((text[1:] for text in distinct if text[:1] == head), depth + 1)
            ways.append(f"{literal(head)} {rest}")
    return f"( {' | '.join(ways)} ){'' if '' in distinct else '?'}"
