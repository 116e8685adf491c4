"""Numbers within bounds as rules of a grammar, which llama.cpp's converter of JSON schemas lacks. Pure.

A grammar compares digits, not values: the numbers from 17 to 243 are 17 to 19, 20 to 99, 100 to 199, 200 to 239 and
240 to 243. Exponents are left out where there are bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["BOUNDS", "number_rule"]

BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
MOST = 10**15
_ANY_FRACTION = '( "." [0-9]{1,15} )?'
_NO_FRACTION = '( "." "0"{1,15} )?'
_SOME_FRACTION = '"." [0-9]{0,14} [1-9]'


@dataclass(frozen=True, slots=True)
class _End:
    """A bound; `open`: the value itself is outside."""

    value: int
    open: bool


def number_rule(schema: Mapping[str, Any]) -> str:
    """The body of a GBNF rule for a schema of type integer or number with bounds; "" where it has none, or some that
    no rule is made for: fractions, and beyond 10^15.
    """
    kind = schema.get("type")
    given = {name: schema[name] for name in BOUNDS if schema.get(name) is not None}
    if kind not in ("integer", "number") or not given or not all(map(_is_whole, given.values())):
        return ""
    low = _tightest([_End(int(given[n]), n != "minimum") for n in BOUNDS[::2] if n in given], 1)
    high = _tightest([_End(int(given[n]), n != "maximum") for n in BOUNDS[1::2] if n in given], -1)
    ways: list[str] = []
    if high is None or high.value >= 0:
        ways += _size(kind, low if low is not None and low.value >= 0 else _End(0, False), high)
    if low is None or low.value < 0:
        least = _End(-high.value, high.open) if high is not None and high.value < 0 else _End(0, True)
        ways += [f'"-" ( {way} )' for way in _size(kind, least, None if low is None else _End(-low.value, low.open))]
    return f"( {' | '.join(ways)} ) space" if ways else ""


def _is_whole(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -MOST <= value <= MOST and value == int(value)


def _tightest(ends: list[_End], inside: int) -> _End | None:
    return max(ends, key=lambda end: (inside * end.value, end.open), default=None)


def _size(kind: object, low: _End, high: _End | None) -> list[str]:
    """Ways to write what lies between two sizes, the sign aside."""
    first = low.value + low.open
    if kind == "integer":
        return _whole(first, None if high is None else high.value - high.open)
    ways = []
    if low.open and (high is None or high.value > low.value):
        ways.append(f'"{low.value}" {_SOME_FRACTION}')
    between = _whole(first, None if high is None else high.value - 1)
    if between:
        ways.append(f"( {' | '.join(between)} ) {_ANY_FRACTION}")
    if high is not None and not high.open and high.value >= first:
        ways.append(f'"{high.value}" {_NO_FRACTION}')
    return ways


def _whole(low: int, high: int | None) -> list[str]:
    """Whole numbers from `low` to `high`, both included and neither negative."""
    if high is None:
        most = 10 ** len(str(low)) - 1
        return [*_whole(low, most), f"[1-9] [0-9]{{{len(str(low))},15}}"]
    ways = []
    while low <= high:
        most = min(high, 10 ** len(str(low)) - 1)
        ways += _digits(str(low), str(most))
        low = most + 1
    return ways


def _digits(low: str, high: str) -> list[str]:
    """Texts of as many digits as both have."""
    if not low:
        return [""]
    if len(low) == 1 or (set(low[1:]) == {"0"} and set(high[1:]) == {"9"}):
        rest = f" [0-9]{{{len(low) - 1}}}" if len(low) > 1 else ""
        return [f"[{low[0]}-{high[0]}]{rest}"]
    if low[0] == high[0]:
        return [f'"{low[0]}" {way}' for way in _digits(low[1:], high[1:])]
    zeros, nines = "0" * (len(low) - 1), "9" * (len(low) - 1)
    ways = [f'"{low[0]}" {way}' for way in _digits(low[1:], nines)]
    if int(low[0]) + 1 < int(high[0]):
        ways += _digits(f"{int(low[0]) + 1}{zeros}", f"{int(high[0]) - 1}{nines}")
    return ways + [f'"{high[0]}" {way}' for way in _digits(zeros, high[1:])]
