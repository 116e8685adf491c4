"""AI21 Jamba and Tencent Hunyuan A13B: a JSON list of calls between `<tool_calls>` and `</tool_calls>`.

Source: vLLM's jamba and hunyuan_a13b tool parsers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import JsonBody, MarkedParser
from llm.replies.tool_calls import AddRule, CallParser, Calls, ToolFormat, Tools, call_object, literal

__all__ = ["SPEC"]

OPEN, CLOSE = "<tool_calls>", "</tool_calls>"


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((OPEN,), lambda _: JsonBody(calls, CLOSE))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    one = " | ".join(f"( {call_object(tool, add, number)} )" for number, tool in enumerate(tools))
    more = f'( ", " ( {one} ) )*' if parallel else ""
    return f'{literal(OPEN)} "[" ( {one} ) {more} "]" {literal(CLOSE)}'


SPEC = ToolFormat("jamba", lambda template: OPEN in template, _parser, _grammar, marks=(OPEN, CLOSE), rank=30)
