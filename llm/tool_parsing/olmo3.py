"""OLMo 3: calls as Python writes them, one a line, between `<function_calls>` and `</function_calls>`.

Source: the model cards of OLMo 3; vLLM's olmo3 tool parser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from llm.replies.call_text import MarkedParser, Step, WholeBody
from llm.replies.python_calls import calls_in, python_grammar
from llm.replies.tool_calls import AddRule, CallParser, Calls, Said, ToolFormat, Tools, literal

__all__ = ["SPEC"]

OPEN, CLOSE = "<function_calls>", "</function_calls>"


def _read(calls: Calls, inner: str, rest: str) -> Step:
    inner = inner.strip()
    said: list[Said] = []
    for name, arguments in calls_in(inner[1:-1] if inner.startswith("[") else inner, calls):
        said += [calls.begin(name), calls.more(arguments)]
    return Step(said, rest, wrong=not said)


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((OPEN,), lambda _: WholeBody(CLOSE, partial(_read, calls)))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    return f"{literal(OPEN)} {python_grammar(tools, parallel, add)} {literal(CLOSE)}"


SPEC = ToolFormat("olmo3", lambda template: OPEN in template, _parser, _grammar, marks=(OPEN, CLOSE), rank=30)
