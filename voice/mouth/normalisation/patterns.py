"""What text normalisation looks for in every language, and the changes that differ only by their words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

__all__ = ["NUMBER", "SPACE", "Words", "addresses", "amounts", "expanded", "measures", "ranges", "signs"]

# Every repetition has an end: what a model writes may be one word of any length, and nobody else is served meanwhile.
NUMBER = r"\d{1,15}(?:[.,'\u202f]\d{1,15}){0,6}"
SPACE = "[ \u00a0\u202f]?"
_ALONE = r"(?<![\w.,])"
"""Before a number: it is not the end of another, nor of a name."""
_ZONES = "com|org|net|edu|gov|info|io|ai|app|dev|de|at|ch|eu|uk|us|fr|nl|local"
_EMAIL = re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}")
_DOMAIN = re.compile(rf"(?<![\w@.])(?:[a-z0-9-]{{1,63}}\.){{1,6}}(?:{_ZONES})\b(?!\.\w)", re.IGNORECASE)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IP_ADDRESS = re.compile(rf"(?<![\d.])(?:{_OCTET}\.){{3}}{_OCTET}(?!\.?\d)")
_IP_VERSION = re.compile(r"\bIPv([46])\b")
_NUMBER_SIGN = re.compile(r"(?<![\w#])#(?=\d)")
_ABOUT = re.compile(r"(?<!\w)[~≈]\s?(?=\d)")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_DIOXIDE = re.compile(r"\bCO2\b")
_POWER = re.compile(r"(?<=[\w)])([²³])")
_DASHED = re.compile(rf"(?<![\w.,–-])({NUMBER}(?::\d\d)?){SPACE}–{SPACE}(?=\d)")
_HYPHENED = re.compile(r"(?<![\w.,:/–-])(\d{1,4})-(\d{1,4})(?![\w–-]|[.,:/]\d)")
_SCALE = r"(?:{space}(?P<scale>{scales}))?"
_MONEY_BEFORE = rf"(?<!\w)(?P<sign>[€$£¥])\s?(?P<amount>{{number}})(?P<to> {{to}} {{number}})?{_SCALE}(?!\w)"
_MONEY_AFTER = rf"(?<![\w.,€$£¥])(?P<amount>{{number}})(?P<to>){_SCALE}{{space}}(?P<sign>[€$£¥])(?!\w)"
_CENTS = re.compile(r"(\d+(?:[.,'\u202f]\d{3})*)[.,](\d\d)")
_PER = re.compile(r"/(?=[^\W\d_]{3,})")


@dataclass(frozen=True)
class Words:
    """What one language calls them. `units`: symbol to (one, several); `money`: sign to (one, several, one hundredth,
    several hundredths); `scales`: what stands for a million, to (one, several)."""

    dot: str
    at: str
    to: str
    about: str
    number: str
    squared: str
    cubed: str
    per: str
    one: str
    """How one of something is written: a number, or "" where the word for one of it says so."""
    units: Mapping[str, tuple[str, str]]
    money: Mapping[str, tuple[str, str, str, str]]
    scales: Mapping[str, tuple[str, str]]
    cents: Callable[[str, str, str], str]
    """From units, their name and hundredths to words: 3 euros and 50 cents."""


def addresses(text: str, words: Words) -> str:
    """E-mail addresses, domains and the addresses of machines."""
    dot, at = f" {words.dot} ", f" {words.at} "
    text = _EMAIL.sub(lambda match: match.group().replace("@", at).replace(".", dot), text)
    text = _DOMAIN.sub(lambda match: match.group().replace(".", dot), text)
    return _IP_ADDRESS.sub(lambda match: match.group().replace(".", dot), text)


def ranges(text: str, words: Words) -> str:
    """10–20, and 10-20 where that is no subtraction, score or telephone number."""
    text = _DASHED.sub(rf"\1 {words.to} ", text)

    def between(match: re.Match[str]) -> str:
        low, high = match.groups()
        rises = int(low) < int(high) and (len(low) == 4) == (len(high) == 4)
        return f"{low} {words.to} {high}" if rises else match.group()

    return _HYPHENED.sub(between, text)


def amounts(text: str, words: Words) -> str:
    """Sums of money: the name of the money behind the number, hundredths as such."""
    scales = _any(sorted(words.scales, key=len, reverse=True))

    def spoken(match: re.Match[str]) -> str:
        one, several, *hundredth = words.money[match["sign"]]
        amount, to, scale = match["amount"], match["to"], match["scale"]
        cents = _CENTS.fullmatch(amount)
        if scale:
            said = f"{_counted(amount, words.scales[scale], words)} {several}"
        elif to or cents is None or not hundredth[0]:
            said = f"{amount}{to} {several}" if to else _counted(amount, (one, several), words)
        else:
            units, rest = cents.group(1), cents.group(2).removeprefix("0")
            name = _counted(units, (one, several), words)
            part = _counted(rest, (hundredth[0], hundredth[1]), words)
            said = name if rest == "0" else part if units == "0" else words.cents(name, rest, part)
        return said

    for form in (_MONEY_BEFORE, _MONEY_AFTER):
        pattern = form.format(number=NUMBER, to=words.to, space=SPACE, scales=scales)
        text = re.sub(rf"(?:{pattern})(?P<per>{_PER.pattern})?", lambda m: spoken(m) + _per(m, words), text)
    return text


def _per(match: re.Match[str], words: Words) -> str:
    return f" {words.per} " if match["per"] else ""


def measures(text: str, words: Words) -> str:
    """Numbers with a unit. A unit of one letter needs a space before it: 5g is a network, 1990s a decade."""
    short = [unit for unit in words.units if unit.isalpha() and len(unit) == 1]
    long = sorted(words.units.keys() - short, key=len, reverse=True)
    unit = rf"(?:{SPACE}({_any(long)})|[ \u00a0\u202f]({_any(short)}))(?![\w²³/°])(?:\.(?=\s[a-zäöü]))?"
    return re.sub(
        rf"{_ALONE}({NUMBER}){unit}",
        lambda m: _counted(m.group(1), words.units[m.group(2) or m.group(3)], words),
        text,
    )


def expanded(text: str, abbreviations: Iterable[tuple[re.Pattern[str], str]]) -> str:
    """A full stop that ends the text ends a sentence, too."""
    for pattern, word in abbreviations:
        found = pattern.sub(word, text)
        text = f"{found}." if found != text and text[-1] == "." and found[-1] != "." else found
    return text


def signs(text: str, words: Words) -> str:
    text = _DIOXIDE.sub("C O 2", text.translate(_SUBSCRIPTS))
    text = _POWER.sub(lambda match: f" {words.squared if match.group() == '²' else words.cubed}", text)
    text = _NUMBER_SIGN.sub(f"{words.number} ", text)
    text = _ABOUT.sub(f"{words.about} ", text)
    return _IP_VERSION.sub(r"IP version \1", text)


def _counted(amount: str, names: tuple[str, str], words: Words) -> str:
    one, several = names
    return f"{words.one} {one}".strip() if amount == "1" else f"{amount} {several}"


def _any(of: Iterable[str]) -> str:
    return "|".join(map(re.escape, of))
