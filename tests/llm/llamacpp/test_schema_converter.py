"""Schemas that llama.cpp's own converter makes wrong rules of."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from llm.llamacpp.grammar_guard import check_grammar
from llm.llamacpp.schema_converter import new_converter


def _rules(schema: dict[str, Any]) -> dict[str, str]:
    converter = new_converter()
    converter.visit(converter.resolve_refs(json.loads(json.dumps(schema)), "schema"), "")
    text = converter.format_grammar()
    check_grammar(text)
    return dict(re.findall(r"^(\S+) ::= (.*)$", text, re.MULTILINE))


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@pytest.mark.parametrize("value", ["a\nb", 'say "hi"', "C:\\temp", "Grüße", "😀", {"a b": ['"', "\\"]}])
def test_constants_are_written_as_json(value: Any) -> None:
    """A GBNF literal and a JSON string have the same escapes here."""
    (literal,) = re.findall(r'^("(?:\\.|[^"\\])*")$', _rules({"const": value})["root"])
    assert json.loads(json.loads(literal)) == value


def test_names_may_hold_anything() -> None:
    rules = _rules(_object(**{'a"b\\c\n': {"type": "boolean"}, "😀": {"type": "null"}}))
    named = [json.loads(json.loads(rule.split(" space")[0])) for name, rule in rules.items() if name.endswith("-kv")]
    assert sorted(named) == ['a"b\\c\n', "😀"]


def test_a_definition_is_not_taken_for_a_rule_of_the_same_name() -> None:
    schema = _object(
        address=_object(street={"type": "string"}),
        home={"$ref": "#/$defs/address"},
        name={"$ref": "#/$defs/string"},
        same={"$ref": "#/$defs/address"},
    )
    rules = _rules({**schema, "$defs": {"address": _object(zip={"type": "boolean"}), "string": {"type": "null"}}})
    assert rules["home"] == rules["same"] and "zip" in rules[rules["home"]]
    assert rules["name"] == "null" and "street" in rules["address"]


def test_a_definition_may_hold_itself() -> None:
    node = _object(value={"type": "boolean"}, next={"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]})
    rules = _rules({"$defs": {"node": node}, "anyOf": [{"$ref": "#/$defs/node"}]})
    assert rules["alternative-0"] == rules["ref-0-node-next-0"] == "ref-0-node" and "next" in rules["ref-0-node"]


def test_a_number_called_like_a_rule_of_the_converter() -> None:
    rules = _rules(_object(integer={"type": "integer", "minimum": 1000, "maximum": 2000}, other={"type": "integer"}))
    assert "integral-part" in rules["integer"]
