"""What a grammar holds of a JSON schema, and what a strict one is refused for."""

from __future__ import annotations

from typing import Any

import pytest

from llm.json_schema.prepare import prepared
from llm.json_schema.strict import must_hold
from models.errors import BadInput

PERSON = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def _of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": schema}, "required": ["x"], "additionalProperties": False}


def _pet(kind: str, **more: Any) -> dict[str, Any]:
    kinds = {"type": {"type": "string", "const": kind}, **more}
    return {"type": "object", "properties": kinds, "required": list(kinds), "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        (_of({"type": "number", "minimum": 0.5e-20, "maximum": 6}), "properties.x.minimum"),
        (_of({"type": "number", "multipleOf": 0.3}), "properties.x.multipleOf"),
        (_of({"type": "integer", "minimum": 1e20}), "properties.x.minimum"),
        (_of({"type": "integer", "minimum": 2**60, "maximum": 2**63}), "properties.x.minimum"),
        (_of({"oneOf": [{"type": "integer"}, {"type": "number"}]}), "properties.x.oneOf"),
        (_of({"oneOf": [{"type": "string"}, {}]}), "properties.x.oneOf"),
        (_of({"oneOf": [{"enum": ["a", "b"]}, {"const": "b"}]}), "properties.x.oneOf"),
        (_of({"oneOf": [_of({"const": 1}), _of({"const": 1.0})]}), "properties.x.oneOf"),
        (_of({"oneOf": [PERSON, {**PERSON, "required": []}]}), "properties.x.oneOf"),
        (_of({"oneOf": [_pet("cat"), {**_pet("dog"), "required": []}]}), "properties.x.oneOf"),
        ({"oneOf": [{"$ref": "#"}, {"type": "null"}]}, "oneOf"),
        (_of({"type": "integer", "multipleOf": 7}), "properties.x.multipleOf"),
        (_of({"type": "array", "items": {"type": "string"}, "uniqueItems": True}), "properties.x.uniqueItems"),
        ({**PERSON, "minProperties": 2}, "minProperties"),
        ({**PERSON, "not": {"required": ["b"]}}, "not"),
        ({**PERSON, "anyOf": [{"minProperties": 1}]}, "anyOf[0].minProperties"),
        (_of({"type": "string", "pattern": "^a", "allOf": [{"pattern": "b"}]}), "properties.x.allOf.pattern"),
        (_of({"oneOf": [{"required": ["a"]}, {"type": "string"}]}), "properties.x.oneOf"),
        (_of({"type": "string", "format": "email"}), "properties.x.format"),
        (_of({"type": "string", "pattern": "^a+$", "maxLength": 3}), "properties.x.maxLength"),
        (_of({"anyOf": [{"type": "number", "minimum": 1e-17}, {"type": "null"}]}), "properties.x.anyOf[0].minimum"),
        ({"$defs": {"d": {"type": "number", "multipleOf": 3}}, **_of({"$ref": "#/$defs/d"})}, "$defs.d.multipleOf"),
        (_of({"type": ["number", "null"], "multipleOf": 3}), "properties.x.anyOf[0].multipleOf"),
        ({"allOf": [{"minProperties": 1}]}, "minProperties"),
    ],
)
def test_a_strict_schema_is_refused_for_what_no_grammar_holds(schema: dict[str, Any], keyword: str) -> None:
    with pytest.raises(BadInput, match="cannot be enforced") as caught:
        must_hold(schema, "response_format")
    assert f"says {keyword}," in caught.value.message and caught.value.param == "response_format"


