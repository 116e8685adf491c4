"""Which words of a text were over when so much of what was said of it had sounded. Pure.

The model writes Markdown and the voice says something shorter: a link without its address, a code block as a notice.
So what was written is laid beside what was said, word by word.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from itertools import accumulate

from voice.mouth.speakable import speakable

__all__ = ["expected_s", "raw_ends", "spans", "words_over"]

_NO_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese put no space between words: each sign counts as one."""
_WORD = re.compile(rf"[{_NO_SPACES}][^\w\s]*|[^\s{_NO_SPACES}]+")
_SIGN = re.compile(f"[{_NO_SPACES}]")
_MONEY = re.compile("[€$£¥]")
_LETTERS_PER_S = 10.0
"""A slow voice; English is mostly spoken with 14."""
_SIGN_LETTERS = 2.8
"""Chinese speech: a syllable a sign."""
_DIGIT_LETTERS = 5.0
"""A digit is said as a word."""


def spans(text: str) -> list[tuple[int, int]]:
    """Start and end of every word of `text`: what stands between white space and has a letter or digit in it."""
    return [found.span() for found in _WORD.finditer(text) if any(char.isalnum() for char in found.group())]


def expected_s(text: str) -> float:
    """How long a slow voice will take for it at normal speed."""
    return sum(map(_letters, text)) / _LETTERS_PER_S


def words_over(text: str, share: float) -> int:
    """How many words of `text` are over after this share of its time, for a voice that tells no times."""
    until = list(accumulate(map(_letters, text), initial=0.0))
    return sum(until[end] <= share * until[-1] for _, end in spans(text))


def raw_ends(raw: str, said: str, language: str = "en") -> list[int]:
    """For every word of `said`: how many characters of `raw` were over with it.

    Where the two differ, what was written counts once the last word said in its place is over; what has no word in
    `said` (an emoji, a rule) counts with the next that has. `language`: of the words that were made of it; words
    that stand elsewhere in `said` ("$3 million", "10:30 Uhr") are awaited.
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
    needed = {end: _words_of(raw[:end], keys[1], language) for end in set(ends)}
    return [
        max((end for end, words in needed.items() if end <= over and words <= nth), default=0)
        for nth, over in enumerate(ends, 1)
    ]


def _words_of(raw: str, said: list[str], language: str) -> int:
    """With how many words of `said` all of `raw` was said."""
    text = speakable(raw, language)
    words = [_key(text, word) for word in spans(text)]
    return len(words) if words == said[: len(words)] else len(said)


def _letters(char: str) -> float:
    """How many letters of English take as long to be said."""
    return _DIGIT_LETTERS if char.isdigit() else _SIGN_LETTERS if _SIGN.match(char) else 1.0


def _key(text: str, word: tuple[int, int]) -> str:
    return "".join(filter(str.isalnum, text[word[0] : word[1]].casefold()))
