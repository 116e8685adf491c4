"""InternLM 2.5: `<|action_start|><|plugin|>{"name": ..., "parameters": {...}}<|action_end|>`.

Source: the model card of internlm2_5-7b-chat; vLLM's internlm tool parser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import JsonBody, MarkedParser
from llm.replies.tool_calls import AddRule, CallParser, Calls, ToolFormat, Tools, call_object, literal

__all__ = ["SPEC"]

START, PLUGIN, CLOSE = "<|action_start|>", "<|plugin|>", "<|action_end|>"
OPENS = (START + PLUGIN, f"{START} {PLUGIN}")
"""Some tokenizers put a space between special tokens."""


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser(OPENS, lambda _: JsonBody(calls, CLOSE))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    one = " | ".join(f"( {call_object(tool, add, number, 'parameters')} )" for number, tool in enumerate(tools))
    call = f"{literal(OPENS[0])} [\\n]? ( {one} ) [\\n]? {literal(CLOSE)}"
    return f"{call} ( [\\n]? {call} )*" if parallel else call


SPEC = ToolFormat(
    "internlm", lambda template: START in template, _parser, _grammar, marks=(START, PLUGIN, CLOSE), rank=20
)
