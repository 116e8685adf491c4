"""Qwen3-Coder, Qwen 3.5, Seed-OSS and others: XML inside of tool_call, a parameter a tag.

    <tool_call>
    <function=lights>
    <parameter=on>
    true
    </parameter>
    </function>
    </tool_call>

What stands in a tag has no quotes; the tool's schema says whether it is a string or JSON. The end of a parameter is
forgotten now and then; the next one, or the end of the function, ends it too. Seed-OSS writes `seed:tool_call`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import MarkedParser, Step
from llm.replies.tool_calls import AddRule, CallParser, Calls, Said, ToolFormat, Tools, literal
from llm.replies.tool_values import read_value

__all__ = ["SPEC"]

OPEN, CLOSE = "<tool_call>", "</tool_call>"
SEED, END_SEED = "<seed:tool_call>", "</seed:tool_call>"
FUNCTION, END_FUNCTION = "<function=", "</function>"
PARAMETER, END_PARAMETER = "<parameter=", "</parameter>"
_END = re.compile(rf"{END_PARAMETER}|\n(?={PARAMETER}|{END_FUNCTION})")


class _Body:
    """A call is begun with its name; each parameter is given when its tag is closed."""

    def __init__(self, calls: Calls, mark: str) -> None:
        self._calls = calls
        self._held = FUNCTION if mark == FUNCTION else ""
        self._close = END_SEED if mark == SEED else CLOSE
        self._name: str | None = None
        self._count = 0
        self._over = False

    def feed(self, text: str) -> Step:
        self._held += text
        said: list[Said] = []
        while True:
            bare = self._held.lstrip()
            if self._over:
                return self._closing(bare, said)
            if self._name is None:
                if not bare.startswith(FUNCTION):
                    return Step(said, wrong=not FUNCTION.startswith(bare))
                name, closed, rest = bare[len(FUNCTION) :].partition(">")
                if not closed:
                    return Step(said)
                if name.strip() not in self._calls.tools:
                    return Step(said, wrong=True)
                self._name, self._held = name.strip(), rest
                said.append(self._calls.begin(self._name))
            elif bare.startswith(PARAMETER):
                end = _END.search(bare)
                if end is None:
                    return Step(said)
                said.append(self._calls.more(self._parameter(bare[len(PARAMETER) : end.start()])))
                self._held = bare[end.end() :]
            elif bare.startswith(END_FUNCTION):
                said.append(self._calls.more("}" if self._count else "{}"))
                self._over, self._held = True, bare[len(END_FUNCTION) :]
            elif any(tag.startswith(bare) for tag in (PARAMETER, END_FUNCTION)):
                return Step(said)
            else:  # neither a parameter nor the end: the call is closed with what it has
                said.append(self._calls.more("}" if self._count else "{}"))
                self._over = True

    def finish(self) -> Step:
        """What was cut off stays open, so that nobody takes it for the whole call."""
        bare = self._held.strip()
        if self._name is None or self._over:
            return Step([], "", wrong=self._name is None)
        if bare.startswith(PARAMETER):
            return Step([self._calls.more(self._parameter(bare[len(PARAMETER) :], cut=True))], "")
        return Step([self._calls.more("}" if self._count else "{}")], "")

    def _parameter(self, text: str, cut: bool = False) -> str:
        key, _, value = text.partition(">")
        assert self._name is not None
        self._count += 1
        head = f"{'{' if self._count == 1 else ', '}{json.dumps(key.strip())}: "
        if cut:
            return head + json.dumps(value.removeprefix("\n"), ensure_ascii=False)[:-1]
        value = value.removeprefix("\n").removesuffix("\n")
        return head + json.dumps(read_value(value, self._calls.tools[self._name], key.strip()), ensure_ascii=False)

    def _closing(self, bare: str, said: list[Said]) -> Step:
        if bare.startswith(self._close):
            return Step(said, bare[len(self._close) :])
        return Step(said) if self._close.startswith(bare) else Step(said, bare)


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((OPEN, SEED, FUNCTION), lambda mark: _Body(calls, mark))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    """The name is fixed; the parameters are free text up to the end of the function."""
    names = " | ".join(literal(str(tool["function"]["name"])) for tool in tools)
    value = '( [^<] | "<" [^/] )*'
    parameter = f"{literal(PARAMETER)} [^>\\n]+ {literal('>')} {value} {literal(END_PARAMETER)} [\\n]?"
    body = f"{literal(FUNCTION)} ( {names} ) {literal('>')} [\\n]? ( {parameter} )* {literal(END_FUNCTION)}"
    outer = f"( {literal(OPEN)} [\\n]? {body} [\\n]? {literal(CLOSE)} )"
    seed = f"( {literal(SEED)} [\\n]? {body} [\\n]? {literal(END_SEED)} )"
    call = f"( {outer} | {seed} )"
    return f"{call} ( [\\n]? {call} )*" if parallel else call


SPEC = ToolFormat(
    "qwen3_coder",
    lambda template: FUNCTION in template and PARAMETER in template,
    _parser,
    _grammar,
    marks=(OPEN, CLOSE, SEED, END_SEED),
    rank=10,
)
