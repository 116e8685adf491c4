"""Cohere Command R7B and A: a list of `{"tool_call_id": ..., "tool_name": ..., "parameters": {...}}`.

It stands between `<|START_ACTION|>` and `<|END_ACTION|>`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import JsonBody, MarkedParser
from llm.replies.tool_calls import AddRule, CallParser, Calls, ToolFormat, Tools, literal, schema_of

__all__ = ["SPEC"]

OPEN, CLOSE = "<|START_ACTION|>", "<|END_ACTION|>"


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((OPEN,), lambda _: JsonBody(calls, CLOSE))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    kinds = []
    for number, tool in enumerate(tools):
        name, rule = str(tool["function"]["name"]), add(schema_of(tool), f"tool-{number}")
        head = literal('{"tool_call_id": "')
        named = literal('", "tool_name": ' + json.dumps(name) + ', "parameters": ')
        kinds.append(f'( {head} [0-9]+ {named} {rule} "}}" )')
    one = " | ".join(kinds)
    more = f'( "," [ \\n]* ( {one} ) )*' if parallel else ""
    return f'{literal(OPEN)} "[" [ \\n]* ( {one} ) {more} [ \\n]* "]" {literal(CLOSE)}'


SPEC = ToolFormat("command_r", lambda template: OPEN in template, _parser, _grammar, marks=(OPEN, CLOSE), rank=20)
