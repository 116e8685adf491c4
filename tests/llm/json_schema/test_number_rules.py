"""Rules for numbers within bounds say what the bounds say."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.json_schema.number_rules import BOUNDS, held_multiple, number_rule

BOUND = st.none() | st.integers(-1200, 1200)


def pattern(rule: str) -> re.Pattern[str]:
    """A rule of literals, classes, repetitions, groups and alternatives is nearly a regular expression."""
    assert rule.endswith(" space")
    text = re.sub(r'"([^"]*)"', lambda found: re.escape(found[1]), rule.removesuffix(" space"))
    return re.compile(text.replace(" ", ""))


def within(value: Any, bounds: dict[str, Any]) -> bool:
    low, high = bounds.get("minimum"), bounds.get("maximum")
    above, below = bounds.get("exclusiveMinimum"), bounds.get("exclusiveMaximum")
    return (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
    )


@given(st.tuples(BOUND, BOUND, BOUND, BOUND), st.lists(st.integers(-1300, 1300), min_size=1, max_size=60))
def test_whole_numbers(ends: tuple[int | None, ...], values: list[int]) -> None:
    bounds = {name: end for name, end in zip(BOUNDS, ends, strict=True) if end is not None}
    rule = number_rule({"type": "integer", **bounds})
    near = [end + by for end in bounds.values() for by in (-1, 0, 1)]
    for value in (*values, *near, 0, 10**12, -(10**12)):
        wanted = bool(bounds) and within(value, bounds)
        assert bool(rule and pattern(rule).fullmatch(str(value))) == wanted, (bounds, value, rule)


@given(st.tuples(BOUND, BOUND, BOUND, BOUND), st.lists(st.decimals(-1300, 1300, places=2), min_size=1, max_size=60))
def test_numbers(ends: tuple[int | None, ...], values: list[Any]) -> None:
    bounds = {name: end for name, end in zip(BOUNDS, ends, strict=True) if end is not None}
    rule = number_rule({"type": "number", **bounds})
    near = [end + by / 100 for end in bounds.values() for by in (-100, -1, 0, 1, 100)]
    for value in (*values, *near):
        text = f"{value:.2f}"
        if float(text) == 0:
            text = "0.00"  # "-0.00" need not be possible
        wanted = bool(bounds) and within(float(text), bounds)
        assert bool(rule and pattern(rule).fullmatch(text)) == wanted, (bounds, text, rule)


FRACTION = st.none() | st.decimals(-13, 13, places=2).map(float)


@given(st.tuples(FRACTION, FRACTION, FRACTION, FRACTION), st.lists(st.decimals(-14, 14, places=3), max_size=8))
def test_numbers_between_fractions(ends: tuple[float | None, ...], values: list[Any]) -> None:
    bounds = {name: end for name, end in zip(BOUNDS, ends, strict=True) if end is not None}
    exact = {name: Decimal(repr(end)) for name, end in bounds.items()}
    rule = number_rule({"type": "number", **bounds})
    near = [end + by * Decimal("0.001") for end in exact.values() for by in (-10, -1, 0, 1, 10)]
    whole = [end.to_integral_value() for end in exact.values()]
    for value in (*values, *near, *whole):
        for places in (0, 1, 2, 3, 5):
            written = f"{value:.{places}f}"
            if value != Decimal(written):
                continue
            text = written.removeprefix("-") if value == 0 else written  # "-0.0" need not be possible
            wanted = bool(bounds) and within(value, exact)
            assert bool(rule and pattern(rule).fullmatch(text)) == wanted, (bounds, text, rule)


@given(
    st.sampled_from([0.01, 0.1, 1, 10, 1000, 0.25, 0.5, 0.05, 2, 2.5, 5, 25]),
    st.tuples(FRACTION, FRACTION),
    st.lists(st.decimals(-14, 14, places=3) | st.integers(-5, 5).map(lambda n: Decimal(n * 1000)), max_size=15),
)
def test_multiples_that_show_at_the_end(step: float, ends: tuple[float | None, ...], values: list[Decimal]) -> None:
    bounds = {name: end * 100 for name, end in zip(BOUNDS[:2], ends, strict=True) if end is not None}
    schema = {"type": "number", "multipleOf": step, **bounds}
    exact = {name: Decimal(repr(end)) for name, end in bounds.items()}
    rule = number_rule(schema)
    assert held_multiple(schema)
    some = (Decimal(number) * Decimal(repr(step)) for number in (-401, -7, 1, 3, 39, 999))
    for value in (*values, *exact.values(), *some, Decimal(0), Decimal("0.05"), Decimal("0.005")):
        text = f"{value.normalize():f}"
        wanted = value % Decimal(repr(step)) == 0 and within(value, exact)
        assert bool(rule and pattern(rule).fullmatch("0" if value == 0 else text)) == wanted, (schema, text, rule)


def test_other_multiples_have_no_rule() -> None:
    for step in (0.3, 3, 15, 1 / 3, 0, -1, True, "1", 1e-20, 1e300):
        assert not held_multiple({"type": "number", "multipleOf": step})
        assert number_rule({"type": "number", "multipleOf": step}) == ""
    assert number_rule({"type": "number", "multipleOf": 3, "minimum": 0.5})


def test_whole_multiples_of_fractions() -> None:
    rule = pattern(number_rule({"type": "integer", "multipleOf": 2.5, "minimum": -12}))
    assert [n for n in range(-20, 21) if rule.fullmatch(str(n))] == [-10, -5, 0, 5, 10, 15, 20]
    rule = pattern(number_rule({"type": "integer", "multipleOf": 0.25, "maximum": 7}))
    assert [n for n in range(0, 12) if rule.fullmatch(str(n))] == list(range(8))


def test_bounds_as_far_as_json_is_exact() -> None:
    most = 2**53 - 1  # what zod says of a plain int
    for bounds, inside in (
        ({"minimum": -most, "maximum": most}, (-most, -1, 0, 10**15, most)),
        ({"minimum": most}, (most, most + 1, 9 * 10**15 + 10**14)),
    ):
        rule = pattern(number_rule({"type": "integer", **bounds}))
        for value in (*inside, -most - 1, most - 1, most + 2, -(10**17)):
            wanted = within(value, bounds)
            assert bool(rule.fullmatch(str(value))) == wanted, (bounds, value)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer"},
        {"type": "string", "minimum": 1},
        {"type": "number", "minimum": 1e-20},
        {"type": "number", "minimum": 0.3, "exclusiveMaximum": 0.3},
        {"type": "number", "minimum": 0.1234567890123456789e-5},
        {"type": "integer", "minimum": 1e20},
        {"type": "integer", "minimum": True},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "number", "minimum": float("nan")},
    ],
)
def test_there_is_no_rule_for(schema: dict[str, Any]) -> None:
    assert number_rule(schema) == ""
