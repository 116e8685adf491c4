"""JSON schemas that hold no other one (texts, numbers, lists of values), and what schemas are made of. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from llm.json_schema.number_rules import BOUNDS, MOST, no_number
from llm.json_schema.pattern_rule import pattern_rule

__all__ = [
    "ASSERTING",
    "GUESSED",
    "HELD_FORMATS",
    "WrongSchema",
    "counts",
    "kinds_of",
    "listed",
    "number_schema",
    "of_type",
    "text_schema",
    "values_schema",
]

MOST_REPEATED = 2000
"""llama.cpp's grammars repeat nothing more often."""
MOST_NUMBERS = 256
"""A range of whole numbers up to this size is written out as what may be said."""
HELD_FORMATS = ("date", "time", "date-time", "uuid")
KEYWORDS: Mapping[str, tuple[str, ...]] = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "propertyNames")
    + ("minProperties", "maxProperties", "unevaluatedProperties")
    + ("dependentRequired", "dependentSchemas", "dependencies"),
    "array": ("items", "prefixItems", "additionalItems", "unevaluatedItems", "minItems", "maxItems", "uniqueItems")
    + ("contains", "minContains", "maxContains"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": (*BOUNDS, "multipleOf"),
}
GUESSED = "x-guessed-type"
"""Marks a schema whose type was told by its keywords only: other values obey it, too."""
_TYPES = ("string", "number", "integer", "boolean", "null", "array", "object")
ASSERTING: tuple[str, ...] = (
    *("type", "const", "enum", "not", "if", "then", "else", "$ref", "allOf", "anyOf", "oneOf"),
    *(name for names in KEYWORDS.values() for name in names),
)
"""The keywords of JSON Schema 2020-12 and draft 7 that a value can break."""


class WrongSchema(Exception):
    """What is wrong, and where; `empty`: nothing obeys it, and beside others that would be no matter."""

    def __init__(self, place: str, reason: str, *, empty: bool = False) -> None:
        super().__init__(reason)
        self.place, self.reason, self.empty = place[:200], reason, empty


def kinds_of(schema: Mapping[str, Any], place: str) -> list[str]:
    """Where no type is said, keywords of one tell it. Empty: any."""
    kind = schema.get("type")
    if kind is None:
        said = {name for name in schema if name != "format" or schema[name] in HELD_FORMATS}
        return [of for of, names in KEYWORDS.items() if said & set(names)][:1]
    kinds = kind if isinstance(kind, list) else [kind]
    if not kinds or any(one not in _TYPES for one in kinds):
        raise WrongSchema(f"{place}type", f"one or several of {', '.join(_TYPES)}")
    return [one for one in dict.fromkeys(kinds) if one != "integer" or "number" not in kinds]


def of_type(schema: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Without what is said of the other types."""
    of = "number" if kind == "integer" else kind
    others = {name for other, names in KEYWORDS.items() if other != of for name in names}
    return {name: value for name, value in schema.items() if name not in others}


def values_schema(schema: Mapping[str, Any], kinds: Sequence[str], place: str) -> dict[str, Any]:
    """Those of the right type."""
    name = "enum" if "enum" in schema else "const"
    given = listed(schema, "enum", place) if name == "enum" else [schema["const"]]
    if not given:
        raise WrongSchema(f"{place}enum", "it lists no value")
    if "type" not in schema:
        return dict(schema)
    found = [value for value in given if any(_is(value, kind) for kind in kinds)]
    if not found:
        raise WrongSchema(f"{place}{name}", f"no value of it is {' or '.join(kinds)}", empty=True)
    out = {key: value for key, value in schema.items() if key != "type"}
    return {**out, name: found if name == "enum" else found[0]}


def _is(value: Any, kind: str) -> bool:
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, Mapping)
    return _is_number(value) and (kind == "number" or isinstance(value, int) or value.is_integer())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def counts(schema: Mapping[str, Any], of: str, place: str) -> tuple[int, float]:
    least, most = schema.get(f"min{of}", 0), schema.get(f"max{of}", math.inf)
    for name, bound in ((f"min{of}", least), (f"max{of}", most)):
        if bound is not math.inf and (type(bound) is not int or not 0 <= bound <= MOST_REPEATED):
            raise WrongSchema(f"{place}{name}", f"a whole number up to {MOST_REPEATED}")
    if least > most:
        raise WrongSchema(place, f"min{of} is above max{of}", empty=True)
    return least, most


def text_schema(schema: dict[str, Any], place: str) -> dict[str, Any]:
    counts(schema, "Length", place)
    if "pattern" in schema:
        try:
            pattern_rule(str(schema["pattern"]))
        except ValueError as reason:
            raise WrongSchema(f"{place}pattern", str(reason)) from None
    return schema


def number_schema(schema: dict[str, Any], place: str) -> dict[str, Any]:
    """A small range of whole numbers becomes the list of them: the model sees fewer ways to go wrong."""
    for name in (*BOUNDS, "multipleOf"):
        value = schema.get(name, 1)
        if not _is_number(value) or (name == "multipleOf" and value <= 0):
            raise WrongSchema(f"{place}{name}", "a number" if name in BOUNDS else "a number above 0")
    if no_number(schema):
        said = " and ".join(name for name in (*BOUNDS, "multipleOf") if name in schema)
        raise WrongSchema(place, f"no {schema['type']} obeys {said}", empty=True)
    low, high = _bound(schema, "inimum", 1), _bound(schema, "aximum", -1)
    if schema["type"] != "integer" or low is None or high is None:
        return schema
    step = schema.get("multipleOf")
    step = step if isinstance(step, int) else 1
    found = range(-(-low // step) * step, high + 1, step)
    if not found:
        raise WrongSchema(place, "no whole number obeys minimum, maximum and multipleOf", empty=True)
    if len(found) > MOST_NUMBERS or schema.get("multipleOf") not in (None, step):
        return schema
    plain = {name: value for name, value in schema.items() if name not in ("type", "multipleOf", *BOUNDS)}
    return {**plain, "enum": list(found)}


def _bound(schema: Mapping[str, Any], end: str, inside: int) -> int | None:
    plain, exclusive = schema.get(f"m{end}"), schema.get(f"exclusiveM{end}")
    found: list[int] = []
    for value, more in ((plain, 0), (exclusive, inside)):
        if value is None:
            continue
        if not abs(value) <= MOST:
            return None
        nearest = math.ceil(value) if inside > 0 else math.floor(value)
        found.append(nearest + more if nearest == value else nearest)
    return None if not found else max(found) if inside > 0 else min(found)


def listed(schema: Mapping[str, Any], name: str, place: str) -> Sequence[Any]:
    found = schema.get(name, ())
    if not isinstance(found, list | tuple):
        raise WrongSchema(f"{place}{name}", "a list")
    return found
