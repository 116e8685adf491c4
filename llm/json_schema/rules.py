"""JSON schemas, made plain by `prepare`, as rules of a grammar in llama.cpp's GBNF. Pure.

llama.cpp's own converter loses the comma before an additional property, lets a line break into a string, takes a
definition for the rule of a property with the same name, and knows no bounds of numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llm.json_schema.leaves import HELD_FORMATS
from llm.json_schema.literal_trie import PLAIN_CHARS, none_of, one_of
from llm.json_schema.number_rules import number_rule
from llm.json_schema.pattern_rule import pattern_rule
from llm.json_schema.prepare import Prepared
from llm.replies.tool_calls import literal

__all__ = ["SchemaRules"]

LONGEST_NAME = 80
_NAME = re.compile(r"[a-z-]+")
_HEX = "[0-9a-fA-F]"
_BUILT_IN: Mapping[str, str] = {
    "space": '" "?',
    # No half of a surrogate pair: alone it is no character, and two of them would count as two.
    "char": f'[^{PLAIN_CHARS}] | "\\\\" ( ["\\\\/bfnrt] | "u" ( [0-9a-cA-CefEF] {_HEX} | [dD] [0-7] ) {_HEX}{{2}} )',
    "string": '"\\"" char* "\\"" space',
    "whole": '"0" | [1-9] [0-9]{0,15}',
    "integer": '"-"? whole space',
    "number": '"-"? whole ( "." [0-9]{1,16} )? ( [eE] [-+]? [0-9]{1,2} )? space',
    "boolean": '( "true" | "false" ) space',
    "null": '"null" space',
    "array": '"[" space ( value ( "," space value )* )? "]" space',
    "object": '"{" space ( string ":" space value ( "," space string ":" space value )* )? "}" space',
    "value": "object | array | string | number | boolean | null",
    "day": 'year "-" ( ( "0" [13578] | "1" [02] ) "-" ( early | "29" | "3" [01] ) '
    '| ( "0" [469] | "11" ) "-" ( early | "29" | "30" ) | "02-" early ) | leap "-02-29"',
    "early": '"0" [1-9] | "1" [0-9] | "2" [0-8]',
    # Without 0000, which many programs do not know as a year.
    "year": '[0-9]{3} [1-9] | [0-9]{2} [1-9] "0" | [0-9] [1-9] "00" | [1-9] "000"',
    "leap": '[0-9]{2} fourth | fourth "00"',
    "fourth": '"0" [48] | [2468] [048] | [13579] [26]',
    "clock": '( [01] [0-9] | "2" [0-3] ) ":" [0-5] [0-9] ":" [0-5] [0-9] ( "." [0-9]{3} )? '
    '( "Z" | [-+] ( [01] [0-9] | "2" [0-3] ) ":" [0-5] [0-9] )',
    "date": '"\\"" day "\\"" space',
    "time": '"\\"" clock "\\"" space',
    "date-time": '"\\"" day "T" clock "\\"" space',
    "uuid": f'"\\"" {_HEX}{{8}} ( "-" {_HEX}{{4}} ){{3}} "-" {_HEX}{{12}} "\\"" space',
}


class SchemaRules:
    """Several schemas may have rules in one grammar."""

    def __init__(self) -> None:
        self._rules: dict[str, str] = {}
        self._definitions: dict[str, str] = {}

    def add(self, schemas: Prepared, name: str) -> str:
        """The name of the rule for a schema; that of the whole grammar is called root."""
        self._definitions = {}
        rule = self._free(name)
        self._rules[rule] = self._body(schemas.root, name)
        for reference in self._waiting():
            definition = self._definitions[reference]
            self._rules[definition] = self._body(schemas.definitions[reference][1], definition)
        return rule

    def _waiting(self) -> Iterator[str]:
        """Definitions that were referred to, also while the last one was written."""
        done: set[str] = set()
        while found := [reference for reference in self._definitions if reference not in done]:
            done |= set(found)
            yield from found

    def text(self) -> str:
        """With the built-in rules that are used, and those that they use."""
        rules, used = dict(self._rules), list(self._rules.values())
        while used:
            for name in _NAME.findall(used.pop()):
                if name in _BUILT_IN and name not in rules:
                    rules[name] = _BUILT_IN[name]
                    used.append(rules[name])
        return "\n".join(f"{name} ::= {rule}" for name, rule in rules.items())

    def _free(self, name: str) -> str:
        """A name that no other rule has, and none that is built in."""
        plain = "".join(char if char.isascii() and char.isalnum() else "-" for char in name)[:LONGEST_NAME]
        wanted = f"schema-{plain}" if plain in _BUILT_IN else plain
        found, number = wanted, 0
        while found in self._rules:
            number += 1
            found = f"{wanted}-{number}"
        self._rules[found] = ""
        return found

    def _rule(self, schema: Mapping[str, Any], name: str) -> str:
        """The name of a rule for it."""
        body = self._body(schema, name)
        if body in _BUILT_IN or body in self._rules:
            return body
        rule = self._free(name)
        self._rules[rule] = body
        return rule

    def _body(self, schema: Mapping[str, Any], name: str) -> str:
        if "$ref" in schema:
            return self._definition(schema["$ref"])
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return " | ".join(self._rule(way, f"{name}-{at}") for at, way in enumerate(schema[several]))
        if "enum" in schema or "const" in schema:
            values = schema["enum"] if "enum" in schema else [schema["const"]]
            return f"( {one_of(map(_json, values))} ) space"
        match schema.get("type"):
            case "object":
                return self._object(schema, name)
            case "array":
                return self._array(schema, name)
            case "string":
                return _string(schema)
            case "number" | "integer" as kind:
                return number_rule(schema) or str(kind)
            case kind:
                return str(kind or "value")

    def _definition(self, reference: str) -> str:
        """Its name; the rule is written later, for it may hold itself."""
        if reference not in self._definitions:
            self._definitions[reference] = self._free(f"ref-{reference}")
        return self._definitions[reference]

    def _object(self, schema: Mapping[str, Any], name: str) -> str:
        """What is required, in the order of the properties (as OpenAI does: a thought stands before its answer), then
        what may be left out. 1. An additional property has another name.
        """
        properties, required = schema["properties"], schema["required"]
        more = schema.get("additionalProperties", not properties)
        if not properties and more is True:
            return "object"
        must = [self._pair(key, properties[key], name) for key in properties if key in required]
        left = {key: value for key, value in properties.items() if key not in required and value is not False}
        may = [self._pair(key, value, name) for key, value in left.items()]
        if more is not False:  # 1
            value = self._rule({} if more is True else more, f"{name}-additional")
            others = none_of(key for key in properties if _json(key) == f'"{key}"')
            may.append(f'"\\"" {others} "\\"" ":" space {value}')
        may = [self._named(pair, f"{name}-pair") for pair in may]
        return f'"{{" space {self._pairs(must, may, more is not False, name)} "}}" space'

    def _pair(self, key: str, value: Mapping[str, Any], name: str) -> str:
        return f'{literal(_json(key))} space ":" space {self._rule(value, f"{name}-{key}")}'

    def _named(self, body: str, name: str) -> str:
        rule = self._free(name)
        self._rules[rule] = body
        return rule

    def _pairs(self, must: list[str], may: list[str], repeats: bool, name: str) -> str:
        """`may`: names of rules; the last may be said again and again if it `repeats`."""
        first = ' "," space '.join(must)
        if not may:
            return first
        rest, ways = "", []
        for number, pair in reversed(list(enumerate(may))):
            again = f'( "," space {pair} )*' if repeats and number == len(may) - 1 else ""
            ways.append(" ".join(filter(None, (pair, again, rest))))
            behind = again or f'( "," space {pair} )?'
            rest = self._named(" ".join(filter(None, (behind, rest))), f"{name}-rest")
        if must:
            return f"{first} {rest}"
        return f"( {' | '.join(reversed(ways))} )?"

    def _array(self, schema: Mapping[str, Any], name: str) -> str:
        first = [self._rule(one, f"{name}-{at}") for at, one in enumerate(schema.get("prefixItems", ()))]
        least, most = schema["minItems"], schema.get("maxItems")
        if not first and not schema["items"] and least == 0 and most is None:
            return "array"
        rest = ""
        if most is None or most > len(first):
            item = self._rule(schema["items"], f"{name}-item")
            rest = _repeated(item, least - len(first), None if most is None else most - len(first), bool(first))
        before = ' "," space '.join(first)
        return f'"[" space {before} {rest} "]" space'


def _repeated(item: str, least: int, most: int | None, goes_on: bool) -> str:
    """Items with commas between them; and before the first, where it `goes_on`."""
    if goes_on:
        return f'( "," space {item} ){{{least},{"" if most is None else most}}}'
    again = f'( "," space {item} ){{{max(0, least - 1)},{"" if most is None else most - 1}}}'
    return f"{item} {again}" if least else f"( {item} {again} )?"


def _string(schema: Mapping[str, Any]) -> str:
    if "pattern" in schema:
        return f'"\\"" {pattern_rule(str(schema["pattern"]))} "\\"" space'
    if schema.get("format") in HELD_FORMATS:
        return str(schema["format"])
    if "minLength" in schema or "maxLength" in schema:
        return f'"\\"" char{{{schema.get("minLength", 0)},{schema.get("maxLength", "")}}} "\\"" space'
    return "string"


def _json(value: Any) -> str:
    """As a reply says it. Half a surrogate pair is no character: it is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return text if _encodes(text) else json.dumps(value)


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
