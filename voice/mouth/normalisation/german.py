"""German text normalisation. The ending of an ordinal follows the word before it."""

from __future__ import annotations

import re

from voice.mouth.normalisation.patterns import Words, addresses, amounts, expanded, measures, ranges, signs

__all__ = ["normalised_german"]

_PREFIXES = (("", ""), ("k", "Kilo"), ("c", "Zenti"), ("m", "Milli"))
_LARGE = (("", ""), ("k", "Kilo"), ("K", "Kilo"), ("M", "Mega"), ("G", "Giga"), ("T", "Tera"))


def _same(name: str, article: str = "ein") -> tuple[str, str]:
    return f"{article} {name}", name


# fmt: off
_UNITS = {
    **{f"{short}m": _same(f"{long}meter".capitalize()) for short, long in _PREFIXES},
    **{f"{short}m²": _same(f"Quadrat{long.lower()}meter") for short, long in _PREFIXES},
    **{f"{short}m³": _same(f"Kubik{long.lower()}meter") for short, long in _PREFIXES},
    **{f"{short}g": _same(f"{long}gramm".capitalize()) for short, long in (("", ""), ("k", "Kilo"), ("m", "Milli"))},
    **{f"{short}{letter}": _same(f"{long}liter".capitalize())
       for letter in "lL" for short, long in (("", ""), ("c", "Zenti"), ("m", "Milli"))},
    **{f"{short}B": _same(f"{long}byte") for short, long in _LARGE[1:]},
    **{f"{short}bit/s": _same(f"{long}bit pro Sekunde") for short, long in _LARGE[1:]},
    **{f"{short}B/s": _same(f"{long}byte pro Sekunde") for short, long in _LARGE[1:]},
    **{f"{short}{unit}": _same(f"{long}{name}".capitalize())
       for unit, name in (("Hz", "hertz"), ("W", "watt"), ("V", "volt")) for short, long in _LARGE[:5]},
    **{f"{short}Wh": (f"eine {long}wattstunde".replace(" w", " W"), f"{long}wattstunden".capitalize())
       for short, long in _LARGE[:5]},
    "km/h": _same("Kilometer pro Stunde"), "m/s": _same("Meter pro Sekunde"), "ha": ("ein Hektar", "Hektar"),
    "°": _same("Grad"), "°C": _same("Grad Celsius"), "°F": _same("Grad Fahrenheit"),
    "kcal": ("eine Kilokalorie", "Kilokalorien"),
    "kJ": _same("Kilojoule"), "dB": _same("Dezibel"), "EL": _same("Esslöffel"), "TL": _same("Teelöffel"),
    "t": ("eine Tonne", "Tonnen"), "ms": ("eine Millisekunde", "Millisekunden"),
    "s": ("eine Sekunde", "Sekunden"), "min": ("eine Minute", "Minuten"),
    "h": ("eine Stunde", "Stunden"),
}
# fmt: on
_WORDS = Words(
    dot="Punkt",
    at="ät",
    to="bis",
    about="etwa",
    number="Nummer",
    squared="hoch 2",
    cubed="hoch 3",
    per="pro",
    one="",
    units=_UNITS,
    money={
        "€": ("ein Euro", "Euro", "ein Cent", "Cent"),
        "$": ("ein Dollar", "Dollar", "ein Cent", "Cent"),
        "£": ("ein Pfund", "Pfund", "ein Penny", "Pence"),
        "¥": ("ein Yen", "Yen", "", ""),
    },
    scales={
        **dict.fromkeys(("Mio.", "Mio", "Millionen", "Million"), ("eine Million", "Millionen")),
        **dict.fromkeys(("Mrd.", "Mrd", "Milliarden", "Milliarde"), ("eine Milliarde", "Milliarden")),
        **dict.fromkeys(("Tsd.", "Tausend", "tausend"), ("tausend", "tausend")),
    },
    cents=lambda units, rest, part: f"{units} {rest}",
)
_ONES = ("", "ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf",
         "dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn", "achtzehn", "neunzehn")  # fmt: skip
_TENS = ("", "", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig")
_ORDINALS = {1: "erst", 3: "dritt", 7: "siebt", 8: "acht"}
_MONTHS = ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
           "Dezember")  # fmt: skip
