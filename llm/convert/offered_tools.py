"""The tools of a chat request, and which of them the model may or must call. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm.wire.chat import ChatRequest
from models.errors import BadInput

__all__ = ["offered_tools"]

LONGEST_NAME = 256
_TOOL_NAME = re.compile(r"[A-Za-z0-9_.:/-]+")


def offered_tools(chat: ChatRequest) -> tuple[tuple[Mapping[str, Any], ...], str | Mapping[str, Any] | None]:
    """The tools and the `tool_choice`. Raises BadInput."""
    return _allowed(_tools(chat), _tool_choice(chat))


def _tools(chat: ChatRequest) -> tuple[Mapping[str, Any], ...]:
    for index, tool in enumerate(chat.tools or ()):
        function = tool.get("function")
        name = function.get("name") if isinstance(function, Mapping) else None
        if tool.get("type", "function") != "function" or not isinstance(name, str) or not name:
            raise BadInput(
                'a tool looks like {"type": "function", "function": {"name": ..., "parameters": ...}}',
                param=f"tools[{index}]",
            )
        assert isinstance(function, Mapping)
        if len(name) > LONGEST_NAME or not _TOOL_NAME.fullmatch(name):
            raise BadInput(
                f"a tool's name has letters, digits and any of _-.:/, {LONGEST_NAME} at most",
                param=f"tools[{index}].function.name",
            )
        if not isinstance(function.get("parameters"), Mapping | None):
            raise BadInput("a tool's parameters are a JSON schema", param=f"tools[{index}].function.parameters")
    return tuple(chat.tools or ())


def _tool_choice(chat: ChatRequest) -> str | Mapping[str, Any] | None:
    if isinstance(chat.tool_choice, str) and chat.tool_choice not in ("none", "auto", "required"):
        raise BadInput('tool_choice: "none", "auto", "required", or the function to call', param="tool_choice")
    if not chat.tools and chat.tool_choice not in (None, "auto", "none"):
        raise BadInput("tool_choice needs tools", param="tool_choice")
    return chat.tool_choice


def _allowed(
    tools: tuple[Mapping[str, Any], ...], choice: str | Mapping[str, Any] | None
) -> tuple[tuple[Mapping[str, Any], ...], str | Mapping[str, Any] | None]:
    """OpenAI's `allowed_tools` offers some of the tools only: the same as a request with those."""
    if not isinstance(choice, Mapping) or choice.get("type") != "allowed_tools":
        return tools, choice
    found = choice.get("allowed_tools")
    asked = found if isinstance(found, Mapping) else {}
    rows, mode, where = asked.get("tools"), asked.get("mode", "auto"), "tool_choice.allowed_tools"
    functions = [row.get("function") for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    names = [function.get("name") for function in functions if isinstance(function, Mapping)]
    there = {tool["function"]["name"] for tool in tools}
    if not names or any(not isinstance(name, str) or name not in there for name in names):
        raise BadInput("allowed_tools names some of the request's tools", param=f"{where}.tools")
    if mode not in ("auto", "required"):
        raise BadInput("allowed_tools: mode is auto or required", param=f"{where}.mode")
    return tuple(tool for tool in tools if tool["function"]["name"] in names), mode
