"""What the grammar of a JSON schema reads: replies that obey it and none that do not."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from llm.json_schema.prepare import prepared
from llm.json_schema.rules import SchemaRules
from llm.llamacpp.grammar_guard import _Char, _Group, _parsed, _Walk, check_grammar

END = "\0"
TREE = {
    "$ref": "#/$defs/tree",
    "$defs": {"tree": {"type": "object", "properties": {"of": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}},
}

NODE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {"type": "object", "anyOf": [{"properties": {"n": {"$ref": "#/$defs/node", "type": "object"}}}]},
    },
}


def _grammar(schema: dict[str, Any]) -> str:
    rules = SchemaRules()
    rules.add(prepared(schema, "response_format"), "root")
    text = rules.text()
    check_grammar(text)
    return text


def _reads(grammar: str, text: str) -> bool:
    rules = _parsed(grammar)
    walk = _Walk(rules)
    ways = walk._opened(Counter({(_Char(END * 2), _Group(rules["root"])): 1}))
    for char in text + END:
        left: Counter[Any] = Counter()
        for stack in ways:
            if isinstance(stack[-1], _Char) and stack[-1].takes(char):
                left[stack[:-1]] += 1
        if char == END:
            return bool(left)
        ways = walk._opened(left)
    raise AssertionError


def _object(*required: str, more: Any = False, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [*required],
        "additionalProperties": more,
    }


WHOLE = {"type": "integer"}


@pytest.mark.parametrize(
    ("schema", "obeying", "others"),
    [
        ({"title": "X"}, ['"a"', "1", "[]", '{"a":null}'], [""]),
        (_object("any", any={"title": "Any"}), ['{"any":1}', '{"any":[{}]}'], ['{"any":}']),
        ({"type": "array", "items": {}}, ["[]", '[1,"a"]'], ["[1,]"]),
        (_object(a=WHOLE, more=True), ['{"a":1,"b":"x"}', '{"b":"x","c":1}', "{}", '{"aa":1}'], ['{"a":1"b":2}']),
        (_object("a", a=WHOLE, more=WHOLE), ['{"a":1}', '{"a":1,"b":2,"c":3}'], ['{"a":1,"a":2}', '{"b":1}']),
        ({"type": "object", "additionalProperties": WHOLE}, ["{}", '{"a":1,"":2}'], ['{"a":"x"}']),
        (_object("", **{"": WHOLE}), ['{"":1}'], ["{}"]),
        ({"type": "object", "required": ["a"]}, ['{"a":[]}'], ["{}"]),
        ({"type": "string"}, ['"é\\n\\u00e9"'], ['"\n"', '"\\ud83d\\ude00"', '"\t"']),
        ({"type": "string", "minLength": 2, "maxLength": 2}, ['"ab"', '"\\"\\u0041"'], ['"a"', '"abc"']),
        ({"type": "number"}, ["-0.5e3", "12"], ["1e999", "01", "1."]),
        (
            {"type": "array", "prefixItems": [WHOLE, {"type": "null"}], "minItems": 2, "maxItems": 2},
            ["[1,null]"],
            ["[1]", "[1,null,2]"],
        ),
        ({"type": "array", "items": [WHOLE], "additionalItems": {"type": "null"}}, ["[1]", "[1,null]"], ["[1,2]"]),
        ({"type": "array", "minItems": 1}, ['["a"]'], ["[]"]),
        ({"type": "array", "items": False}, ["[]"], ["[1]"]),
        ({"enum": ["a", 1, None], "type": ["string", "null"]}, ['"a"', "null"], ["1"]),
        ({"enum": [f"x{n}" for n in range(40)]}, ['"x7"', '"x39"', '"x3"'], ['"x"', '"x40"']),
        ({"minimum": 3, "maximum": 2**63 - 1}, ["3"], ["2"]),
        (TREE, ['{"of":[{},{"of":[{}]}]}'], ['{"of":{}}']),
        (_object("v", v=WHOLE, next={"$ref": "#"}), ['{"v":1,"next":{"v":2}}'], ['{"v":1,"next":{}}']),
        ({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": WHOLE}}, ["1"], ['"a"']),
        ({"allOf": [{"$ref": "#/$defs/colour"}], "$defs": {"colour": {"enum": ["red"]}}}, ['"red"'], ["{}"]),
        ({"allOf": [_object("a", a=WHOLE, more=True), {"required": ["b"]}]}, ['{"a":1,"b":2}'], ['{"a":1}']),
        ({"allOf": [{"type": "number", "minimum": 2}, {"type": "integer", "maximum": 4}]}, ["2", "4"], ["5", "2.5"]),
        (
            {"properties": {"a": WHOLE, "b": WHOLE}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            ['{"a":1}', '{"b":1}'],
            ["{}"],
        ),
        (NODE, ["{}", '{"n":{"n":{}}}'], ['{"n":1}']),
    ],
)  # fmt: skip
def test_what_a_schema_allows(schema: dict[str, Any], obeying: list[str], others: list[str]) -> None:
    grammar = _grammar(schema)
    assert {text: _reads(grammar, text) for text in [*obeying, *others]} == {
        **dict.fromkeys(obeying, True),
        **dict.fromkeys(others, False),
    }


@pytest.mark.parametrize("value", ["a\nb", 'say "hi"', "C:\\temp", "Grüße", "😀", "\ud800", {"a b": ['"', "\\"]}])
def test_constants_and_names_may_hold_anything(value: Any) -> None:
    grammar = _grammar({"const": value})
    assert _reads(grammar, json.dumps(value, ensure_ascii=value == "\ud800"))
    grammar.encode("utf-8")
    if isinstance(value, str):
        named = _grammar(_object(value, more=True, **{value: WHOLE}))
        key = json.dumps(value, ensure_ascii=value == "\ud800")
        assert _reads(named, f"{{{key}:1}}") and not _reads(named, f"{{{key}:true}}")


def test_a_definition_is_not_taken_for_a_rule_of_the_same_name() -> None:
    schema = _object(
        "address", "home", "name", address=_object("street", street={"type": "string"}),
        home={"$ref": "#/$defs/address"}, name={"$ref": "#/$defs/string"},
    )  # fmt: skip
    defs = {"address": _object("zip", zip={"type": "boolean"}), "string": {"type": "null"}}
    grammar = _grammar({**schema, "$defs": defs})
    assert _reads(grammar, '{"address":{"street":"a"},"home":{"zip":true},"name":null}')
    assert not _reads(grammar, '{"address":{"street":"a"},"home":{"street":"a"},"name":null}')


def test_many_values_that_begin_alike_cost_what_few_do() -> None:
    few, many = (_grammar({"enum": [f"{'x' * 20}{n}" for n in range(count)]}) for count in (10, 5000))
    assert len(many) < 500 * len(few)
    assert _reads(many, f'"{"x" * 20}4999"') and not _reads(many, f'"{"x" * 20}5000"')


def test_what_is_required_stands_in_the_order_of_the_properties() -> None:
    """A model thinks before it answers because the schema says so, however `required` is sorted."""
    grammar = _grammar(_object("answer", "thoughts", thoughts={"type": "string"}, answer={"type": "integer"}))
    assert _reads(grammar, '{"thoughts": "six times seven", "answer": 42}')
    assert not _reads(grammar, '{"answer": 42, "thoughts": "six times seven"}')
