"""Values that a model wrote without quotes, made what the tool's schema says they are. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["read_value"]


def read_value(text: str, schema: Mapping[str, Any], key: str) -> Any:
    """A string where the schema says string; else JSON, or the text itself where it is none."""
    properties = schema.get("properties")
    described = properties.get(key) if isinstance(properties, Mapping) else None
    kind = described.get("type") if isinstance(described, Mapping) else None
    if kind == "string":
        return text
    bare = text.strip()
    try:
        return json.loads(bare)
    except ValueError:
        return {"True": True, "False": False, "None": None}.get(bare, text)
