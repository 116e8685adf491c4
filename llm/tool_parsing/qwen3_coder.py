"""Qwen3-Coder and Qwen 3.5: XML inside of tool_call, a parameter a tag.

    <tool_call>
    <function=lights>
    <parameter=on>
    true
    </parameter>
    </function>
    </tool_call>

What stands in a tag has no quotes; the tool's schema says whether it is a string or JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import MarkedParser, Step
from llm.replies.tool_calls import AddRule, CallParser, Calls, Said, ToolFormat, Tools, literal
from llm.replies.tool_values import read_value

__all__ = ["SPEC"]

OPEN, CLOSE = "<tool_call>", "</tool_call>"
FUNCTION, END_FUNCTION = "<function=", "</function>"
PARAMETER, END_PARAMETER = "<parameter=", "</parameter>"


class _Body:
    """A call is begun with its name; each parameter is given when its tag is closed."""

    def __init__(self, calls: Calls, inside: bool, close: bool) -> None:
        self._calls = calls
        self._held = FUNCTION if inside else ""
        self._close = close
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
            elif bare.startswith(END_FUNCTION):
                said.append(self._calls.more("}" if self._count else "{}"))
                self._over, self._held = True, bare[len(END_FUNCTION) :]
            elif bare.startswith(PARAMETER) and END_PARAMETER in bare:
                head, _, self._held = bare.partition(END_PARAMETER)
                said.append(self._parameter(head[len(PARAMETER) :]))
            else:
                return Step(said)

    def finish(self) -> Step:
        said: list[Said] = []
        if self._name is not None and not self._over:
            said.append(self._calls.more("}" if self._count else "{}"))
        return Step(said, "", wrong=self._name is None)

    def _parameter(self, text: str) -> Said:
        key, _, value = text.partition(">")
        value = value.removeprefix("\n").removesuffix("\n")
        assert self._name is not None
        read = json.dumps(read_value(value, self._calls.tools[self._name], key.strip()), ensure_ascii=False)
        self._count += 1
        return self._calls.more(f"{'{' if self._count == 1 else ', '}{json.dumps(key.strip())}: {read}")

    def _closing(self, bare: str, said: list[Said]) -> Step:
        if not self._close:
            return Step(said, bare)
        if bare.startswith(CLOSE):
            return Step(said, bare[len(CLOSE) :])
        return Step(said) if CLOSE.startswith(bare) else Step(said, bare)


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((OPEN, FUNCTION), lambda mark: _Body(calls, inside=mark == FUNCTION, close=True))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    """The name is fixed; the parameters are free text up to the end of the function."""
    names = " | ".join(literal(str(tool["function"]["name"])) for tool in tools)
    value = '( [^<] | "<" [^/] )*'
    parameter = f"{literal(PARAMETER)} [^>\\n]+ {literal('>')} {value} {literal(END_PARAMETER)} [\\n]?"
    body = f"{literal(FUNCTION)} ( {names} ) {literal('>')} [\\n]? ( {parameter} )* {literal(END_FUNCTION)}"
    call = f"{literal(OPEN)} [\\n]? {body} [\\n]? {literal(CLOSE)}"
    return f"{call} ( [\\n]? {call} )*" if parallel else call


SPEC = ToolFormat(
    "qwen3_coder",
    lambda template: FUNCTION in template and PARAMETER in template,
    _parser,
    _grammar,
    marks=(OPEN, CLOSE),
    rank=10,
)
