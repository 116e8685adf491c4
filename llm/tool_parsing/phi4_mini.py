"""Microsoft Phi-4-mini: a JSON list of calls between `<|tool_call|>` and `<|/tool_call|>`, or after `functools`.

Source: the model card of Phi-4-mini-instruct (tool tokens); vLLM's phi4_mini_json tool parser (`functools[...]`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import JsonBody, MarkedParser
from llm.replies.tool_calls import AddRule, CallParser, Calls, ToolFormat, Tools, call_object, literal

__all__ = ["SPEC"]

OPEN, CLOSE, WORD = "<|tool_call|>", "<|/tool_call|>", "functools["


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)

    def body(mark: str) -> JsonBody:
        if mark == OPEN:
            return JsonBody(calls, CLOSE)
        listed = JsonBody(calls)
        listed.feed("[")
        return listed

    return MarkedParser((OPEN, WORD), body)


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    one = " | ".join(f"( {call_object(tool, add, number)} )" for number, tool in enumerate(tools))
    more = f'( ", " ( {one} ) )*' if parallel else ""
    return f'{literal(OPEN)} "[" ( {one} ) {more} "]" {literal(CLOSE)}'


SPEC = ToolFormat(
    "phi4_mini",
    lambda template: CLOSE in template or "<|/tool|>" in template or WORD in template,
    _parser,
    _grammar,
    marks=(OPEN, CLOSE),
    rank=25,
)
