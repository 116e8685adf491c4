"""What a grammar does not hold of a JSON schema, for clients who asked for `strict`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm.json_schema.exclusive import all_exclusive
from llm.json_schema.leaves import ASSERTING, HELD_FORMATS
from llm.json_schema.number_rules import BOUNDS, held_multiple, number_rule
from llm.json_schema.prepare import Prepared, prepared
from models.errors import BadInput

__all__ = ["must_hold"]

_FORMATS = ("duration", "email", "hostname", "ipv4", "ipv6", "uri", *HELD_FORMATS)
"""Those that OpenAI checks; others (int32) only tell something."""


def must_hold(schema: Mapping[str, Any], param: str) -> None:
    """Raises BadInput naming a keyword that the grammar of this schema would not enforce."""
    plain = prepared(schema, param)
    found = _not_held(plain.root, "", plain)
    for place, definition in plain.definitions.values():
        found = found or _not_held(definition, place, plain)
    if found:
        hint = "leave that out, or leave out strict: then all else is enforced"
        if found.endswith("oneOf"):
            hint = (
                "more than one alternative could fit: give them different types, or a required property with another"
                " `const` in each; or write anyOf"
            )
        raise BadInput(f"the JSON schema says {found}, which cannot be enforced", param=param, hint=hint)


def _not_held(schema: object, where: str, plain: Prepared) -> str:
    """The place of the first keyword that is passed over; "" where there is none."""
    if not isinstance(schema, Mapping):
        return ""
    held = _held(schema)
    for name in ASSERTING:
        if name in schema and name not in held and not _says_nothing(name, schema[name]):
            if name == "allOf":  # what could not be joined with the rest
                return f"{where}allOf.{next(iter(schema[name][0]))}"
            return f"{where}{name}"
    if "oneOf" in schema and not all_exclusive(schema["oneOf"], plain.targets):
        return f"{where}oneOf"
    for name in ("properties",):
        for key, value in schema.get(name, {}).items():
            if found := _not_held(value, f"{where}{name}.{key}.", plain):
                return found
    for name in ("anyOf", "oneOf", "prefixItems"):
        for number, value in enumerate(schema.get(name, ())):
            if found := _not_held(value, f"{where}{name}[{number}].", plain):
                return found
    for name in ("items", "additionalProperties"):
        if found := _not_held(schema.get(name), f"{where}{name}.", plain):
            return found
    return ""


def _held(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """What `rules` reads of a schema."""
    if "$ref" in schema:
        return ("$ref",)
    if "oneOf" in schema or "anyOf" in schema:
        return ("oneOf",) if "oneOf" in schema else ("anyOf",)
    if "const" in schema or "enum" in schema:
        return ("const", "type") if "const" in schema else ("enum", "type")
    match schema.get("type"):
        case "object":
            return ("type", "properties", "required", "additionalProperties")
        case "array":
            return ("type", "items", "prefixItems", "minItems", "maxItems")
        case "string" if "pattern" in schema:
            return ("type", "pattern")
        case "string" if schema.get("format") in HELD_FORMATS:
            return ("type", "format")
        case "string":
            return ("type", "minLength", "maxLength")
    if number_rule(schema):
        return ("type", *BOUNDS, "multipleOf") if held_multiple(schema) else ("type", *BOUNDS)
    return ("type",)


def _says_nothing(name: str, value: object) -> bool:
    if name == "format":
        return value not in _FORMATS
    if name in ("additionalProperties", "unevaluatedProperties", "additionalItems", "unevaluatedItems"):
        return value is True
    return name.startswith("min") and name != "minimum" and value == 0 or value is False or value == [] or value == {}
