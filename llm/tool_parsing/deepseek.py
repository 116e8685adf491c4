"""DeepSeek V3, R1 and V3.1.

V3 and R1: `<｜tool▁call▁begin｜>function<｜tool▁sep｜>name`, a JSON block in a code fence, `<｜tool▁call▁end｜>`.
V3.1: `<｜tool▁call▁begin｜>name<｜tool▁sep｜>{...}<｜tool▁call▁end｜>`. All inside of `<｜tool▁calls▁begin｜>`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_section import SectionBody, SectionMarks
from llm.replies.call_text import MarkedParser, Step
from llm.replies.tool_calls import AddRule, CallParser, Calls, ToolFormat, Tools, literal, schema_of

__all__ = ["SPEC"]

CALLS, END_CALLS = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
CALL, SEP, END_CALL = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"


_MARKS = SectionMarks(CALL, END_CALL, END_CALLS)


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)

    def read(inner: str, step: Step) -> bool:
        head, separated, body = inner.partition(SEP)
        if not separated:
            return False
        if head.strip() == "function" and "\n" in body:
            head, _, body = body.partition("\n")
        body = body.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
        if head.strip() not in calls.tools:
            return False
        step.said.extend((calls.begin(head.strip()), calls.more(body or "{}")))
        return True

    return MarkedParser((CALLS,), lambda _: SectionBody(_MARKS, read))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    """Both ways of writing; which one comes is the model's choice."""
    kinds = []
    for number, tool in enumerate(tools):
        name, rule = str(tool["function"]["name"]), add(schema_of(tool), f"tool-{number}")
        fenced = f"{literal(CALL + 'function' + SEP + name)} {literal(chr(10) + '```json' + chr(10))} {rule}"
        kinds.append(f"( {fenced} {literal(chr(10) + '```' + END_CALL)} )")
        kinds.append(f"( {literal(CALL + name + SEP)} {rule} {literal(END_CALL)} )")
    one = f"( {' | '.join(kinds)} )"
    body = f"{one} ( [\\n]? {one} )*" if parallel else one
    return f"{literal(CALLS)} {body} {literal(END_CALLS)}"


SPEC = ToolFormat(
    "deepseek",
    lambda template: "tool▁calls▁begin" in template,
    _parser,
    _grammar,
    marks=(CALLS, END_CALLS, CALL, SEP, END_CALL),
    rank=20,
)
