"""Text normalisation: what voices misread (units, dates, abbreviations, addresses), as they are said.

One file for each language that has one; text in other languages is left to the voice. Plain numbers are left to it,
too: voices read those well. Pure.
"""

from __future__ import annotations

from voice.mouth.normalisation.english import normalised_english
from voice.mouth.normalisation.german import normalised_german

__all__ = ["normalised"]

_LANGUAGES = {"de": normalised_german, "en": normalised_english}


def normalised(text: str, language: str) -> str:
    """`language` is a tag such as "de" or "en-GB"."""
    normalise = _LANGUAGES.get(language[:2].casefold())
    return text if normalise is None else normalise(text)