@pytest.mark.parametrize(
    "schema",
    [
        PERSON,
        {**PERSON, "title": "Person", "description": "x", "$schema": "y", "minProperties": 0},
        _of({"type": "string", "minLength": 1, "maxLength": 5, "title": "t"}),
        _of({"type": "string", "format": "date-time"}),
        _of({"type": "integer", "minimum": 0, "exclusiveMaximum": 11}),
        _of({"type": "integer", "format": "int32"}),
        _of({"type": "integer", "minimum": 0}),
        _of({"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**63 - 1}),
        _of({"type": "array", "prefixItems": [{"type": "null"}], "minItems": 1, "maxItems": 1}),
        _of({"allOf": [{"$ref": "#/$defs/d"}], "$defs": {}, "description": "x"}) | {"$defs": {"d": PERSON}},
        {"type": "object", "required": ["a"]},
        _of({"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 100}),
        _of({"type": ["string", "null"], "enum": ["a", None]}),
        _of({"type": ["string", "null"], "maxLength": 4}),
        _of({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3, "uniqueItems": False}),
        {"$defs": {"d": PERSON}, **_of({"$ref": "#/$defs/d", "description": "x"})},
        {"$ref": "#/$defs/d", "$defs": {"d": {**_of({"anyOf": [{"$ref": "#/$defs/d"}, {"type": "null"}]})}}},
        _of({"type": "number", "minimum": 0.5, "exclusiveMaximum": 0.75}),
        _of({"type": "number", "minimum": 0, "multipleOf": 0.01}),
        _of({"type": "integer", "minimum": 0, "maximum": 1000, "multipleOf": 5}),
        _of({"oneOf": [{"type": "string"}, {"type": ["number", "null"]}, {"type": "boolean"}]}),
        _of({"oneOf": [{"const": 1}, {"const": True}, {"enum": ["a", None]}]}),
        _of({"oneOf": [_pet("cat"), _pet("dog", age={"type": "integer"})]}),
        _of({"oneOf": [PERSON, _pet("cat")]}),
        {
            "$defs": {"cat": _pet("cat"), "dog": _pet("dog"), "pet": {"anyOf": [{"$ref": "#/$defs/dog"}]}},
            **_of({"oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/pet"}]}),
        },
        {},
    ],
)
def test_a_strict_schema_that_a_grammar_holds_passes(schema: dict[str, Any]) -> None:
    must_hold(schema, "response_format")


def test_small_ranges_and_lists_of_types_are_written_out() -> None:
    assert prepared({"type": "integer", "exclusiveMinimum": 4, "maximum": 6}, "p").root["enum"] == [5, 6]
    assert prepared({"type": "integer", "minimum": 0.5, "maximum": 20, "multipleOf": 7}, "p").root["enum"] == [7, 14]
    assert "enum" not in prepared({"type": "integer", "minimum": 0, "maximum": 1000}, "p").root
    assert prepared({"type": ["string", "null"], "maxLength": 4}, "p").root == {
        "anyOf": [{"type": "string", "maxLength": 4}, {"type": "null"}]
    }


def test_the_hint_says_how_alternatives_exclude_each_other() -> None:
    with pytest.raises(BadInput) as caught:
        must_hold({"oneOf": [{"type": "string"}, {"type": "string", "minLength": 2}]}, "p")
    assert "const" in str(caught.value.hint) and "anyOf" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("schema", "place", "reason"),
    [
        (_of({"type": "string", "minLength": 5, "maxLength": 3}), "properties.x", "minLength is above maxLength"),
        ({"minItems": 2, "maxItems": 1}, "", "minItems is above maxItems"),
        (_of({"minItems": 3, "items": False}), "properties.x", "needs 3 items and has room for 0"),
        (
            _of({"type": "integer", "minimum": 6, "maximum": 5}),
            "properties.x",
            "no integer obeys minimum and maximum",
        ),
        (_of({"type": "number", "minimum": 6, "exclusiveMaximum": 6}), "properties.x", "no number obeys"),
        ({"type": "integer", "minimum": 6, "maximum": 7, "multipleOf": 5}, "", "no integer obeys"),
        ({"type": "integer", "minimum": 8, "maximum": 10, "multipleOf": 7}, "", "no whole number obeys"),
        (_of({"enum": []}), "properties.x.enum", "lists no value"),
        (_of({"enum": ["a"], "type": "integer"}), "properties.x.enum", "no value of it is integer"),
        (_of({"anyOf": []}), "properties.x.anyOf", "no alternative"),
        (_of({"type": []}), "properties.x.type", "one or several of"),
        (_of({"type": "text"}), "properties.x.type", "one or several of"),
        (_of({"allOf": [{"type": "string"}, {"type": "null"}]}), "properties.x", "nothing is both string and null"),
        ({"allOf": [{"enum": [1, 2]}, {"const": True}]}, "", "no value is in both lists"),
        ({"allOf": [_of({"type": "string"}), _of({"type": "null"})]}, "required", "'x' is required and must not be"),
        ({**PERSON, "required": ["b"]}, "required", "'b' is required and must not be there"),
        (_of({"type": "string", "anyOf": [{"type": "null"}, False]}), "properties.x.anyOf[0]", "nothing is both"),
        (_of({"$ref": "#/$defs/nowhere"}), "properties.x.$ref", "leads nowhere"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "$ref", "leads to itself"),
        (_of({"$ref": "https://example.org/a.json"}), "properties.x.$ref", "a reference within the schema"),
        (_of({"$ref": "#"}), "", "has no end"),
        (_of({"$ref": "#/$defs/a"}) | {"$defs": {"a": _of({"$ref": "#/$defs/a"})}}, "$defs.a", "has no end"),
        (_of(False), "required", "'x' is required and must not be there"),
        ({"properties": {"a": 5}}, "properties.a", "'5' is not a schema"),
        (_of({"type": "string", "pattern": "("}), "properties.x.pattern", "cannot be read"),
        (_of({"type": "integer", "minimum": "5"}), "properties.x.minimum", "a number"),
        ({"type": "object", "required": "a"}, "required", "a list"),
    ],
)
def test_what_nothing_can_obey_is_refused_with_its_place(schema: dict[str, Any], place: str, reason: str) -> None:
    with pytest.raises(BadInput) as caught:
        prepared(schema, "response_format")
    assert caught.value.message.startswith(f"the JSON schema{' at ' if place else ''}{place}: ")
    assert reason in caught.value.message and caught.value.param == "response_format"


def test_alternatives_that_contradict_what_stands_beside_them_are_none() -> None:
    plain = prepared({"type": "string", "anyOf": [{"type": "null"}, {"maxLength": 3}]}, "p").root
    assert plain == {"anyOf": [{"type": "string", "maxLength": 3}]}


def test_schemas_that_multiply_are_refused() -> None:
    both = {"anyOf": [{"maxLength": 9}, {"minLength": 1}]}
    with pytest.raises(BadInput, match="too large"):
        prepared({"allOf": [both] * 40}, "p")
