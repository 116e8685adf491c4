"""Liquid LFM2: a Python list of calls between `<|tool_call_start|>` and `<|tool_call_end|>`.

Source: the model cards of LFM2; vLLM's lfm2 tool parser; llama.cpp's common/chat.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import MarkedParser
from llm.replies.python_calls import PythonCalls, python_grammar
from llm.replies.tool_calls import AddRule, CallParser, Calls, ToolFormat, Tools, literal

__all__ = ["SPEC"]

OPEN, CLOSE = "<|tool_call_start|>", "<|tool_call_end|>"


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((OPEN,), lambda _: PythonCalls(calls, CLOSE))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    return f"{literal(OPEN)} {python_grammar(tools, parallel, add)} {literal(CLOSE)}"


SPEC = ToolFormat(
    "lfm2",
    lambda template: OPEN in template or "<|tool_list_start|>" in template,
    _parser,
    _grammar,
    marks=(OPEN, CLOSE),
    rank=20,
)
