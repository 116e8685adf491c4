"""English text normalisation."""

from __future__ import annotations

import re

from voice.mouth.normalisation.patterns import Words, addresses, amounts, expanded, measures, ranges, signs

__all__ = ["normalised_english"]

_METRE = {"": "", "k": "kilo", "c": "centi", "m": "milli"}
# fmt: off
_UNITS = {
    **{f"{short}m": (f"{long}meter", f"{long}meters") for short, long in _METRE.items()},
    **{f"{short}m²": (f"square {long}meter", f"square {long}meters") for short, long in _METRE.items()},
    **{f"{short}m³": (f"cubic {long}meter", f"cubic {long}meters") for short, long in _METRE.items()},
    **{f"{short}g": (f"{long}gram", f"{long}grams") for short, long in (("", ""), ("k", "kilo"), ("m", "milli"))},
    **{f"{short}{letter}": (f"{long}liter", f"{long}liters")
       for letter in "lL" for short, long in (("", ""), ("c", "centi"), ("m", "milli"))},
    **{f"{short}B": (f"{long}byte", f"{long}bytes")
       for short, long in (("k", "kilo"), ("K", "kilo"), ("M", "mega"), ("G", "giga"), ("T", "tera"))},
    **{f"{short}bit/s": (f"{long}bit per second", f"{long}bits per second")
       for short, long in (("k", "kilo"), ("M", "mega"), ("G", "giga"))},
    **{f"{short}B/s": (f"{long}byte per second", f"{long}bytes per second")
       for short, long in (("k", "kilo"), ("M", "mega"), ("G", "giga"))},
    **{f"{short}{unit}": (f"{long}{name}", f"{long}{name}{end}")
       for unit, name, end in (("Hz", "hertz", ""), ("W", "watt", "s"), ("Wh", "watt hour", "s"), ("V", "volt", "s"))
       for short, long in (("", ""), ("k", "kilo"), ("M", "mega"), ("G", "giga"))},
    "mi": ("mile", "miles"), "ft": ("foot", "feet"), "yd": ("yard", "yards"), "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"), "oz": ("ounce", "ounces"), "ha": ("hectare", "hectares"),
    "km/h": ("kilometer per hour", "kilometers per hour"), "kph": ("kilometer per hour", "kilometers per hour"),
    "mph": ("mile per hour", "miles per hour"), "m/s": ("meter per second", "meters per second"),
    "°": ("degree", "degrees"), "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"), "kcal": ("kilocalorie", "kilocalories"),
    "kJ": ("kilojoule", "kilojoules"), "dB": ("decibel", "decibels"), "ms": ("millisecond", "milliseconds"),
    "s": ("second", "seconds"), "sec": ("second", "seconds"), "min": ("minute", "minutes"), "h": ("hour", "hours"),
    "hr": ("hour", "hours"), "hrs": ("hour", "hours"), "mAh": ("milliampere hour", "milliampere hours"),
}
# fmt: on
_WORDS = Words(
    dot="dot",
    at="at",
    to="to",
    about="about",
    number="number",
    squared="squared",
    cubed="cubed",
    per="per",
    one="1",
    units=_UNITS,
    money={
        "€": ("euro", "euros", "cent", "cents"),
        "$": ("dollar", "dollars", "cent", "cents"),
        "£": ("pound", "pounds", "penny", "pence"),
        "¥": ("yen", "yen", "", ""),
    },
    scales={
        **dict.fromkeys(("k", "K", "thousand"), ("thousand", "thousand")),
        **dict.fromkeys(("m", "M", "mn", "million"), ("million", "million")),
        **dict.fromkeys(("bn", "B", "billion"), ("billion", "billion")),
        "trillion": ("trillion", "trillion"),
    },
    cents=lambda units, rest, part: f"{units} and {part}",
)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_SHORT = {"Sept": "September", **{name[:3]: name for name in _MONTHS}}
_SHORT_MONTH = rf"\b({'|'.join(_SHORT)})\b\.?"
_MONTH_BEFORE = re.compile(rf"{_SHORT_MONTH}(?=\s\d)")
_MONTH_AFTER = re.compile(rf"(?<=\d\s){_SHORT_MONTH}(?=[\s,;!?]|$)")
_ISO_DATE = re.compile(r"(?<![\w-])(\d{4})-(\d\d)-(\d\d)(?![\w-])")
_SLASHED_DATE = re.compile(r"(?<![\w/])(\d{1,2})/(\d{1,2})/(\d{4})(?![\w/])")
_DOTTED_DATE = re.compile(r"(?<![\w.])(\d{1,2})\.(\d{1,2})\.(\d{4})(?!\w)")
_FULL_HOUR = re.compile(r"(?<![\w:.,])(\d{1,2}):00(?!:?\d)(\s?[ap]\.?m\b)?", re.IGNORECASE)
_FEW_MINUTES = re.compile(r"(?<![\w:.,])(\d{1,2}):0([1-9])(?!:?\d)")
_DECADE = re.compile(r"(?<![\w.,])(1[1-9]|20)(\d)0s\b")
_DECADES = ("hundreds", "tens", "twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties",
            "nineties")  # fmt: skip
