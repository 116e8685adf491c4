"""Kimi K2: calls with ids of their own inside of a section.

    <|tool_calls_section_begin|><|tool_call_begin|>functions.lights:0<|tool_call_argument_begin|>{"on": true}
    <|tool_call_end|><|tool_calls_section_end|>

The id `functions.lights:0` is passed on as it is: the template wants it back. Source: docs/tool_call_guidance.md of
Kimi-K2; vLLM's kimi_k2 tool parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_section import SectionBody, SectionMarks
from llm.replies.call_text import MarkedParser, Step
from llm.replies.tool_calls import AddRule, CallParser, Calls, ToolFormat, Tools, literal, schema_of

__all__ = ["SPEC"]

SECTION, END_SECTION = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
CALL, ARGUMENT, END_CALL = "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"
_ID = re.compile(r"(?:functions\.)?(.+?)(?::\d+)?")


_MARKS = SectionMarks(CALL, END_CALL, END_SECTION)


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)

    def read(inner: str, step: Step) -> bool:
        head, separated, body = inner.partition(ARGUMENT)
        told, arguments = head.strip(), body.strip() or "{}"
        named = _ID.fullmatch(told)
        if not separated or named is None or named[1] not in calls.tools or arguments[0] != "{":
            return False
        step.said.extend((calls.begin(named[1], told), calls.more(arguments)))
        return True

    return MarkedParser((SECTION,), lambda _: SectionBody(_MARKS, read))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    kinds = [
        f"( {literal(CALL + 'functions.' + str(tool['function']['name']) + ':')} [0-9]+ {literal(ARGUMENT)} "
        f"{add(schema_of(tool), f'tool-{number}')} {literal(END_CALL)} )"
        for number, tool in enumerate(tools)
    ]
    one = f"( {' | '.join(kinds)} )"
    return f"{literal(SECTION)} {one} {f'( {one} )*' if parallel else ''} {literal(END_SECTION)}"


SPEC = ToolFormat(
    "kimi",
    lambda template: SECTION in template,
    _parser,
    _grammar,
    marks=(SECTION, END_SECTION, CALL, ARGUMENT, END_CALL),
    rank=10,
)
