"""A client's JSON schema made ready for a grammar, and refused where no reply could obey it. Pure.

What comes out is plain: one type a schema, no `allOf`, nothing beside `$ref` or alternatives, and each reference
leads to a definition that is as plain. A reply need not say all that a schema allows, but it must obey it; what a
grammar cannot hold (`uniqueItems`) is left in for `strict`, which refuses it where that was asked for.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm.json_schema.endless import endless
from llm.json_schema.leaves import (
    ASSERTING,
    GUESSED,
    WrongSchema,
    counts,
    kinds_of,
    listed,
    number_schema,
    of_type,
    text_schema,
    values_schema,
)
from llm.json_schema.merging import NothingFits, joined
from llm.json_schema.pointer import pointed
from models.errors import BadInput

__all__ = ["Prepared", "prepared"]

DEEPEST = 100
MOST_SCHEMAS = 20_000
"""Joining schemas multiplies them."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """`definitions`: what each `$ref` in it leads to, with its place in the client's schema."""

    root: Mapping[str, Any]
    definitions: Mapping[str, tuple[str, Mapping[str, Any]]]

    @property
    def targets(self) -> Mapping[str, Mapping[str, Any]]:
        return {name: schema for name, (_, schema) in self.definitions.items()}


def prepared(schema: Mapping[str, Any], param: str) -> Prepared:
    """Raises BadInput naming the place of what no grammar can have, and of what nothing can obey."""
    try:
        work = _Preparation(schema)
        plain = Prepared(work.root(), work.definitions)
        if name := endless(plain.targets):
            raise WrongSchema(plain.definitions[name][0], "has no end: whatever obeys it holds another one")
    except WrongSchema as wrong:
        place = wrong.place.strip(".")
        where = f" at {place}" if place else ""
        raise BadInput(f"the JSON schema{where}: {wrong.reason}", param=param) from None
    except RecursionError:
        raise BadInput("the JSON schema is nested too deep", param=param) from None
    return plain


