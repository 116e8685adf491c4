"""llama.cpp's converter of JSON schemas to grammars, with what it gets wrong put right.

It lacks bounds of numbers and most of regular expressions; backslashes and characters outside the basic plane in
names and constants make it write rules that nothing, or no JSON, obeys; and a definition with the name of another
rule (a property `address` beside `#/$defs/address`, a definition called `string`) is taken for that rule.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from llm.replies.number_rules import number_rule
from llm.replies.pattern_rule import pattern_rule

__all__ = ["new_converter"]

_OTHERS = frozenset(("$ref", "anyOf", "oneOf", "enum", "const"))
_NO_TEXT = frozenset(("properties", "additionalProperties", "items", "prefixItems", "allOf"))


def new_converter() -> Any:
    return _converter()(prop_order={}, allow_fetch=False, dotall=False, raw_pattern=False)


@cache
def _converter() -> Any:
    from llama_cpp.llama_grammar import RESERVED_NAMES, SchemaConverter

    class Converter(SchemaConverter):  # type: ignore[misc]
        def visit(self, schema: dict[str, Any], name: str) -> str:
            rule = "" if _OTHERS & set(schema) else _rule_of(schema)
            if not rule:
                return str(super().visit(schema, name))
            return str(self._add_rule(f"{name}-" if name in RESERVED_NAMES else name or "root", rule))

        def _format_literal(self, literal: str) -> str:
            """`literal` is JSON, and may be written with other escapes."""
            text = json.dumps(json.loads(literal), ensure_ascii=False)
            return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

        def _resolve_ref(self, ref: str) -> str:
            known: dict[str, str] = self.__dict__.setdefault("_rules_of_refs", {})
            if ref not in known:
                known[ref] = f"ref-{len(known)}-{ref.rpartition('/')[2]}"[:80]
                known[ref] = self._named(known[ref])
                known[ref] = self.visit(self._refs[ref], known[ref])
            return known[ref]

        @staticmethod
        def _named(name: str) -> str:
            """As `_add_rule` will call it: whoever refers to it before it is there must know."""
            return "".join(char if char.isascii() and (char.isalnum() or char == "-") else "-" for char in name)

    return Converter


def _rule_of(schema: dict[str, Any]) -> str:
    if schema.get("type") in (None, "string") and "pattern" in schema and not _NO_TEXT & set(schema):
        return f'"\\"" {pattern_rule(str(schema["pattern"]))} "\\"" space'
    return number_rule(schema)
