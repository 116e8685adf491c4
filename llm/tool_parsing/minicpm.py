"""MiniCPM 5: a tag for each call, with a `param` for each argument, as CDATA where it holds marks or line breaks.

    <function name="lights"><param name="room">hall</param></function>

Source: the chat template of openbmb/MiniCPM5-1B.
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

OPEN, CLOSE = '<function name="', "</function>"
_CDATA, _END_CDATA = "<![CDATA[", "]]>"
_PARAM = re.compile(r'<param name="([^"]*)">(?:\s*<!\[CDATA\[(.*?)\]\]>\s*|(.*?))</param>', re.DOTALL)
_CUT = re.compile(r'<param name="([^"]*)">\s*(?:<!\[CDATA\[)?(.*)', re.DOTALL)


class _Body:
    """The whole call is read before any of it is given."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._held = ""

    def feed(self, text: str) -> Step:
        looked_at = max(0, len(self._held) - len(CLOSE) + 1)
        self._held += text
        at = self._held.find(CLOSE, looked_at)
        while at >= 0 and self._held.rfind(_CDATA, 0, at) > self._held.rfind(_END_CDATA, 0, at):
            at = self._held.find(CLOSE, at + 1)
        if at < 0:
            return Step([])
        said = self._read(self._held[:at])
        return Step(said, self._held[at + len(CLOSE) :], wrong=not said)

    def finish(self) -> Step:
        """What was cut off stays open, so that nobody takes it for the whole call."""
        said = self._read(self._held, "")
        cut = _CUT.search(self._held, max((found.end() for found in _PARAM.finditer(self._held)), default=0))
        if said and cut is not None:
            comma = ", " if _PARAM.search(self._held) else ""
            value = json.dumps(cut[2], ensure_ascii=False)[:-1]
            said.append(self._calls.more(f"{comma}{json.dumps(cut[1], ensure_ascii=False)}: {value}"))
        return Step(said, "", wrong=not said)

    def _read(self, inner: str, end: str = "}") -> list[Said]:
        name, mark, rest = inner.partition('">')
        if not mark or name not in self._calls.tools:
            return []
        schema = self._calls.tools[name]
        arguments = {
            found[1]: read_value(found[3] if found[2] is None else found[2], schema, found[1])
            for found in _PARAM.finditer(rest)
        }
        written = json.dumps(arguments, ensure_ascii=False).removesuffix("}") + end
        return [self._calls.begin(name), self._calls.more(written)]


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((OPEN,), lambda _: _Body(calls))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    """The names are fixed; the values are free text, with marks and line breaks in CDATA only."""
    names = " | ".join(literal(str(tool["function"]["name"])) for tool in tools)
    cdata = f'{literal(_CDATA)} ( [^\\]] | "]" [^\\]] )* {literal(_END_CDATA)}'
    param = f'"<param name=\\"" [^"<>\\n]+ "\\">" ( [^<&\\n]* | {cdata} ) "</param>"'
    call = f'{literal(OPEN)} ( {names} ) "\\">" ( {param} )* {literal(CLOSE)}'
    return f"{call} ( [\\n]? {call} )*" if parallel else call


SPEC = ToolFormat(
    "minicpm",
    lambda template: '<function name="' in template and '<param name="' in template,
    _parser,
    _grammar,
    marks=("<function", CLOSE, "<param", "</param>"),
    rank=10,
)
