"""Functionary 3.1 and Llama's custom functions: `<function=name>{...}</function>`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import MarkedParser, Step
from llm.replies.json_call import JsonCall
from llm.replies.tool_calls import AddRule, CallParser, Calls, Said, ToolFormat, Tools, literal, schema_of

__all__ = ["SPEC"]

OPEN, CLOSE = "<function=", "</function>"


class _Body:
    """The arguments are read as those of a call with the name of the tag."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._held = ""
        self._arguments: JsonCall | None = None
        self._over = False

    def feed(self, text: str) -> Step:
        said: list[Said] = []
        text, self._held = self._held + text, ""
        if self._arguments is None:
            name, closed, rest = text.partition(">")
            known = self._calls.tools
            if not closed:
                self._held = text
                return Step([], wrong=not any(tool.startswith(name) for tool in known))
            bare = rest.lstrip()
            if name not in known or (bare and bare[0] != "{"):
                return Step([], wrong=True)
            if not bare:
                self._held = text
                return Step([])
            self._arguments = JsonCall(known)
            self._arguments.feed(json.dumps({"name": name})[:-1] + ', "arguments": ')
            said.append(self._calls.begin(name))
            text = bare
        if not self._over:
            for index, char in enumerate(text):
                if not self._arguments.feed(char):  # no JSON: the arguments end before it
                    self._over, text = True, text[index:]
                    break
                if self._arguments.after_value:
                    self._over = True
                    text = text[index + 1 :]
                    break
            if piece := self._arguments.take():
                said.append(self._calls.more(piece))
        if self._over:
            bare = text.lstrip()
            if bare.startswith(CLOSE):
                return Step(said, bare[len(CLOSE) :])
            if not CLOSE.startswith(bare):
                return Step(said, text)
            self._held = text
        return Step(said)

    def finish(self) -> Step:
        return Step([], "", wrong=self._arguments is None)


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((OPEN,), lambda _: _Body(calls))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    kinds = [
        f"( {literal(OPEN + str(tool['function']['name']) + '>')} {add(schema_of(tool), f'tool-{number}')} )"
        for number, tool in enumerate(tools)
    ]
    call = f"( {' | '.join(kinds)} ) {literal(CLOSE)}"
    return f"{call} ( {call} )*" if parallel else call


SPEC = ToolFormat(
    "functionary",
    lambda template: OPEN in template and "<parameter=" not in template,
    _parser,
    _grammar,
    rank=15,
)
