"""Whether no value fits two JSON schemas, as far as their types, constants and required properties tell. Pure.

A grammar offers alternatives and cannot say that only one of them fits. Where no two of them can, that is no matter:
then `oneOf` says what `anyOf` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from llm.json_schema.leaves import GUESSED
from llm.json_schema.merging import same_value

__all__ = ["all_exclusive"]

DEEPEST = 12
MOST = 64
"""Alternatives that are compared in pairs."""
_TYPES: Mapping[type, str] = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}


def all_exclusive(alternatives: Sequence[Any], targets: Mapping[str, Mapping[str, Any]]) -> bool:
    """`targets`: what their references lead to."""
    if len(alternatives) > MOST:
        return False
    return all(_exclusive(one, other, targets, DEEPEST) for one, other in combinations(alternatives, 2))


def _exclusive(one: Any, other: Any, targets: Mapping[str, Any], depth: int) -> bool:
    """1. Each of several alternatives. 2. Different types. 3. Different constants. 4. Objects: a property of both
    that is exclusive itself, or one that the other must not have.
    """
    if not depth:
        return False
    one, other = _resolved(one, targets), _resolved(other, targets)
    if one is None or other is None:
        return False
    for here, there in ((one, other), (other, one)):
        for name in ("anyOf", "oneOf"):
            if isinstance(several := here.get(name), list) and len(several) <= MOST:
                return all(_exclusive(part, there, targets, depth - 1) for part in several)  # 1
    types, others = _types(one), _types(other)
    if types and others and not types & others:  # 2
        return True
    values, other_values = _values(one), _values(other)
    if values is not None and other_values is not None:  # 3
        return not values & other_values
    if types != {"object"} or others != {"object"}:
        return False
    return any(  # 4
        _tells(name, one, other, targets, depth) or _tells(name, other, one, targets, depth)
        for name in _required(one, other)
    )


def _tells(
    name: str, one: Mapping[str, Any], other: Mapping[str, Any], targets: Mapping[str, Any], depth: int
) -> bool:
    """`one` must have this property."""
    if name not in _names(one.get("required")):
        return False
    mine, its = _properties(one), _properties(other)
    if name not in its:
        return other.get("additionalProperties") is False and not other.get("patternProperties")
    must = name in _names(other.get("required"))
    return must and name in mine and _exclusive(mine[name], its[name], targets, depth - 1)


def _required(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    return _names(one.get("required")) | _names(other.get("required"))


def _names(value: object) -> set[str]:
    return {name for name in value if isinstance(name, str)} if isinstance(value, list) else set()


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _resolved(schema: Any, targets: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """None for what leads to itself."""
    for _ in range(DEEPEST):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            break
        schema = targets.get(schema["$ref"])
    return schema if isinstance(schema, Mapping) and "$ref" not in schema else None


def _types(schema: Mapping[str, Any]) -> set[str]:
    """Empty: any."""
    values = _listed(schema)
    if values is not None:
        return {_TYPES.get(type(value), "array" if isinstance(value, list) else "object") for value in values}
    kind = None if GUESSED in schema else schema.get("type")
    kinds = [kind] if isinstance(kind, str) else kind if isinstance(kind, list) else []
    return {"number" if one == "integer" else str(one) for one in kinds}


def _listed(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def _values(schema: Mapping[str, Any]) -> set[str] | None:
    values = _listed(schema)
    return None if values is None else set(map(same_value, values))