_FRACTIONS = {
    "1/2": "half", "½": "half", "1/3": "third", "⅓": "third", "1/4": "quarter", "¼": "quarter",
    "2/3": "two thirds", "⅔": "two thirds", "3/4": "three quarters", "¾": "three quarters",
}  # fmt: skip
_FRACTION = re.compile(r"(?<![\w/.,])(?:(\d+) ?)?([½⅓⅔¼¾]|(?<!\d)(?:1/[234]|2/3|3/4))(?![\d/])")
_ALL_DAY = re.compile(r"\b24/7\b")
_ABBREVIATIONS = (
    (r"\bDr\.(?= [A-Z])", "Doctor"),
    (r"\bProf\.(?= [A-Z])", "Professor"),
    (r"\bMr\.(?= [A-Z])", "Mister"),
    (r"\bMrs\.(?= [A-Z])", "Missus"),
    (r"\bMs\.(?= [A-Z])", "Miss"),
    (r"(?<=[a-z] )St\.(?=[,;]|$)", "Street"),
    (r"\bSt\.(?= [A-Z])", "Saint"),
    (r"\b[Nn]o\.(?= ?\d)", "number"),
    (r"\b[Ee]\.\s?g\.,?", "for example"),
    (r"\b[Ii]\.\s?e\.,?", "that is"),
    (r"\bvs\.(?= \w)", "versus"),
    (r"\b[Aa]pprox\.", "approximately"),
    (r"\betc\.", "et cetera"),
)
_ABBREVIATED = tuple((re.compile(pattern), word) for pattern, word in _ABBREVIATIONS)


def normalised_english(text: str) -> str:
    text = _ISO_DATE.sub(lambda match: _date(match, 3, 2, 1), text)
    text = _SLASHED_DATE.sub(lambda match: _date(match, *((1, 2, 3) if int(match[1]) > 12 else (2, 1, 3))), text)
    text = _DOTTED_DATE.sub(lambda match: _date(match, 1, 2, 3), text)
    for month in (_MONTH_BEFORE, _MONTH_AFTER):
        text = month.sub(lambda match: _SHORT[match[1]], text)
    text = addresses(text, _WORDS)
    text = _ALL_DAY.sub("24 7", text)
    text = _FRACTION.sub(_fraction, text)
    text = ranges(text, _WORDS)
    text = _FULL_HOUR.sub(lambda match: f"{match[1]}{match[2]}" if match[2] else f"{match[1]} o'clock", text)
    text = _FEW_MINUTES.sub(r"\1 oh \2", text)
    text = _DECADE.sub(_decade, text)
    text = measures(amounts(text, _WORDS), _WORDS)
    return signs(expanded(text, _ABBREVIATED), _WORDS)


def _date(match: re.Match[str], day_at: int, month_at: int, year_at: int) -> str:
    day, month = int(match[day_at]), int(match[month_at])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    return f"{_MONTHS[month - 1]} {day}{_ordinal_ending(day)}, {match[year_at]}"


def _ordinal_ending(number: int) -> str:
    return "th" if 10 < number < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def _decade(match: re.Match[str]) -> str:
    century, tens = match[1], int(match[2])
    return "two thousands" if (century, tens) == ("20", 0) else f"{century} {_DECADES[tens]}"


def _fraction(match: re.Match[str]) -> str:
    whole, part = match[1], _FRACTIONS[match[2]]
    if whole:
        return f"{whole} and {part if ' ' in part else f'a {part}'}"
    return part if " " in part else f"one {part}"
