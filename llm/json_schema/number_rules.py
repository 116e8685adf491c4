"""Numbers within bounds as rules of a grammar, which llama.cpp's converter of JSON schemas lacks. Pure.

A grammar compares digits, not values: the numbers from 17 to 243 are 17 to 19, 20 to 99, 100 to 199, 200 to 239 and
240 to 243, and those from 0.25 to 0.5 begin with 0.25 to 0.29, 0.3 or 0.4, or are 0.5. Exponents are left out where
there are bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

__all__ = ["BOUNDS", "MOST", "held_multiple", "no_number", "number_rule"]

BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
MOST = 2**53
"""Up to here every JSON reader has whole numbers exactly; so zod, for one, gives a plain `int` these bounds."""
FAR = 10**16
"""Rules write up to 16 digits before the point, but where a bound has more."""
PLACES = 15
"""Digits behind the point, and of a bound's at most."""


MOST_PARTS = 256
"""Multiples of a step up to the next power of ten."""


@dataclass(frozen=True, slots=True)
class _End:
    """A bound; `open`: the value itself is outside."""

    value: Decimal
    open: bool

    @property
    def whole(self) -> int:
        return int(self.value)

    @property
    def digits(self) -> str:
        """Behind the point, without zeros at the end."""
        return f"{self.value % 1:f}".partition(".")[2].rstrip("0")


_Digits = tuple[list[str], bool]
"""Ways to go on behind some digits, and whether the number may end there."""


def held_multiple(schema: Mapping[str, Any]) -> bool:
    """Whether the rule of this schema holds its `multipleOf`: that of 0.25, 5 or 100 shows in the last digits; that
    of 3 does not.
    """
    step = _decimal(schema.get("multipleOf"))
    if step is None or step <= 0:
        return False
    return _is_power(step) and abs(step.adjusted()) <= PLACES or _period(step) is not None


def _is_power(step: Decimal) -> bool:
    return step == Decimal(10) ** step.adjusted()


def _period(step: Decimal) -> Decimal | None:
    """The smallest power of ten, 1 at least, of which `step` is a part; None where that has too many parts."""
    for digits in range(PLACES):
        parts = Decimal(10) ** digits / step
        if parts > MOST_PARTS:
            return None
        if parts == parts.to_integral_value():
            return Decimal(10) ** digits
    return None


def number_rule(schema: Mapping[str, Any]) -> str:
    """The body of a GBNF rule for a schema of type integer or number that has bounds, or a `multipleOf` that can be
    held. "" where it has neither, or a bound that cannot be: one with more than 15 digits behind the point, a least
    number beyond 2^53.
    """
    ways = _ways(schema)
    return f"( {' | '.join(ways)} ) space" if ways else ""


def no_number(schema: Mapping[str, Any]) -> bool:
    """Whether its bounds, and a `multipleOf` that can be held, leave none."""
    return _ways(schema) == []


def _ways(schema: Mapping[str, Any]) -> list[str] | None:
    """None: there is no rule."""
    kind = schema.get("type")
    given = {name: schema[name] for name in BOUNDS if schema.get(name) is not None}
    near = {name: _decimal(value) for name, value in given.items() if not _is_far(name, value)}
    step = _decimal(schema.get("multipleOf")) if held_multiple(schema) else None
    ends = {name: end for name, end in near.items() if end is not None}
    if kind not in ("integer", "number") or len(ends) < len(near) or not (given or step):
        return None
    if len(near) < len(given) and ((step or 0) > 1 or any(abs(end) >= 10**PLACES for end in ends.values())):
        return None  # zeros behind, or as many digits as a bound has: that may reach the far one
    low = _tightest([_End(ends[n], n != "minimum") for n in BOUNDS[::2] if n in ends], 1)
    high = _tightest([_End(ends[n], n != "maximum") for n in BOUNDS[1::2] if n in ends], -1)
    whole = kind == "integer"
    if whole and (step is None or (step < 1 and (_is_power(step) or Decimal(1) % step == 0))):
        step = Decimal(1)
    ways: list[str] = []
    if high is None or high.value >= 0:
        ways += _size(low if low is not None and low.value >= 0 else _End(Decimal(0), False), high, step, whole)
    if low is None or low.value < 0:
        least = _End(-high.value, high.open) if high is not None and high.value < 0 else _End(Decimal(0), True)
        most = None if low is None else _End(-low.value, low.open)
        ways += [f'"-" ( {way} )' for way in _size(least, most, step, whole)]
    return ways


def _is_far(name: str, value: object) -> bool:
    """A bound that no number of these rules reaches, like that of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value >= FAR if name in ("maximum", "exclusiveMaximum") else value <= -FAR


def _decimal(value: object) -> Decimal | None:
    """As it is written; None for what is no number or has too many digits."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MOST <= value <= MOST:
        return None
    found = Decimal(repr(value)).normalize()
    exponent = found.as_tuple().exponent
    return found if isinstance(exponent, int) and exponent >= -PLACES else None


def _tightest(ends: list[_End], inside: int) -> _End | None:
    return max(ends, key=lambda end: (inside * end.value, end.open), default=None)


def _size(low: _End, high: _End | None, step: Decimal | None, whole: bool) -> list[str]:
    """Ways to write what lies between two sizes, the sign aside."""
    if step is None:
        return _between(low, high, _places(low, high))
    if not _is_power(step):
        return _parts(low, high, step, whole)
    low = _End(_stepped(low, step, ROUND_CEILING), False)
    high = None if high is None else _End(_stepped(high, step, ROUND_FLOOR), False)
    if high is not None and high.value < low.value:
        return []
    if step < 1:
        return _between(low, high, -step.adjusted())
    first, last = int(low.value / step), None if high is None else int(high.value / step)
    zeros = f' "{"0" * step.adjusted()}"' if step > 1 else ""
    some = _whole(max(first, 1), last)
    return (['"0"'] if first == 0 else []) + ([f"( {' | '.join(some)} ){zeros}"] if some else [])


