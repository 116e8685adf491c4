"""NVIDIA Nemotron: a JSON list of calls between `<TOOLCALL>` and `</TOOLCALL>`.

Source: the chat templates of Nemotron Nano v2; llama.cpp's common/chat.cpp, COMMON_CHAT_FORMAT_NEMOTRON_V2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import JsonBody, MarkedParser
from llm.replies.tool_calls import AddRule, CallParser, Calls, ToolFormat, Tools, call_object, literal

__all__ = ["SPEC"]

OPEN, CLOSE = "<TOOLCALL>", "</TOOLCALL>"


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((OPEN,), lambda _: JsonBody(calls, CLOSE))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    one = " | ".join(f"( {call_object(tool, add, number)} )" for number, tool in enumerate(tools))
    more = f'( ", " ( {one} ) )*' if parallel else ""
    return f'{literal(OPEN)} "[" ( {one} ) {more} "]" {literal(CLOSE)}'


SPEC = ToolFormat("nemotron", lambda template: OPEN in template, _parser, _grammar, marks=(OPEN, CLOSE), rank=30)
