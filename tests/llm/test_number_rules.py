"""Rules for numbers within bounds say what the bounds say."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.replies.number_rules import BOUNDS, number_rule

BOUND = st.none() | st.integers(-1200, 1200)


def pattern(rule: str) -> re.Pattern[str]:
    """A rule of literals, classes, repetitions, groups and alternatives is nearly a regular expression."""
    assert rule.endswith(" space")
    text = re.sub(r'"([^"]*)"', lambda found: re.escape(found[1]), rule.removesuffix(" space"))
    return re.compile(text.replace(" ", ""))


def within(value: float, bounds: dict[str, Any]) -> bool:
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


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer"},
        {"type": "string", "minimum": 1},
        {"type": "number", "minimum": 0.5},
        {"type": "integer", "minimum": 1e20},
        {"type": "integer", "minimum": True},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "number", "minimum": float("nan")},
    ],
)
def test_there_is_no_rule_for(schema: dict[str, Any]) -> None:
    assert number_rule(schema) == ""