def _parts(low: _End, high: _End | None, step: Decimal, whole: bool) -> list[str]:
    """Multiples of 25 are 0, 25, 50 or 75 behind any hundreds, those of 0.5 have .5 or nothing behind the point. Each
    of these ends has its own first and last number of hundreds; most have the same, and are written together.
    """
    period = _period(step)
    assert period is not None
    places = len(str(int(period))) - 1
    alone: list[str] = []
    behind: dict[tuple[int, int | None], list[str]] = {}
    for number in range(int(period / step)):
        rest = number * step
        if whole and rest % 1:
            continue
        point, digits = ".", f"{rest % 1:f}".partition(".")[2].rstrip("0")
        fraction = point + digits if digits else ""
        first = _stepped(_End(low.value - rest, low.open), period, ROUND_CEILING) / period
        last = None if high is None else _stepped(_End(high.value - rest, high.open), period, ROUND_FLOOR) / period
        if first <= 0 and (last is None or last >= 0):
            alone.append(f'"{int(rest)}{fraction}"')
        ends = max(1, int(first)), None if last is None else int(last)
        if ends[1] is None or ends[0] <= ends[1]:
            before = f"{int(rest):0{places}d}" if places else ""
            behind.setdefault(ends, []).append(f'"{before}{fraction}"')
    many = [f"( {' | '.join(_whole(*ends))} ) ( {' | '.join(texts)} )" for ends, texts in behind.items()]
    return alone + many


def _places(low: _End, high: _End | None) -> int:
    """As many digits as a reader with floating point can tell from the bounds."""
    ends = [low] if high is None else [low, high]
    return max(1, PLACES - max(len(str(end.whole)) for end in ends), *(len(end.digits) for end in ends))


def _stepped(end: _End, step: Decimal, rounding: str) -> Decimal:
    """The first multiple inside."""
    found = (end.value / step).to_integral_value(rounding)
    if end.open and found * step == end.value:
        found += 1 if rounding == ROUND_CEILING else -1
    return found * step


def _between(low: _End, high: _End | None, places: int) -> list[str]:
    if high is not None and high.value < low.value:
        return []
    if high is not None and low.whole == high.whole:
        within = _within(low.digits, low.open, high.digits, high.open, places)
        return _written([f'"{low.whole}"'], within)
    ways = _written([f'"{low.whole}"'], _above(low.digits, low.open, places))
    ways += _written(_whole(low.whole + 1, None if high is None else high.whole - 1), _above("", False, places))
    return ways + ([] if high is None else _written([f'"{high.whole}"'], _below(high.digits, high.open, places)))


def _written(wholes: list[str], behind: _Digits) -> list[str]:
    """Whole numbers with a point and these digits behind them."""
    ways, ends = behind
    if not wholes or not (ways or ends):
        return []
    before = wholes[0] if len(wholes) == 1 else f"( {' | '.join(wholes)} )"
    return [f'{before} ( "." {_any_of(ways)} ){"?" if ends else ""}' if ways else before]


def _above(digits: str, open: bool, places: int) -> _Digits:
    """At least these digits behind the point, of at most `places`."""
    if not digits:
        if open:
            return ([f'"0"{{0,{places - 1}}} {_first(1, 9, places)[0]}'] if places else []), False
        return ([f"[0-9]{{1,{places}}}"] if places else []), True
    return _first(int(digits[0]) + 1, 9, places) + _then(digits[0], _above(digits[1:], open, places - 1)), False


def _below(digits: str, open: bool, places: int) -> _Digits:
    """At most these."""
    if not digits:
        return ([f'"0"{{1,{places}}}'] if places and not open else []), not open
    return _first(0, int(digits[0]) - 1, places) + _then(digits[0], _below(digits[1:], open, places - 1)), True


def _within(low: str, low_open: bool, high: str, high_open: bool, places: int) -> _Digits:
    if not low and not low_open:
        return _below(high, high_open, places)
    if not high:
        return [], False  # nothing is above low and at most its whole number
    first, last = int(low[:1] or 0), int(high[0])
    if first > last:
        return [], False
    if first == last:
        return _then(high[0], _within(low[1:], low_open, high[1:], high_open, places - 1)), False
    ways = _then(str(first), _above(low[1:], low_open, places - 1)) + _first(first + 1, last - 1, places)
    return ways + _then(high[0], _below(high[1:], high_open, places - 1)), False


def _first(low: int, high: int, places: int) -> list[str]:
    """Any digits behind a first one."""
    more = f" [0-9]{{0,{places - 1}}}" if places > 1 else ""
    return [f"[{low}-{high}]{more}"] if low <= high else []


def _then(digit: str, behind: _Digits) -> list[str]:
    ways, ends = behind
    if not ways:
        return [f'"{digit}"'] if ends else []
    return [f'"{digit}" {_any_of(ways)}{"?" if ends else ""}']


def _any_of(ways: list[str]) -> str:
    return f"( {' | '.join(ways)} )"


def _whole(low: int, high: int | None) -> list[str]:
    """Whole numbers from `low` to `high`, both included and neither negative."""
    if high is None:
        most = 10 ** len(str(low)) - 1
        return [*_whole(low, most), f"[1-9] [0-9]{{{len(str(low))},{max(PLACES, len(str(low)))}}}"]
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
