"""A few words while a tool works, so that nobody thinks the line is dead. Pure."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["filler_of"]

_FILLERS = {
    "ar": "لحظة من فضلك.",
    "cs": "Okamžik, prosím.",
    "da": "Lige et øjeblik.",
    "de": "Einen Moment.",
    "en": "One moment.",
    "es": "Un momento.",
    "fi": "Hetkinen.",
    "fr": "Un instant.",
    "hi": "एक क्षण.",
    "it": "Un momento.",
    "ja": "少々お待ちください。",
    "ko": "잠시만요.",
    "nl": "Een ogenblik.",
    "no": "Et øyeblikk.",
    "pl": "Chwileczkę.",
    "pt": "Um momento.",
    "ru": "Одну минуту.",
    "sv": "Ett ögonblick.",
    "tr": "Bir dakika.",
    "uk": "Хвилинку.",
    "zh": "请稍等。",
}


def filler_of(language: str, own: Mapping[str, str]) -> str:
    """The words for a language ("de", "de-AT", "auto"); `own` words go first. English where there are none."""
    short = language.replace("_", "-").split("-")[0].lower()
    for words in (own, _FILLERS):
        for name in (language, short):
            if name in words:
                return words[name]
    return own.get("en", _FILLERS["en"])
