"""Numbers in words, as recognisers hear them and as answers are spoken."""

from __future__ import annotations

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINAL = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def words(number: int) -> str:
    """`words(342)` is "three hundred forty two"; no hyphens, so that spoken input and answers look alike.

    Raises ValueError outside -999,999 to 999,999.
    """
    if abs(number) > 999_999:
        raise ValueError(f"{number} is too large")
    if number < 0:
        return f"minus {words(-number)}"
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return _TENS[tens] + (f" {_SMALL[rest]}" if rest else "")
    size, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    head, rest = divmod(number, size)
    return f"{words(head)} {name}" + (f" {words(rest)}" if rest else "")


def ordinal(number: int) -> str:
    """`ordinal(21)` is "twenty first"."""
    *head, last = words(number).split()
    if last in _ORDINAL:
        last = _ORDINAL[last]
    elif last.endswith("y"):
        last = f"{last[:-1]}ieth"
    else:
        last = f"{last}th"
    return " ".join((*head, last))


def capital(text: str) -> str:
    """The text with its first letter upper case (and the rest left alone)."""
    return text[:1].upper() + text[1:]