class _Preparation:
    """A definition is prepared once, after what refers to it: so it may hold itself."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._whole = schema
        self._count = 0
        self._waiting: deque[tuple[str, str, Any]] = deque()
        self._named: dict[str, str] = {}
        self.definitions: dict[str, tuple[str, Mapping[str, Any]]] = {}

    def root(self) -> dict[str, Any]:
        root = self._plain(self._whole, "", 0)
        while self._waiting:
            name, place, schema = self._waiting.popleft()
            self.definitions[name] = place, self._plain(schema, place, 0)
        return root

    def _plain(self, schema: Any, place: str, depth: int) -> dict[str, Any]:
        """1. One schema of all that must hold. 2. Alternatives. 3. A reference, or a list of values. 4. By type."""
        self._count += 1
        if depth > DEEPEST or self._count > MOST_SCHEMAS:
            raise WrongSchema(place, f"it is nested deeper than {DEEPEST}, or becomes too large")
        schema = _mapping(schema, place)
        parts = self._parts(schema, place)
        out = {**_told(schema), **self._one(parts, place)}  # 1
        if len(parts) > 1 and any("$ref" in part for part in parts):
            return {**_told(schema), "$ref": self._joined(parts, out, place)}
        for name in ("anyOf", "oneOf"):
            if name in out:
                return self._alternatives(out, name, place, depth)  # 2
        if "$ref" in out:  # 3
            return {**_told(out), "$ref": self._later(out["$ref"], place)}
        kinds = kinds_of(out, place)
        if "enum" in out or "const" in out:
            return values_schema(out, kinds, place)
        if len(kinds) > 1:  # 4
            ways = [{**of_type(out, kind), "type": kind} for kind in kinds]
            return {**_told(out), "anyOf": [self._plain(way, place, depth + 1) for way in ways]}
        if not kinds:
            return out
        guessed = {} if "type" in out else {GUESSED: True}
        return self._typed({**out, **guessed, "type": kinds[0]}, place, depth)

    def _one(self, parts: Sequence[Mapping[str, Any]], place: str) -> Mapping[str, Any]:
        """Without `allOf`, but for what could not be joined."""
        if len(parts) <= 1:
            return parts[0] if parts else {}
        out: Any = {}
        met: set[str] = set()
        waiting = deque(parts)
        while waiting:
            part = waiting.popleft()
            if "$ref" in part:
                target = self._target(part["$ref"], place)
                if part["$ref"] not in met:
                    waiting.extendleft(reversed(self._parts(_mapping(target, place), place)))
                met.add(part["$ref"])
                continue
            for name in ("anyOf", "oneOf"):
                if name in out and name in part:
                    rest = {key: value for key, value in part.items() if key != name}
                    part = {**rest, "allOf": [*part.get("allOf", ()), {name: part[name]}]}
            try:
                out = joined(out, part)
            except NothingFits as reason:
                raise WrongSchema(place, f"nothing can obey all of it: {reason}", empty=True) from None
        return dict(out)

    def _parts(self, schema: Mapping[str, Any], place: str) -> list[Mapping[str, Any]]:
        """What must hold at the same time, references each by itself."""
        own = {name: value for name, value in schema.items() if name in ASSERTING and name not in ("$ref", "allOf")}
        parts: list[Mapping[str, Any]] = [own] if own else []
        if "$ref" in schema:
            parts.append({"$ref": schema["$ref"]})
        for number, part in enumerate(listed(schema, "allOf", place)):
            parts += self._parts(_mapping(part, f"{place}allOf[{number}]."), f"{place}allOf[{number}].")
            if len(parts) > MOST_SCHEMAS:
                raise WrongSchema(place, "it becomes too large")
        return parts

    def _alternatives(self, schema: dict[str, Any], name: str, place: str, depth: int) -> dict[str, Any]:
        """What stands beside them holds for each; those that contradict it are no alternatives."""
        ways = listed(schema, name, place)
        if not ways:
            raise WrongSchema(f"{place}{name}", "it has no alternative")
        beside = {key: value for key, value in schema.items() if key in ASSERTING and key != name}
        if not beside:
            plain = [self._plain(way, f"{place}{name}[{at}].", depth + 1) for at, way in enumerate(ways)]
            return {**_told(schema), name: plain}
        found: list[dict[str, Any]] = []
        reason: WrongSchema | None = None
        for at, way in enumerate(ways):
            if way is False:
                continue
            try:
                found.append(self._plain({"allOf": [beside, way]}, f"{place}{name}[{at}].", depth + 1))
            except WrongSchema as wrong:
                if not wrong.empty:
                    raise
                reason = wrong
        if not found:
            raise reason or WrongSchema(f"{place}{name}", "nothing can obey it", empty=True)
        return {**_told(schema), name: found}

    # ---- references ----------------------------------------------------------------------------------------------

    def _joined(self, parts: Sequence[Mapping[str, Any]], out: Mapping[str, Any], place: str) -> str:
        """A definition of its own: where a node is joined with something in each of its children, it holds itself."""
        key = json.dumps(parts, sort_keys=True)
        if key not in self._named:
            self._named[key] = f"joined-{len(self._named)}"
            self._waiting.append((self._named[key], place, out))
        return self._named[key]

    def _later(self, reference: Any, place: str) -> str:
        target = self._target(reference, place)
        if reference not in self._named:
            self._named[reference] = f"{len(self._named)}-{reference.rpartition('/')[2]}"
            self._waiting.append((self._named[reference], reference[2:].replace("/", ".") + ".", target))
        return self._named[reference]

    def _target(self, reference: Any, place: str) -> Any:
        """What a reference stands for; through others, where it leads to another one."""
        met: set[str] = set()
        while True:
            found = self._pointed(reference, place)
            if not isinstance(found, Mapping) or set(ASSERTING) & found.keys() != {"$ref"}:
                return found
            if reference in met:
                raise WrongSchema(f"{place}$ref", f"the reference {reference[:80]!r} leads to itself")
            met.add(reference)
            reference = found["$ref"]

    def _pointed(self, reference: Any, place: str) -> Any:
        try:
            return pointed(self._whole, reference)
        except ValueError as reason:
            raise WrongSchema(f"{place}$ref", str(reason)) from None

    # ---- by type -------------------------------------------------------------------------------------------------

    def _typed(self, schema: dict[str, Any], place: str, depth: int) -> dict[str, Any]:
        match schema["type"]:
            case "object":
                return self._object(schema, place, depth)
            case "array":
                return self._array(schema, place, depth)
            case "string":
                return text_schema(schema, place)
            case "number" | "integer":
                return number_schema(schema, place)
        return schema

    def _object(self, schema: dict[str, Any], place: str, depth: int) -> dict[str, Any]:
        """A property that is `false` must not be there."""
        more = schema.get("additionalProperties", True)
        properties = dict(_mapping(schema.get("properties", {}), f"{place}properties"))
        required = listed(schema, "required", place)
        for name in required:
            if not isinstance(name, str):
                raise WrongSchema(f"{place}required", "a list of names")
            if properties.setdefault(name, more) is False:
                raise WrongSchema(f"{place}required", f"{name[:60]!r} is required and must not be there", empty=True)
        for name, value in properties.items():
            if value is not False:
                properties[name] = self._plain(value, f"{place}properties.{name}.", depth + 1)
        out = {**schema, "properties": properties, "required": list(dict.fromkeys(required))}
        if isinstance(more, Mapping):
            out["additionalProperties"] = self._plain(more, f"{place}additionalProperties.", depth + 1)
        elif not isinstance(more, bool):
            raise WrongSchema(f"{place}additionalProperties", "a schema, true or false")
        return out

    def _array(self, schema: dict[str, Any], place: str, depth: int) -> dict[str, Any]:
        least, most = counts(schema, "Items", place)
        items = schema.get("items", True)
        if isinstance(items, list):  # draft 7
            first: Sequence[Any] = items
            rest = schema.get("additionalItems", True)
        else:
            first, rest = listed(schema, "prefixItems", place), items
        if rest is False or False in first:
            first = first[: first.index(False)] if False in first else first
            most, rest = min(most, len(first)), True
        if least > most:
            raise WrongSchema(place, f"it needs {least} items and has room for {most}", empty=True)
        out = {name: value for name, value in schema.items() if name not in ("prefixItems", "additionalItems")}
        first = first[: int(min(most, len(first)))]
        if first:
            plain = (self._plain(one, f"{place}prefixItems[{at}].", depth + 1) for at, one in enumerate(first))
            out["prefixItems"] = list(plain)
        out["minItems"] = max(least, len(first))
        if first and most == math.inf and "items" not in schema:
            most = out["minItems"]  # nobody asked for more
        if most != math.inf:
            out["maxItems"] = int(most)
        out["items"] = self._plain(rest, f"{place}items.", depth + 1) if most > len(first) else {}
        return out


def _mapping(schema: Any, place: str) -> Mapping[str, Any]:
    if isinstance(schema, Mapping):
        return schema
    if schema is True:
        return {}
    reason = "nothing obeys `false`" if schema is False else f"{str(schema)[:40]!r} is not a schema"
    raise WrongSchema(place, reason, empty=schema is False)


def _told(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What tells and asserts nothing. Definitions have been followed where they are used."""
    return {name: value for name, value in schema.items() if name not in (*ASSERTING, "$defs", "definitions")}
