"""DeepSeek V3.2 and V4: tags of their own markup language, each with `｜DSML｜` before its name.

    <｜DSML｜function_calls>
    <｜DSML｜invoke name="lights">
    <｜DSML｜parameter name="room" string="true">hall</｜DSML｜parameter>
    </｜DSML｜invoke>
    </｜DSML｜function_calls>

V4 calls the outer tag `tool_calls`. Source: encoding_dsv32.py of DeepSeek-V3.2; vLLM's deepseekv32 tool parser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import MarkedParser
from llm.replies.invoke_tags import InvokeBody, InvokeTags, invoke_grammar
from llm.replies.tool_calls import AddRule, CallParser, Calls, ToolFormat, Tools

__all__ = ["SPEC"]

DSML = "｜DSML｜"


def _tags(outer: str) -> InvokeTags:
    inner = (f"<{DSML}invoke", f"</{DSML}invoke>", f"<{DSML}parameter", f"</{DSML}parameter>")
    return InvokeTags(f"<{DSML}{outer}>", f"</{DSML}{outer}>", *inner, typed=True)


TAGS = {tags.open: tags for tags in (_tags("function_calls"), _tags("tool_calls"))}


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser(tuple(TAGS), lambda mark: InvokeBody(calls, TAGS[mark]))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    """Both outer tags; which one comes is the model's choice."""
    return " | ".join(f"( {invoke_grammar(tags, tools, parallel)} )" for tags in TAGS.values())


SPEC = ToolFormat("deepseek_dsml", lambda template: DSML in template, _parser, _grammar, marks=(DSML,), rank=10)
