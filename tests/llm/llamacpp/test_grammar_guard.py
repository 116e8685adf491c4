"""Grammars that would keep the sampler busy for ever, and those that only look like it."""

from __future__ import annotations

from typing import Any

import pytest

from llm.llamacpp.grammar_guard import check_grammar
from llm.llamacpp.prompts import _Rules
from models.errors import BadInput


@pytest.mark.parametrize(
    "grammar",
    [
        'root ::= "a"{5,1}',
        "root ::= [a-z]{ 5 , 1 }",
        'root ::= "a"{1000000}',
        "root ::= " + " ".join(["[a-z]{1,2000}"] * 50),
        "root ::= " + "[a-z]? " * 2000,
        "root ::= " + '"a"? ' * 8000,
        "root ::= " + "[a-z]* " * 12,
        "root ::= " + "([a-z]{0,3} " * 16 + ")" * 16,
        'root ::= "{" x\nx ::= "b" ' + '("ab")? ' * 32,
        'root ::= a\na ::= ("q"?) a "z" | "k"',
        "root ::= r0\n" + "\n".join(f"r{i} ::= r{i + 1}? r{i + 1}?" for i in range(22)) + '\nr22 ::= "a"',
        "root ::= " + "(" * 300 + '"a"' + ")" * 300,
        "\n".join(f'r{i} ::= "a"' for i in range(5000)),
        'x ::= "a"',
        "root ::= nothing",
        'root ::= "a',
        'root ::= ("a"',
        'root ::= "a" )',
        "root ::= {2}",
        "root ::= \x00",
    ],
    ids=lambda grammar: grammar[:40],
)
def test_what_the_sampler_would_not_survive_is_refused(grammar: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_grammar(grammar, "grammar")
    assert refused.value.param == "grammar" and refused.value.hint


@pytest.mark.parametrize(
    "grammar",
    [
        'root ::= "yes" | "no"',
        'root ::= [a-z]+ ("-" [a-z]+)*',
        'root ::= "(" root ")" | ""',
        'root ::= "\\"" ([^"\\\\] | "\\\\" ["\\\\/bfnrt])* "\\""',
        "root ::= ",
        'root ::= "(((((((" [)\\]] # ((((',
        'root ::= a-b # "\na-b ::= ( "x"\n | .{2,3} )',
    ],
)
def test_others_pass(grammar: str) -> None:
    check_grammar(grammar)


_NAMES = ("integer", "string", "boolean", "number")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {f"field{i}": {"type": _NAMES[i % 4]} for i in range(60)}},
        {"enum": [f"value number {i}" for i in range(1000)]},
        {"type": "string", "pattern": "^\\+?[0-9]{1,3}[ -]?([ -]?[0-9]{1,4}){1,5}$"},
        {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 50},
        {"const": "x" * 20_000},
    ],
    ids=["optional", "enum", "pattern", "array", "const"],
)
def test_what_people_ask_for_passes(schema: dict[str, Any]) -> None:
    rules = _Rules("response_format")
    rules.add(schema, "root")
    check_grammar(rules.text())
