"""A few words while a tool works or an answer is slow, so that the user knows that it is being worked on. Pure."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["excuse_of", "filler_of"]

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

_EXCUSES = {
    "ar": "عذرًا، لا أستطيع الإجابة الآن.",
    "cs": "Promiňte, teď nemohu odpovědět.",
    "da": "Undskyld, jeg kan ikke svare lige nu.",
    "de": "Entschuldigung, ich kann gerade nicht antworten.",
    "en": "Sorry, I cannot answer right now.",
    "es": "Lo siento, ahora no puedo responder.",
    "fi": "Anteeksi, en voi vastata juuri nyt.",
    "fr": "Désolé, je ne peux pas répondre pour le moment.",
    "hi": "क्षमा करें, मैं अभी उत्तर नहीं दे सकता।",
    "it": "Mi dispiace, ora non posso rispondere.",
    "ja": "申し訳ありません、今はお答えできません。",
    "ko": "죄송합니다. 지금은 대답할 수 없습니다.",
    "nl": "Sorry, ik kan nu niet antwoorden.",
    "no": "Beklager, jeg kan ikke svare akkurat nå.",
    "pl": "Przepraszam, nie mogę teraz odpowiedzieć.",
    "pt": "Desculpe, não posso responder agora.",
    "ru": "Извините, сейчас я не могу ответить.",
    "sv": "Förlåt, jag kan inte svara just nu.",
    "tr": "Üzgünüm, şu anda cevap veremiyorum.",
    "uk": "Вибачте, зараз я не можу відповісти.",
    "zh": "抱歉，我现在无法回答。",
}
"""What is said where no answer comes."""


def excuse_of(language: str) -> str:
    """The words for a language; English where there are none."""
    return _EXCUSES.get(_short(language), _EXCUSES["en"])


def filler_of(language: str, own: Mapping[str, str]) -> str:
    """The words for a language ("de", "de-AT", "auto"); `own` words go first. English where there are none."""
    for words in (own, _FILLERS):
        for name in (language, _short(language)):
            if name in words:
                return words[name]
    return own.get("en", _FILLERS["en"])


def _short(language: str) -> str:
    return language.replace("_", "-").split("-")[0].lower()
