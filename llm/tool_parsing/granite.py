"""IBM Granite 3: `<|tool_call|>` or `<tool_call>`, then a JSON list of calls to the end of the reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import JsonBody, MarkedParser
from llm.replies.tool_calls import AddRule, CallParser, Calls, ToolFormat, Tools, call_object, literal

__all__ = ["SPEC"]

MARK = "<|tool_call|>"


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((MARK, "<tool_call>"), lambda _: JsonBody(calls))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    one = " | ".join(f"( {call_object(tool, add, number)} )" for number, tool in enumerate(tools))
    more = f'( ", " ( {one} ) )*' if parallel else ""
    return f'{literal(MARK)} "[" ( {one} ) {more} "]"'


SPEC = ToolFormat(
    "granite", lambda template: MARK in template, _parser, _grammar, marks=(MARK, "<tool_call>"), rank=30
)
