"""Hermes, Qwen 2.5 and 3, and many that follow them: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import JsonBody, MarkedParser
from llm.replies.tool_calls import AddRule, CallParser, Calls, ToolFormat, Tools, call_object, literal

__all__ = ["SPEC"]

OPEN, CLOSE = "<tool_call>", "</tool_call>"


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((OPEN,), lambda _: JsonBody(calls, CLOSE))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    one = " | ".join(f"( {call_object(tool, add, number)} )" for number, tool in enumerate(tools))
    call = f"{literal(OPEN)} [\\n]? ( {one} ) [\\n]? {literal(CLOSE)}"
    return f"{call} ( [\\n]? {call} )*" if parallel else call


SPEC = ToolFormat("hermes", lambda template: OPEN in template, _parser, _grammar, marks=(OPEN, CLOSE), rank=60)
