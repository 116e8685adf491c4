"""OpenAI's `response_format`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.errors import BadInput

__all__ = ["grammar_schema", "is_strict"]


def grammar_schema(response_format: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The JSON schema a reply must obey, {} for any object, None for plain text. Raises BadInput."""
    kind = (response_format or {}).get("type", "text")
    if response_format is None or kind == "text":
        return None
    if kind == "json_object":
        return {}
    described = response_format.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    if kind != "json_schema" or not isinstance(schema, Mapping):
        raise BadInput(
            'response_format: {"type": "text"}, {"type": "json_object"} or '
            '{"type": "json_schema", "json_schema": {"schema": ...}}',
            param="response_format",
        )
    return schema


def is_strict(response_format: Mapping[str, Any] | None) -> bool:
    """Whether every keyword of the schema must be obeyed."""
    described = (response_format or {}).get("json_schema")
    return isinstance(described, Mapping) and described.get("strict") is True
