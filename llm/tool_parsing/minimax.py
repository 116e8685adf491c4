"""MiniMax M2: `invoke` tags inside of `<minimax:tool_call>`.

    <minimax:tool_call>
    <invoke name="lights">
    <parameter name="room">hall</parameter>
    </invoke>
    </minimax:tool_call>

Source: docs/tool_calling_guide.md of MiniMax-M2; vLLM's minimax_m2 tool parser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import MarkedParser
from llm.replies.invoke_tags import InvokeBody, InvokeTags, invoke_grammar
from llm.replies.tool_calls import AddRule, CallParser, Calls, ToolFormat, Tools

__all__ = ["SPEC"]

OPEN, CLOSE = "<minimax:tool_call>", "</minimax:tool_call>"
TAGS = InvokeTags(OPEN, CLOSE, "<invoke", "</invoke>", "<parameter", "</parameter>")


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((OPEN,), lambda _: InvokeBody(calls, TAGS))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    return invoke_grammar(TAGS, tools, parallel)


SPEC = ToolFormat(
    "minimax", lambda template: "minimax:tool_call" in template, _parser, _grammar, marks=(OPEN, CLOSE), rank=10
)
