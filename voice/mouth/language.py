"""Which language a short text is in, where nobody said. Pure.

By its script where that tells, else by the small words that only one language has. Unsure is None: a wrong guess is
heard at once, none is not.
"""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["guess_language"]

_SCRIPTS = (
    ("ja", "\u3040-\u30ff"),
    ("ko", "\uac00-\ud7af\u1100-\u11ff"),
    ("zh", "\u4e00-\u9fff"),
    ("ar", "\u0600-\u06ff"),
    ("hi", "\u0900-\u097f"),
    ("uk", "іїєґІЇЄҐ"),
    ("ru", "\u0400-\u04ff"),
)
"""The first that occurs; kana before Han, Ukrainian letters before Cyrillic."""

# Words that are common in speech and rare, or no words at all, in the others.
_SMALL = {
    "cs": "jak jaké jaký kde kdy prosím není jsem jste dnes zítra bude můžeš že",
    "da": "hvad hvordan hvor hvornår ikke jeg også nogen vejret tænd sluk",
    "de": "der die das und ist wie was wird nicht ich mir bitte ein eine einen wann welche heute morgen wetter",
    "en": "the is what how and please you tell it my do does are of when which weather today turn",
    "es": "qué cómo el los las y cuál cuándo dónde por favor hoy mañana tiempo está enciende una",
    "fi": "mikä mitä miten on ja ei minä huomenna tänään sää milloin ole kiitos missä",
    "fr": "le les est et quel quelle comment je vous tu s'il plaît aujourd'hui demain temps dans quand où des du",
    "it": "il che è come gli sono di domani oggi tempo quando dove favore della accendi qual",
    "nl": "het een wat hoe ik niet en alsjeblieft vandaag waar wanneer van kun je weer doe",
    "no": "hva hvordan hvor når ikke jeg også noen været slå vær snill",
    "pl": "jak jaka jest co nie gdzie kiedy proszę się jutro dziś będzie czy jaki",
    "pt": "o que como os você está hoje amanhã quando onde por favor uma não tempo ligue qual",
    "sv": "vad hur var när inte jag och också någon vädret tänd släck är snälla",
    "tr": "ne nasıl bir ve bugün yarın hava nerede lütfen mi var değil için",
}
_LANGUAGES: dict[str, list[str]] = {}
for _language, _words in _SMALL.items():
    for _word in _words.split():
        _LANGUAGES.setdefault(_word, []).append(_language)

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_MOST_WORDS = 200


def guess_language(text: str) -> str | None:
    """A two-letter code, or None."""
    for language, letters in _SCRIPTS:
        if re.search(f"[{letters}]", text):
            return language
    found: Counter[str] = Counter()
    for word in _WORD.findall(text.casefold())[:_MOST_WORDS]:
        owners = _LANGUAGES.get(word.replace("’", "'"), ())
        for language in owners:
            found[language] += 2 if len(owners) == 1 else 1
    if not found:
        return None
    (best, most), *others = found.most_common(2)
    return best if most >= 2 and (not others or most > others[0][1]) else None