_MONTH = "Jänner|" + "|".join(_MONTHS)
# The word before an ordinal decides its ending: zweiter, der zweite, am zweiten.
_WEAK = "der|die|das|diese|dieser|dieses|jede|jeder|jedes|welche|welcher|welches"
_OBLIQUE = (
    "am|im|vom|zum|zur|beim|dem|den|des|diesem|diesen|jedem|jeden|einem|einen|eines|meinem|seinem|ihrem|unserem"
)
_WEEKDAY = r"(?:(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch)"
_LEAD = rf"(?P<lead>\b(?P<before>{_WEAK}|{_OBLIQUE}|seit|bis|ab|nach|vor)\s(?:{_WEEKDAY},?\s(?:de[mnr]\s)?)?)?"
_DATE = re.compile(
    rf"{_LEAD}(?<![\w.,])(?P<day>\d{{1,2}})\. ?(?P<month>\d{{1,2}}\.|(?:{_MONTH})\b)(?: ?(?P<year>\d{{4}})\b)?"
    r"(?![\d.]*\d)",
    re.IGNORECASE,
)
_ISO_DATE = re.compile(rf"{_LEAD}(?<![\w-])(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d)(?![\w-])", re.IGNORECASE)
_ORDINAL = re.compile(
    rf"\b(?P<before>{_WEAK}|{_OBLIQUE})\s(?P<number>[1-9]\d?)\.(?:(?P<end>$)|(?=\s))", re.IGNORECASE
)
_ORDINAL_NOUN = re.compile(r"(?<![\w.,])(?P<number>\d{1,2})\.(?=\s[a-zäöüß])")
_YEAR = re.compile(
    rf"(?P<before>\b(?:Jahr|Jahre|Jahres|seit|im|in|um|von|bis|ab|vor|nach|anno|{_MONTH})\s|\()(?P<century>1[1-9])"
    r"(?P<rest>\d\d)(?![\w.,]*\d|\s?(?:€|%|km|m|kg|Uhr|Euro))\b",
    re.IGNORECASE,
)
_DECADE = re.compile(r"(?<![\w.,])(?P<century>1[1-9])(?P<rest>\d0)er(?=n?\b)")
_CLOCK = re.compile(r"(?<![\w:.,])(?P<hour>[01]?\d|2[0-4])(?:[:.](?P<minute>[0-5]\d))? ?Uhr\b")
_FRACTIONS = {"1/2": "einhalb", "½": "einhalb", "1/3": "ein Drittel", "⅓": "ein Drittel", "1/4": "ein Viertel",
              "¼": "ein Viertel", "2/3": "zwei Drittel", "⅔": "zwei Drittel", "3/4": "drei Viertel",
              "¾": "drei Viertel"}  # fmt: skip
_FRACTION = re.compile(r"(?<![\w/.,])(?:(\d+) ?)?([½⅓⅔¼¾]|(?<!\d)(?:1/[234]|2/3|3/4))(?![\d/])")
_GAP = "\\.[ \u00a0\u202f]?"
_ABBREVIATIONS = (
    (r"\b[Zz]{0}B\.", "zum Beispiel"),
    (r"\b[Dd]{0}h\.", "das heißt"),
    (r"\b[Uu]{0}a\.", "unter anderem"),
    (r"\b[Vv]{0}a\.", "vor allem"),
    (r"\b[Zz]{0}T\.", "zum Teil"),
    (r"\b[Ii]{0}d{0}R\.", "in der Regel"),
    (r"\b[Oo]{0}ä\.", "oder ähnlich"),
    (r"\b[Bb]zw\.", "beziehungsweise"),
    (r"\busw\.", "und so weiter"),
    (r"\betc\.", "et cetera"),
    (r"\b[Cc]a\.", "circa"),
    (r"\b[Ee]vtl\.", "eventuell"),
    (r"\b[Gg]gf\.", "gegebenenfalls"),
    (r"\b[Ii]nkl\.", "inklusive"),
    (r"\b[Zz]zgl\.", "zuzüglich"),
    (r"\b[Vv]gl\.", "vergleiche"),
    (r"\b[Bb]spw\.", "beispielsweise"),
    (r"\b[Ss]og\.", "sogenannte"),
    (r"\b[Mm]ind\.", "mindestens"),
    (r"\bNr\.", "Nummer"),
    (r"\bDr\.(?= [A-ZÄÖÜ])", "Doktor"),
    (r"\bProf\.(?= [A-ZÄÖÜ])", "Professor"),
    (r"\bHr\.(?= [A-ZÄÖÜ])", "Herr"),
    (r"\bFr\.(?= [A-ZÄÖÜ])", "Frau"),
    (r"\bSt\.(?= [A-ZÄÖÜ])", "Sankt"),
    (r"(?<=\w)str\.(?=\s\d|[,;]|$)", "straße"),
    (r"\bTel\.", "Telefon"),
    (r"\bJh\.", "Jahrhundert"),
    (r"(?<=\d )Stdn?\.", "Stunden"),
    (r"(?<=\d )Min\.", "Minuten"),
    (r"(?<=\d )Sek\.", "Sekunden"),
    (r"(?<=\d )Mio\.", "Millionen"),
    (r"(?<=\d )Mrd\.", "Milliarden"),
)
_ABBREVIATED = tuple((re.compile(pattern.replace("{0}", _GAP)), word) for pattern, word in _ABBREVIATIONS)


