"""Words whose full stop ends no sentence. Calling a sentence's end an abbreviation only makes a longer clause,
the other way round splits a name: so the lists are generous."""

from __future__ import annotations

import re

__all__ = ["is_abbreviation", "is_before_ordinal", "is_month"]

# fmt: off
_ABBREVIATIONS = frozenset((
    # English
    "mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "etc", "approx", "dept", "est", "fig", "figs", "vol",
    "ed", "eds", "inc", "ltd", "corp", "gen", "rep", "sen", "gov", "capt", "sgt", "lt", "cpl", "maj", "mt", "rev",
    "hon", "ave", "blvd", "rd", "ph.d", "jan", "feb", "apr", "aug", "sept", "oct", "nov", "dec", "al", "cf",
    # German
    "hr", "fr", "ca", "usw", "bzw", "evtl", "ggf", "inkl", "exkl", "zzgl", "vgl", "bspw", "sog", "mio", "mrd", "str",
    "tel", "std", "stdn", "min", "sek", "tsd", "abs", "art", "geb", "gest", "jh", "jhd", "dipl", "ing", "mind", "max",
    "okt", "dez", "mär", "z.zt",
    # French, Spanish, Italian
    "mme", "mlle", "env", "p.ex", "av", "apr.j.-c", "sra", "srta", "dra", "ud", "uds", "sig", "sigg", "dott",
))
_MONTHS = ("jan", "feb", "mär", "mae", "mar", "apr", "mai", "may", "jun", "jul", "aug", "sep", "okt", "oct", "nov",
           "dez", "dec", "jah")
# A number with a full stop behind these is an ordinal: der 2. Weltkrieg, am 3. Tag.
_BEFORE_ORDINALS = frozenset(("am", "beim", "das", "dem", "den", "der", "des", "die", "im", "vom", "zum", "zur"))
# fmt: on
# e.g, U.S, p.m, z.B
_DOTTED = re.compile(r"(\w\.)+\w")


def is_abbreviation(word: str) -> bool:
    """`word` without its last full stop."""
    folded = word.casefold()
    # A letter alone is an initial (J. Smith, z. B.), but for the words of one letter.
    is_initial = len(word) == 1 and word.isalpha() and word not in ("I", "a")
    return is_initial or folded in _ABBREVIATIONS or _DOTTED.fullmatch(word) is not None


def is_month(letters: str) -> bool:
    """Whether a word that begins with these three letters may be a month, English or German (or Jahrhundert)."""
    return letters.casefold() in _MONTHS


def is_before_ordinal(word: str) -> bool:
    """Whether a number with a full stop that follows `word` is an ordinal and not the end of a sentence."""
    return word in _BEFORE_ORDINALS
