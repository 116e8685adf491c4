"""Two schemas that must both hold as one: nothing that either of them asks for is lost."""

from __future__ import annotations

from typing import Any

import pytest

from llm.json_schema.merging import NothingFits, joined, same_value
from llm.json_schema.prepare import prepared

WHOLE, FROM_3 = {"type": "integer"}, {"minimum": 3}
BOTH = WHOLE | FROM_3


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (True, WHOLE, WHOLE),
        (WHOLE, False, False),
        ({"minimum": 1, "maximum": 9}, {"minimum": 2, "maximum": 10}, {"minimum": 2, "maximum": 9}),
        ({"type": ["string", "number"]}, {"type": ["integer", "null"]}, {"type": ["integer"]}),
        ({"enum": [1, "a", True]}, {"const": 1.0}, {"enum": [1]}),
        ({"required": ["a"]}, {"required": ["b", "a"]}, {"required": ["a", "b"]}),
        ({"multipleOf": 2}, {"multipleOf": 6}, {"multipleOf": 6}),
        ({"multipleOf": 4}, {"multipleOf": 6}, {"multipleOf": 4, "allOf": [{"multipleOf": 6}]}),
        ({"pattern": "a"}, {"pattern": "b"}, {"pattern": "a", "allOf": [{"pattern": "b"}]}),
        ({"uniqueItems": False}, {"uniqueItems": True}, {"uniqueItems": True}),
    ],
)
def test_keywords_are_joined_or_kept_beside(one: Any, other: Any, both: Any) -> None:
    assert joined(one, other) == both


@pytest.mark.parametrize(
    ("one", "other"), [({"type": "string"}, {"type": ["number", "null"]}), ({"enum": [1]}, {"enum": [True]})]
)
def test_what_nothing_obeys_is_told(one: Any, other: Any) -> None:
    with pytest.raises(NothingFits):
        joined(one, other)


def test_a_property_that_one_of_them_names_is_for_the_other_an_additional_one() -> None:
    one = {"properties": {"a": WHOLE, "b": WHOLE}, "additionalProperties": False}
    other = {"properties": {"a": FROM_3}, "additionalProperties": FROM_3}
    assert joined(one, other) == {"properties": {"a": BOTH, "b": BOTH}, "additionalProperties": False}
    never = joined({"properties": {"a": {"type": "string"}}}, {"properties": {"a": WHOLE}})
    assert never == {"properties": {"a": False}}


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ({"items": WHOLE}, {"items": FROM_3}, {"items": BOTH}),
        ({"prefixItems": [WHOLE]}, {"prefixItems": [FROM_3]}, {"prefixItems": [BOTH]}),
        ({"prefixItems": [WHOLE]}, {"items": FROM_3}, {"prefixItems": [BOTH], "items": FROM_3}),
        ({"prefixItems": [True, WHOLE], "items": False}, {"prefixItems": [FROM_3]}, {"prefixItems": [FROM_3, WHOLE]}),
        # draft 7: the list is in `items`
        ({"items": [WHOLE]}, {"items": [FROM_3]}, {"prefixItems": [BOTH]}),
        ({"items": [WHOLE]}, {"prefixItems": [FROM_3]}, {"prefixItems": [BOTH]}),
        ({"items": WHOLE}, {"items": [FROM_3]}, {"prefixItems": [BOTH], "items": WHOLE}),
        ({"items": [WHOLE], "additionalItems": FROM_3}, {"items": [{}, {}]}, {"prefixItems": [WHOLE, FROM_3]}),
    ],
)
def test_of_lists_every_place_is_joined(one: Any, other: Any, both: dict[str, Any]) -> None:
    found = joined(one, other)
    assert {name: found[name] for name in both} == both
    assert "additionalItems" not in found and not isinstance(found.get("items"), list)


def test_both_lists_of_draft_7_hold_in_a_grammar() -> None:
    first, second = {"items": [WHOLE], "maxItems": 1}, {"items": [FROM_3]}
    found: Any = prepared({"type": "array", "allOf": [first, second]}, "response_format")
    (place,) = found.root["prefixItems"]
    assert (place["type"], place["minimum"]) == ("integer", 3)


def test_equal_values_are_the_same() -> None:
    assert same_value({"b": 1.0, "a": [2]}) == same_value({"a": [2.0], "b": 1})
    assert same_value(1) != same_value(True) and same_value("1") != same_value(1)
