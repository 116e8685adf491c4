"""A client's JSON schema made ready for llama.cpp's converter to grammars. Pure.

The converter stumbles over plain things (a recursive model whose root is a $ref, as pydantic writes them; `true` for
"anything") and writes out repetitions one by one, so a bound of a million costs gigabytes. It takes the first keyword
that it knows and passes over those beside it without a word: `must_hold` finds them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llm.replies.exclusive_schemas import all_exclusive
from llm.replies.number_rules import BOUNDS, MOST, held_multiple, number_rule
from models.errors import BadInput

__all__ = ["must_hold", "prepared"]

MOST_REPEATED = 2000
"""llama.cpp's grammars repeat nothing more often."""
DEEPEST = 100
_BOUNDS = ("minItems", "maxItems", "minLength", "maxLength")
_MAPS = ("properties", "$defs", "definitions", "patternProperties")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")


MOST_NUMBERS = 256
"""A range of whole numbers up to this size is written out as what may be said."""
_ASSERTING = (
    ("type", "$ref", "const", "enum", "anyOf", "oneOf", "allOf", "not", "if", "then", "else")
    + ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
    + ("minLength", "maxLength", "pattern", "format")
    + ("items", "prefixItems", "additionalItems", "unevaluatedItems", "minItems", "maxItems", "uniqueItems")
    + ("contains", "minContains", "maxContains")
    + ("properties", "required", "additionalProperties", "patternProperties", "unevaluatedProperties")
    + ("propertyNames", "minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "dependencies")
)
"""The keywords of JSON Schema 2020-12 and draft 7 that a value can break."""
_HELD_FORMATS = ("date", "time", "date-time", "uuid")
_FORMATS = ("duration", "email", "hostname", "ipv4", "ipv6", "uri", *_HELD_FORMATS)
"""Those that OpenAI checks; others (int32) only tell something."""


def must_hold(schema: Mapping[str, Any], param: str) -> None:
    """Raises BadInput naming a keyword that the grammar of this schema would not enforce."""
    try:
        plain = prepared(schema, param)
        found = _not_held(plain, "", plain)
    except RecursionError:
        raise BadInput("the JSON schema is nested too deep", param=param) from None
    if found:
        hint = "leave that out, or leave out strict: then all else is enforced"
        if found.endswith("oneOf"):
            hint = (
                "more than one alternative could fit: give them different types, or a required property with another"
                " `const` in each; or write anyOf"
            )
        raise BadInput(f"the JSON schema says {found}, which cannot be enforced", param=param, hint=hint)


def _not_held(schema: object, where: str, root: Mapping[str, Any]) -> str:
    """The place of the first keyword that is passed over; "" where there is none."""
    if not isinstance(schema, Mapping):
        return ""
    held = _held(schema)
    for name in _ASSERTING:
        if name in schema and name not in held and not _says_nothing(name, schema[name]):
            return f"{where}{name}"
    if isinstance(schema.get("oneOf"), list) and not all_exclusive(schema["oneOf"], root):
        return f"{where}oneOf"
    known = schema.get("properties") if isinstance(schema.get("properties"), Mapping) else {}
    required = schema.get("required")
    if isinstance(required, list) and not set(map(str, required)) <= set(known or ()):
        return f"{where}required"
    for name in _MAPS:
        inner = schema.get(name)
        for key, value in inner.items() if isinstance(inner, Mapping) else ():
            if found := _not_held(value, f"{where}{name}.{key}.", root):
                return found
    for name in _LISTS:
        inner = schema.get(name)
        for number, value in enumerate(inner if isinstance(inner, list) else ()):
            if found := _not_held(value, f"{where}{name}[{number}].", root):
                return found
            if name == "allOf" and not {"properties", "$ref", "anyOf"} & set(value):
                return f"{where}allOf"
    for name in ("items", "additionalProperties"):
        if found := _not_held(schema.get(name), f"{where}{name}.", root):
            return found
    return ""


def _held(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """What llama.cpp's converter reads of a schema: the order is that of its `visit`."""
    kind = schema.get("type")
    if "$ref" in schema:
        return ("$ref",)
    if "oneOf" in schema or "anyOf" in schema:
        return ("oneOf",) if "oneOf" in schema else ("anyOf",)
    if "const" in schema or "enum" in schema:
        return ("const", "type") if "const" in schema else ("enum", "type")
    if kind in (None, "object"):
        if "properties" in schema or schema.get("additionalProperties", True) is not True:
            return ("type", "properties", "required", "additionalProperties")
        if "allOf" in schema:
            return ("type", "allOf")
    if kind in (None, "array") and ("items" in schema or "prefixItems" in schema):
        return ("type", "items", "minItems", "maxItems") if "items" in schema else ("type", "prefixItems")
    if kind in (None, "string"):
        if "pattern" in schema:
            return ("type", "pattern")
        if schema.get("format") in _HELD_FORMATS:
            return ("type", "format")
        if kind == "string":
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


def prepared(schema: Mapping[str, Any], param: str) -> dict[str, Any]:
    """A copy. Raises BadInput for bounds and depths that no grammar can have."""
    plain = _prepared(schema, param, 0)
    if "$ref" in plain:
        plain["anyOf"] = [{"$ref": plain.pop("$ref")}]
    return plain


def _prepared(schema: object, param: str, depth: int) -> dict[str, Any]:
    if depth > DEEPEST:
        raise BadInput(f"the JSON schema is nested deeper than {DEEPEST}", param=param)
    if not isinstance(schema, Mapping):
        if schema is True:
            return {}
        raise BadInput(f"a JSON schema cannot hold {str(schema)[:40]!r} here", param=param)
    for name in _BOUNDS:
        bound = schema.get(name)
        if bound is not None and (not isinstance(bound, int) or not 0 <= bound <= MOST_REPEATED):
            raise BadInput(f"{name}: a whole number up to {MOST_REPEATED}", param=param)
    for most in ("Items", "Length"):
        if (schema.get(f"min{most}") or 0) > schema.get(f"max{most}", math.inf):
            raise BadInput(f"min{most} is above max{most}", param=param)
    out = _written_out(dict(schema), param)
    for name in _MAPS:
        if isinstance(found := out.get(name), Mapping):
            out[name] = {key: _prepared(value, param, depth + 1) for key, value in found.items()}
    for name in _LISTS:
        if isinstance(found := out.get(name), list):
            out[name] = [_prepared(value, param, depth + 1) for value in found]
    items = out.get("items")
    if isinstance(items, Mapping) or items is True:
        out["items"] = _prepared(items, param, depth + 1)
    if isinstance(more := out.get("additionalProperties"), Mapping):
        out["additionalProperties"] = _prepared(more, param, depth + 1)
    return out


def _written_out(schema: dict[str, Any], param: str) -> dict[str, Any]:
    """1. Several types become alternatives: of a list of types the converter keeps nothing but the types. 2. A small
    range of whole numbers becomes the list of them: the model sees fewer ways to go wrong.
    """
    kind = schema.get("type")
    if isinstance(kind, list):  # 1
        if "enum" in schema or "const" in schema:
            return {name: value for name, value in schema.items() if name != "type"}
        if not {"anyOf", "oneOf", "$ref"} & set(schema):
            told = {name: schema.pop(name) for name in list(schema) if name in ("$defs", "definitions")}
            return {**told, "anyOf": [{**_of_type(schema, one), "type": one} for one in kind]}
    if kind == "integer" and not {"enum", "const", "anyOf", "oneOf", "$ref"} & set(schema):  # 2
        low, high = _bound(schema, "inimum", 1), _bound(schema, "aximum", -1)
        if low is not None and high is not None:
            if low > high:
                raise BadInput("minimum is above maximum", param=param)
            step = schema.get("multipleOf")
            step = step if isinstance(step, int) and step > 0 and not isinstance(step, bool) else 1
            found = range(-(-low // step) * step, high + 1, step)
            if not found:
                raise BadInput("no multiple of multipleOf lies between minimum and maximum", param=param)
            if len(found) <= MOST_NUMBERS and schema.get("multipleOf") in (None, step):
                said = ("multipleOf", *BOUNDS)
                return {**{name: value for name, value in schema.items() if name not in said}, "enum": list(found)}
    return schema


def _bound(schema: Mapping[str, Any], end: str, inside: int) -> int | None:
    plain, exclusive = schema.get(f"m{end}"), schema.get(f"exclusiveM{end}")
    found: list[int] = []
    for value, more in ((plain, 0), (exclusive, inside)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MOST:
            return None
        nearest = math.ceil(value) if inside > 0 else math.floor(value)
        found.append(nearest + more if nearest == value else nearest)
    return None if not found else max(found) if inside > 0 else min(found)


_OF = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"),
    "object": ("properties", "required", "additionalProperties", "minProperties", "maxProperties", "propertyNames"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


def _of_type(schema: Mapping[str, Any], kind: object) -> dict[str, Any]:
    """Without what is said of the other types."""
    of = "number" if kind == "integer" else kind
    others = {name for other, names in _OF.items() if other != of for name in names}
    return {name: value for name, value in schema.items() if name not in others and name != "type"}
