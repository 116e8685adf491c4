"""Two JSON schemas that must both hold as one, as far as their keywords can be joined. Pure.

A grammar cannot say "and". `allOf`, and alternatives beside other keywords, have to become one schema before. What
cannot be joined (two patterns) stays in `allOf`, where a strict reader finds it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

__all__ = ["NothingFits", "joined", "same_value"]

_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains")
_COMBINING = ("$ref", "allOf", "anyOf", "oneOf")
_OBJECT = ("properties", "additionalProperties")
_ARRAY = ("prefixItems", "items", "additionalItems")


class NothingFits(Exception):
    """No value obeys both; the text says why."""


def joined(one: Any, other: Any) -> Any:
    """Raises NothingFits. With references or alternatives in them, `allOf` of both: these are for the caller."""
    if one is False or other is False:
        return False
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return one if isinstance(one, Mapping) else other
    out: dict[str, Any] = {**_as_enum(one)}
    left = [*_listed(out.pop("allOf", None))]
    for name, value in _as_enum(other).items():
        if name == "allOf":
            left += _listed(value)
        elif name not in out:
            out[name] = value
        elif name not in (*_OBJECT, *_ARRAY) and same_value(out[name]) != same_value(value):
            both = _both(name, out[name], value)
            if both is None:
                left.append({name: value})
            else:
                out[name] = both
    out = {name: value for name, value in out.items() if name not in _ARRAY}
    out |= _objects(one, other) | _arrays(one, other)
    return {**out, "allOf": left} if left else out


def _as_enum(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A constant is a list of one value; beside such a list it is one of it."""
    out = dict(schema)
    if "const" in out:
        value = out.pop("const")
        out["enum"] = [value] if "enum" not in out else _common(_listed(out["enum"]), [value])
    return out


def _both(name: str, one: Any, other: Any) -> Any:
    """None: they cannot be joined."""
    if name == "type":
        return _types(one, other)
    if name == "enum":
        return _common(_listed(one), _listed(other))
    if name == "required":
        return list(dict.fromkeys([*_listed(one), *_listed(other)]))
    if name == "uniqueItems":
        return bool(one or other)
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other)):
        return None
    if name in _LEAST or name in _MOST:
        return max(one, other) if name in _LEAST else min(one, other)
    if name == "multipleOf":
        small, large = sorted((one, other))
        return large if small > 0 and Decimal(repr(large)) % Decimal(repr(small)) == 0 else None
    return None


def _types(one: Any, other: Any) -> list[str]:
    first, second = ([kind] if isinstance(kind, str) else _listed(kind) for kind in (one, other))
    found = [kind for kind in first if kind in second or (kind == "integer" and "number" in second)]
    found += [kind for kind in second if kind == "integer" and "number" in first and kind not in found]
    if not found:
        raise NothingFits(f"nothing is both {' or '.join(map(str, first))} and {' or '.join(map(str, second))}")
    return found


def _common(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    allowed = set(map(same_value, other))
    found = [value for value in one if same_value(value) in allowed]
    if not found:
        raise NothingFits("no value is in both lists")
    return found


def same_value(value: Any) -> str:
    """Equal for equal values: 1 and 1.0 are the same, 1 and true are not."""

    def plain(inner: Any) -> Any:
        if isinstance(inner, list):
            return [plain(each) for each in inner]
        if isinstance(inner, Mapping):
            return {key: plain(each) for key, each in inner.items()}
        return int(inner) if isinstance(inner, float) and inner.is_integer() else inner

    return json.dumps(plain(value), sort_keys=True)


def _objects(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """A property that only one of them names is for the other an additional one."""
    if not any(name in schema for schema in (one, other) for name in _OBJECT):
        return {}
    mine, its = (_mapping(schema.get("properties")) for schema in (one, other))
    more, its_more = (schema.get("additionalProperties", True) for schema in (one, other))
    found: dict[str, Any] = {}
    for key in dict.fromkeys([*mine, *its]):
        try:
            found[key] = _inner(mine.get(key, more), its.get(key, its_more))
        except NothingFits:
            found[key] = False  # it must not be there
    out: dict[str, Any] = {"properties": found} if found or mine or its else {}
    if (others := _inner(more, its_more)) is not True:
        out["additionalProperties"] = others
    return out


def _arrays(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    if not any(name in schema for schema in (one, other) for name in _ARRAY):
        return {}
    (mine, more), (its, its_more) = _tuple_of(one), _tuple_of(other)
    first = [
        _inner(mine[at] if at < len(mine) else more, its[at] if at < len(its) else its_more)
        for at in range(max(len(mine), len(its)))
    ]
    rest = _inner(more, its_more)
    return {**({"prefixItems": first} if first else {}), **({} if rest is True else {"items": rest})}


def _tuple_of(schema: Mapping[str, Any]) -> tuple[Sequence[Any], Any]:
    """The first items one by one, and what the others are; draft 7 has the list in `items`."""
    items = schema.get("items", True)
    if isinstance(items, list):
        return items, schema.get("additionalItems", True)
    return _listed(schema.get("prefixItems")), items


def _inner(one: Any, other: Any) -> Any:
    if one is True or one == other:
        return other
    if other is True:
        return one
    if any(isinstance(schema, Mapping) and name in schema for schema in (one, other) for name in _COMBINING):
        return False if one is False or other is False else {"allOf": [one, other]}
    return joined(one, other)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