def normalised_german(text: str) -> str:
    text = _DATE.sub(_date, _ISO_DATE.sub(_date, text))
    text = _ORDINAL.sub(_article_ordinal, text)
    text = _ORDINAL_NOUN.sub(lambda match: f"{_ordinal(int(match['number']))}e", text)
    text = addresses(text, _WORDS)
    text = _FRACTION.sub(_fraction, text)
    text = ranges(text, _WORDS)
    text = _YEAR.sub(lambda match: match["before"] + _year(match), text)
    text = _DECADE.sub(lambda match: f"{_year(match)}er", text)
    text = _CLOCK.sub(_clock, text)
    text = measures(amounts(text, _WORDS), _WORDS)
    return signs(expanded(text, _ABBREVIATED), _WORDS)


def _cardinal(number: int) -> str:
    """1 to 99, as it stands before another word: "ein"."""
    if number < 20:
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return f"{_ONES[ones]}und{_TENS[tens]}" if ones else _TENS[tens]


def _ordinal(number: int) -> str:
    """Without its ending."""
    return _ORDINALS.get(number) or _cardinal(number) + ("t" if number < 20 else "st")


def _ending(before: str | None) -> str:
    if not before:
        return "er"
    return "e" if re.fullmatch(_WEAK, before, re.IGNORECASE) else "en"


def _date(match: re.Match[str]) -> str:
    day, month, year = int(match["day"]), match["month"], match["year"]
    number = int(month.rstrip(".")) if month[0].isdigit() else None
    if not 1 <= day <= 31 or number not in (None, *range(1, 13)):
        return match[0]
    ending = _ending(match["before"])
    if number is not None:
        month = f"{_ordinal(number)}{ending}" if year is None else _MONTHS[number - 1]
    said = f"{match['lead'] or ''}{_ordinal(day)}{ending} {month}"
    if match[0][-1] == "." and match.end() == len(match.string):
        said += "."
    return said if year is None else f"{said} {_in_hundreds(year[:2], year[2:]) or year}"


def _article_ordinal(match: re.Match[str]) -> str:
    stop = "." if match["end"] is not None else ""
    return f"{match['before']} {_ordinal(int(match['number']))}{_ending(match['before'])}{stop}"


def _in_hundreds(century: str, rest: str) -> str:
    """neunzehnhundertneunzig; "" for a year that is no such."""
    if not 11 <= int(century) <= 19:
        return ""
    return f"{_cardinal(int(century))}hundert{'eins' if rest == '01' else _cardinal(int(rest))}"


def _year(match: re.Match[str]) -> str:
    return _in_hundreds(match["century"], match["rest"])


def _clock(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    return f"{'ein' if hour == 1 else hour} Uhr{f' {minute}' if minute else ''}"


def _fraction(match: re.Match[str]) -> str:
    whole, part = match[1], _FRACTIONS[match[2]]
    if not whole:
        return "ein halb" if part == "einhalb" else part
    joined = part == "einhalb" and 0 < int(whole) < 20
    return f"{_cardinal(int(whole))}{part}" if joined else f"{whole} {part}"
