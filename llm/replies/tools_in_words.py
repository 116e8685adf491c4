"""Tools for a model whose template knows none: described in the system message, called as Hermes does. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from llm.messages import Message

__all__ = ["in_words"]

_HEAD = "You may call these tools:\n<tools>\n"
_FOOT = (
    "\n</tools>\nTo call one, answer with a JSON object between tags:\n"
    '<tool_call>\n{"name": "the tool", "arguments": {"its": "arguments"}}\n</tool_call>'
)


def in_words(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> list[Message]:
    """The same conversation in plain roles: calls and their results as text."""
    plain = [_plain(message) for message in messages]
    if not tools:
        return plain
    listed = "\n".join(json.dumps(dict(tool), ensure_ascii=False) for tool in tools)
    told = _HEAD + listed + _FOOT
    if plain and plain[0].role in ("system", "developer"):
        return [replace(plain[0], content=f"{plain[0].content}\n\n{told}", parts=()), *plain[1:]]
    return [Message("system", told), *plain]


def _plain(message: Message) -> Message:
    if message.role == "tool":
        return Message("user", f"<tool_response>\n{message.content}\n</tool_response>")
    if not message.tool_calls:
        return message
    calls = "\n".join(
        f'<tool_call>\n{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}\n</tool_call>'
        for call in message.tool_calls
    )
    return replace(message, content="\n".join(filter(None, (message.content, calls))), tool_calls=())
