"""Which words of a text were over when so much of what was said of it had sounded. Pure.

The model writes Markdown and the voice says something shorter: a link without its address, a code block as a notice.
So what was written is laid beside what was said, word by word.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

__all__ = ["expected_s", "raw_ends", "spans"]

_NO_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese put no space between words: each sign counts as one."""
_WORD = re.compile(rf"[{_NO_SPACES}][^\w\s]*|[^\s{_NO_SPACES}]+")
_SIGN = re.compile(f"[{_NO_SPACES}]")
_MONEY = re.compile("[€$£¥]")
_CHARACTERS_PER_S = 14.0
"""English speech."""
_SIGNS_PER_S = 5.0
"""Chinese speech: a syllable a sign."""


def spans(text: str) -> list[tuple[int, int]]:
    """Start and end of every word of `text`: what stands between white space and has a letter or digit in it."""
    return [found.span() for found in _WORD.finditer(text) if any(char.isalnum() for char in found.group())]


def expected_s(text: str) -> float:
    """How long a voice will take for it at normal speed."""
    signs = len(_SIGN.findall(text))
    return signs / _SIGNS_PER_S + (len(text) - signs) / _CHARACTERS_PER_S


def raw_ends(raw: str, said: str) -> list[int]:
    """For every word of `said`: how many characters of `raw` were over with it.

    Where the two differ, what was written counts once the last word said in its place is over; what has no word in
    `said` (an emoji, a rule) counts with the next that has.
    """
    written, spoken = spans(raw), spans(said)
    keys = [_key(raw, word) for word in written], [_key(said, word) for word in spoken]
    if keys[0] == keys[1]:
        return [end for _, end in written]
    ends: list[int] = []
    over = 0
    for kind, raw_from, raw_to, from_, to in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if kind == "equal":
            ends += [end for _, end in written[raw_from:raw_to]]
        elif to > from_:
            if raw_to == raw_from and ends and _MONEY.search(raw[slice(*written[raw_from - 1])]):
                ends[-1], over = (ends[-2] if len(ends) > 1 else 0), written[raw_from - 1][1]  # $5: 5 dollars
            last = written[raw_to - 1][1] if raw_to > raw_from else over
            ends += [ends[-1] if ends else 0] * (to - from_ - 1) + [last]
        over = ends[-1] if ends else 0
    return ends


def _key(text: str, word: tuple[int, int]) -> str:
    return "".join(filter(str.isalnum, text[word[0] : word[1]].casefold()))
