"""What a grammar holds of a JSON schema, and what a strict one is refused for."""

from __future__ import annotations

from typing import Any

import pytest

from llm.replies.json_schema import must_hold, prepared
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
        (_of({"oneOf": [{"type": "integer"}, {"type": "number"}]}), "properties.x.oneOf"),
        (_of({"oneOf": [{"type": "string"}, {}]}), "properties.x.oneOf"),
        (_of({"oneOf": [{"enum": ["a", "b"]}, {"const": "b"}]}), "properties.x.oneOf"),
        (_of({"oneOf": [_of({"const": 1}), _of({"const": 1.0})]}), "properties.x.oneOf"),
        (_of({"oneOf": [PERSON, {**PERSON, "required": []}]}), "properties.x.oneOf"),
        (_of({"oneOf": [_pet("cat"), {**_pet("dog"), "required": []}]}), "properties.x.oneOf"),
        ({"oneOf": [{"$ref": "#"}, {"type": "null"}]}, "oneOf"),
        (_of({"type": "integer", "multipleOf": 7}), "properties.x.multipleOf"),
        (_of({"type": "array", "items": {"type": "string"}, "uniqueItems": True}), "properties.x.uniqueItems"),
        (_of({"type": "array", "minItems": 2}), "properties.x.minItems"),
        ({**PERSON, "minProperties": 2}, "minProperties"),
        ({"type": "object", "required": ["a"]}, "required"),
        ({**PERSON, "required": ["a", "b"]}, "required"),
        ({**PERSON, "not": {"required": ["b"]}}, "not"),
        ({**PERSON, "anyOf": [PERSON]}, "type"),
        (_of({"type": "string", "format": "email"}), "properties.x.format"),
        (_of({"type": "string", "pattern": "^a+$", "maxLength": 3}), "properties.x.maxLength"),
        (_of({"anyOf": [{"type": "number", "minimum": 1e-17}, {"type": "null"}]}), "properties.x.anyOf[0].minimum"),
        ({"$defs": {"d": {"type": "number", "maximum": 1e16}}, **_of({"$ref": "#/$defs/d"})}, "$defs.d.maximum"),
        (_of({"type": ["number", "null"], "multipleOf": 3}), "properties.x.anyOf[0].multipleOf"),
        ({"allOf": [{"minProperties": 1}]}, "allOf[0].minProperties"),
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
    assert prepared({"type": "integer", "exclusiveMinimum": 4, "maximum": 6}, "p")["enum"] == [5, 6]
    assert prepared({"type": "integer", "minimum": 0.5, "maximum": 20, "multipleOf": 7}, "p")["enum"] == [7, 14]
    assert "enum" not in prepared({"type": "integer", "minimum": 0, "maximum": 1000}, "p")
    assert prepared({"type": ["string", "null"], "maxLength": 4}, "p") == {
        "anyOf": [{"type": "string", "maxLength": 4}, {"type": "null"}]
    }
    with pytest.raises(BadInput):
        prepared({"type": "integer", "minimum": 6, "maximum": 5}, "p")
    with pytest.raises(BadInput, match="no multiple"):
        prepared({"type": "integer", "minimum": 6, "maximum": 7, "multipleOf": 5}, "p")


def test_the_hint_says_how_alternatives_exclude_each_other() -> None:
    with pytest.raises(BadInput) as caught:
        must_hold({"oneOf": [{"type": "string"}, {"type": "string", "minLength": 2}]}, "p")
    assert "const" in str(caught.value.hint) and "anyOf" in str(caught.value.hint)


@pytest.mark.parametrize(
    "schema", [{"type": "string", "minLength": 5, "maxLength": 3}, {"minItems": 2, "maxItems": 1}]
)
def test_lengths_that_exclude_each_other_are_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="is above"):
        prepared(schema, "response_format")
