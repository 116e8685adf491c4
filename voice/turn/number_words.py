"""The words in which a voice may have read the numbers and signs of a text. Pure.

Plain numbers are left to the voice, and a recogniser writes in words what it hears: "12:30" comes back as "twelve
thirty". English only: other recognisers than the one that comes with Parley write digits.
"""

from __future__ import annotations

import re

__all__ = ["number_words"]

_NUMBER = re.compile(r"(\d{1,15}(?:[.,:]\d{1,15}){0,6})(st|nd|rd|th)?")
_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_SIZES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_SIGNS = {"%": "percent", "&": "and", "+": "plus", "=": "equals"}


def number_words(text: str) -> frozenset[str]:
    """Of all its numbers, in every way in which they are read: 1984 is one thousand and so on, nineteen eighty four,
    and one nine eight four."""
    words = {word for sign, word in _SIGNS.items() if sign in text}
    for found in _NUMBER.finditer(text):
        number, ordinal = found.groups()
        groups = re.split("[.,:]", number)
        for digits in (number.replace(",", "").split(".")[0].split(":")[0], *groups):
            words |= _cardinal(int(digits))
            if len(digits) == 4:
                words |= _cardinal(int(digits[:2])) | _cardinal(int(digits[2:])) | {"hundred"}
        words |= {_SMALL[int(digit)] for digit in number if digit.isdigit()}
        words |= {"oh"} if "0" in number else set()
        words |= {"point"} if "." in number else set()
        words |= {"and"} if "hundred" in words or "thousand" in words else set()
        if ordinal:
            words |= {_ordinal(word) for word in words}
    return frozenset(words)


def _cardinal(number: int) -> set[str]:
    if number < 20:
        return {_SMALL[number]}
    if number < 100:
        tens, rest = divmod(number, 10)
        return {_TENS[tens]} | (_cardinal(rest) if rest else set())
    size, name = next(each for each in _SIZES if number >= each[0])
    head, rest = divmod(number, size)
    return {name} | _cardinal(head) | (_cardinal(rest) if rest else set())


def _ordinal(word: str) -> str:
    return _ORDINALS.get(word, f"{word[:-1]}ieth" if word.endswith("y") else f"{word}th")
