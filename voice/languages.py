"""Languages by their codes and by their names: OpenAI's verbose transcripts name them ("english"). Pure.

The languages are those that Whisper knows (tokenizer.py of openai/whisper), and its names.
"""

from __future__ import annotations

__all__ = ["code_of", "name_of"]

_KNOWN = (
    "en english, zh chinese, de german, es spanish, ru russian, ko korean, fr french, ja japanese, pt "
    "portuguese, tr turkish, pl polish, ca catalan, nl dutch, ar arabic, sv swedish, it italian, id "
    "indonesian, hi hindi, fi finnish, vi vietnamese, he hebrew, uk ukrainian, el greek, ms malay, cs "
    "czech, ro romanian, da danish, hu hungarian, ta tamil, no norwegian, th thai, ur urdu, hr croatian, "
    "bg bulgarian, lt lithuanian, la latin, mi maori, ml malayalam, cy welsh, sk slovak, te telugu, fa "
    "persian, lv latvian, bn bengali, sr serbian, az azerbaijani, sl slovenian, kn kannada, et estonian, "
    "mk macedonian, br breton, eu basque, is icelandic, hy armenian, ne nepali, mn mongolian, bs bosnian, "
    "kk kazakh, sq albanian, sw swahili, gl galician, mr marathi, pa punjabi, si sinhala, km khmer, sn "
    "shona, yo yoruba, so somali, af afrikaans, oc occitan, ka georgian, be belarusian, tg tajik, sd "
    "sindhi, gu gujarati, am amharic, yi yiddish, lo lao, uz uzbek, fo faroese, ht haitian creole, ps "
    "pashto, tk turkmen, nn nynorsk, mt maltese, sa sanskrit, lb luxembourgish, my myanmar, bo tibetan, "
    "tl tagalog, mg malagasy, as assamese, tt tatar, haw hawaiian, ln lingala, ha hausa, ba bashkir, jw "
    "javanese, su sundanese, yue cantonese"
)
_NAMES = dict(entry.split(" ", 1) for entry in _KNOWN.split(", "))
_CODES = {name: code for code, name in _NAMES.items()}


def name_of(language: str) -> str:
    """Of a code or a tag such as en-US; what is neither stays as it is."""
    return _NAMES.get(language.lower().replace("_", "-").partition("-")[0], language)


def code_of(language: str) -> str:
    """Of a name; what is none stays as it is."""
    return _CODES.get(language.lower(), language)
