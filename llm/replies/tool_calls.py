"""The port of a tool-call format: how a family of models writes calls into its text. Pure.

A format is one file in llm/tool_parsing/ with a SPEC. It is told by the chat template, which shows the model how to
write calls. Its parser is fed the reply piece by piece and gives text and calls; text that merely looks like a call
(a tool that does not exist, broken JSON) goes through as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from llm.stream import ReasoningDelta, TextDelta, ToolCallDelta
from models.errors import BadInput
from models.registry import discover

__all__ = [
    "AddRule",
    "CallParser",
    "Calls",
    "Said",
    "ToolFormat",
    "Tools",
    "call_object",
    "literal",
    "named_tools",
    "schema_of",
    "tool_format",
    "tools_by_name",
]

Tools = Mapping[str, Mapping[str, Any]]
"""The tools of a request: name to the JSON schema of its parameters."""
Said = TextDelta | ReasoningDelta | ToolCallDelta
AddRule = Callable[[Mapping[str, Any], str], str]
"""Adds the grammar of a JSON schema under a name; returns the name of the rule."""


class CallParser(Protocol):
    def push(self, text: str) -> list[Said]:
        """What is certain now."""
        ...

    def finish(self) -> list[Said]:
        """What was held back; the reply is over."""
        ...


@dataclass(frozen=True, slots=True)
class ToolFormat:
    """`marks` are special tokens the parser needs to see. `grammar(tools, parallel, add)` is the body of a GBNF rule
    for a reply that is one call, or with `parallel` one or more. Formats of low `rank` are asked first.
    """

    name: str
    detects: Callable[[str], bool]
    parser: Callable[[Tools, Callable[[], str]], CallParser]
    grammar: Callable[[Sequence[Mapping[str, Any]], bool, AddRule], str]
    marks: tuple[str, ...] = ()
    rank: int = 50


class Calls:
    """Numbers the calls of a reply and gives them ids."""

    def __init__(self, tools: Tools, new_id: Callable[[], str]) -> None:
        self.tools = tools
        self.count = 0
        self._new_id = new_id

    def begin(self, name: str, id: str | None = None) -> ToolCallDelta:
        self.count += 1
        return ToolCallDelta(self.count - 1, id or self._new_id(), name, "")

    def more(self, arguments: str) -> ToolCallDelta:
        return ToolCallDelta(self.count - 1, None, None, arguments)


@lru_cache(maxsize=16)
def tool_format(template: str) -> ToolFormat:
    """The format a chat template shows its model; `hermes` for one that shows none."""
    formats: list[ToolFormat] = sorted(discover("llm.tool_parsing").values(), key=lambda form: (form.rank, form.name))
    fallback = next(form for form in formats if form.name == "hermes")
    return next((form for form in formats if form.detects(template)), fallback)


def tools_by_name(tools: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {str(tool["function"]["name"]): schema_of(tool) for tool in tools}


_NOTHING: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


def schema_of(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """The JSON schema of a tool's arguments. One that says nothing of them has none (OpenAI's API reference)."""
    parameters = tool["function"].get("parameters")
    return parameters if isinstance(parameters, Mapping) and parameters else _NOTHING


def named_tools(tools: Sequence[Mapping[str, Any]], choice: object) -> tuple[Mapping[str, Any], ...] | None:
    """The tools that must be called; None where none must. Raises BadInput for a choice that cannot be."""
    if choice in (None, "auto", "none"):
        return None
    if not tools:
        raise BadInput("tool_choice needs tools", param="tool_choice")
    if choice == "required":
        return tuple(tools)
    name = choice.get("function", choice) if isinstance(choice, Mapping) else None
    name = name.get("name") if isinstance(name, Mapping) else None
    if isinstance(name, str):
        found = tuple(tool for tool in tools if tool["function"]["name"] == name)
        if found:
            return found
        raise BadInput(f"tool_choice names {name[:100]!r}, which is not among the tools", param="tool_choice")
    raise BadInput(
        'tool_choice: "none", "auto", "required" or {"type": "function", "function": {"name": ...}}',
        param="tool_choice",
    )


def call_object(tool: Mapping[str, Any], add: AddRule, number: int, arguments: str = "arguments") -> str:
    """Rule body of `{"name": ..., "arguments": {...}}` for one tool."""
    rule = add(schema_of(tool), f"tool-{number}")
    name = json.dumps(str(tool["function"]["name"]))
    return " ".join((literal('{"name": ' + name + f', "{arguments}": '), rule, literal("}")))


def literal(text: str) -> str:
    """A GBNF string."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{plain}"'
