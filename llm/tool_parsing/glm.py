"""GLM 4.5 and its like: a name, then keys and values as tags.

<tool_call>lights
<arg_key>on</arg_key>
<arg_value>true</arg_value>
</tool_call>
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
_CUT = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*)", re.DOTALL)
_PAIR = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.DOTALL)


class _Body:
    """The whole call is read before any of it is given: nothing marks the end of the name."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._held = ""
        self._schema: Mapping[str, Any] = {}

    def feed(self, text: str) -> Step:
        self._held += text
        inner, closed, rest = self._held.partition(CLOSE)
        if not closed:
            return Step([], wrong=self._cannot_be(inner))
        said = self._read(inner)
        return Step(said, rest, wrong=not said)

    def finish(self) -> Step:
        """A value that was cut off stays open, so that nobody takes it for the whole call."""
        said = self._read(self._held)
        cut = _CUT.search(self._held, max((pair.end() for pair in _PAIR.finditer(self._held)), default=0))
        if said and cut is not None:
            begun = self._arguments(self._held)
            head = json.dumps(begun, ensure_ascii=False)[:-1] + (", " if begun else "")
            value = json.dumps(cut[2], ensure_ascii=False)[:-1]
            said[1:] = [self._calls.more(f"{head}{json.dumps(cut[1].strip())}: {value}")]
        return Step(said, "", wrong=not said)

    def _cannot_be(self, inner: str) -> bool:
        name = re.split(r"[\n<]", inner.lstrip(), maxsplit=1)
        if len(name) == 1:
            return not any(known.startswith(name[0].strip()) for known in self._calls.tools)
        return name[0].strip() not in self._calls.tools

    def _read(self, inner: str) -> list[Said]:
        name = re.split(r"[\n<]", inner.lstrip(), maxsplit=1)[0].strip()
        if name not in self._calls.tools:
            return []
        self._schema = self._calls.tools[name]
        return [self._calls.begin(name), self._calls.more(json.dumps(self._arguments(inner), ensure_ascii=False))]

    def _arguments(self, inner: str) -> dict[str, Any]:
        return {
            key.strip(): read_value(value.removeprefix("\n").removesuffix("\n"), self._schema, key.strip())
            for key, value in _PAIR.findall(inner)
        }


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((OPEN,), lambda _: _Body(calls))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    names = " | ".join(literal(str(tool["function"]["name"])) for tool in tools)
    free = '( [^<] | "<" [^/] )*'
    pair = f'"<arg_key>" [^<]+ "</arg_key>" [\\n]? "<arg_value>" {free} "</arg_value>" [\\n]?'
    call = f"{literal(OPEN)} ( {names} ) [\\n]? ( {pair} )* {literal(CLOSE)}"
    return f"{call} ( [\\n]? {call} )*" if parallel else call


SPEC = ToolFormat("glm", lambda template: "<arg_key>" in template, _parser, _grammar, marks=(OPEN, CLOSE), rank=10)
