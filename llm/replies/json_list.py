"""Formats in which a reply's calls are one JSON list between two marks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import JsonBody, MarkedParser
from llm.replies.tool_calls import AddRule, CallParser, Calls, ToolFormat, Tools, call_object, literal

__all__ = ["json_list_format"]


def json_list_format(name: str, open: str, close: str, rank: int) -> ToolFormat:
    """The format of the templates that hold `open`."""

    def parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
        calls = Calls(tools, new_id)
        return MarkedParser((open,), lambda _: JsonBody(calls, close))

    def grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
        one = " | ".join(f"( {call_object(tool, add, number)} )" for number, tool in enumerate(tools))
        more = f'( ", " ( {one} ) )*' if parallel else ""
        return f'{literal(open)} "[" ( {one} ) {more} "]" {literal(close)}'

    return ToolFormat(name, lambda template: open in template, parser, grammar, marks=(open, close), rank=rank)
