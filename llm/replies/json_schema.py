"""A client's JSON schema made ready for llama.cpp's converter to grammars. Pure.

The converter stumbles over plain things (a recursive model whose root is a $ref, as pydantic writes them; `true` for
"anything") and writes out repetitions one by one, so a bound of a million costs gigabytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.errors import BadInput

__all__ = ["prepared"]

MOST_REPEATED = 2000
"""llama.cpp's grammars repeat nothing more often."""
DEEPEST = 100
_BOUNDS = ("minItems", "maxItems", "minLength", "maxLength")
_MAPS = ("properties", "$defs", "definitions", "patternProperties")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")


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
    out = dict(schema)
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
