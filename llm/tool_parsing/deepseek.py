"""DeepSeek V3, R1 and V3.1.

V3 and R1: `<｜tool▁call▁begin｜>function<｜tool▁sep｜>name`, a JSON block in a code fence, `<｜tool▁call▁end｜>`.
V3.1: `<｜tool▁call▁begin｜>name<｜tool▁sep｜>{...}<｜tool▁call▁end｜>`. All inside of `<｜tool▁calls▁begin｜>`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import MarkedParser, Step
from llm.replies.tool_calls import AddRule, CallParser, Calls, ToolFormat, Tools, literal, schema_of

__all__ = ["SPEC"]

CALLS, END_CALLS = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
CALL, SEP, END_CALL = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"


class _Body:
    """After CALLS: calls until END_CALLS. A call is given when its end mark has come."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._held = ""
        self._any = False

    def feed(self, text: str) -> Step:
        self._held += text
        step = Step([])
        while True:
            bare = self._held.lstrip()
            if bare.startswith(END_CALLS):
                return Step(step.said, bare[len(END_CALLS) :], wrong=not self._any)
            if not bare.startswith(CALL):
                possible = CALL.startswith(bare) or END_CALLS.startswith(bare)
                return step if possible else Step(step.said, bare, wrong=not self._any)
            inner, closed, rest = bare[len(CALL) :].partition(END_CALL)
            if not closed:
                return step
            if not self._read(inner, step):
                return Step(step.said, rest, wrong=not self._any)
            self._held = rest

    def finish(self) -> Step:
        step = Step([])
        bare = self._held.lstrip()
        if bare.startswith(CALL):
            self._read(bare[len(CALL) :], step)
        return Step(step.said, "", wrong=not self._any)

    def _read(self, inner: str, step: Step) -> bool:
        head, separated, body = inner.partition(SEP)
        if not separated:
            return False
        if head.strip() == "function" and "\n" in body:
            head, _, body = body.partition("\n")
        body = body.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
        if head.strip() not in self._calls.tools:
            return False
        self._any = True
        step.said.extend((self._calls.begin(head.strip()), self._calls.more(body or "{}")))
        return True


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((CALLS,), lambda _: _Body(calls))


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
