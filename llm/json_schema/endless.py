"""JSON schemas of which no value ever ends: a node that must hold a node. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["endless"]


def endless(targets: Mapping[str, Mapping[str, Any]]) -> str:
    """The reference of the first such definition; "" where there is none. A reply could not leave it."""
    ending: set[str] = set()
    before = -1
    while len(ending) > before:
        before = len(ending)
        for name in reversed(list(targets)):  # what refers to others stands before them, mostly
            if name not in ending and _ends(targets[name], ending):
                ending.add(name)
    return next((name for name in targets if name not in ending), "")


def _ends(schema: Mapping[str, Any], ending: set[str]) -> bool:
    """Whether some value of it ends, as far as is known of what it refers to."""
    if "$ref" in schema:
        return schema["$ref"] in ending
    ways = schema.get("anyOf") or schema.get("oneOf")
    if ways:
        return any(_ends(way, ending) for way in ways)
    if schema.get("type") == "object":
        return all(_ends(schema["properties"][name], ending) for name in schema["required"])
    if schema.get("type") == "array":
        first = schema.get("prefixItems", ())
        least = schema.get("minItems", 0)
        return all(_ends(one, ending) for one in first[:least]) and (
            least <= len(first) or _ends(schema["items"], ending)
        )
    return True
