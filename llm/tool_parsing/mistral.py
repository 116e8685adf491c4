"""Mistral: `[TOOL_CALLS]` and a JSON list; newer models write `[TOOL_CALLS]name[ARGS]{...}` for each call.

The newer ones may put `[CALL_ID]` and an id between name and arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import Body, JsonBody, MarkedParser, Step
from llm.replies.json_call import JsonCall
from llm.replies.tool_calls import (
    AddRule,
    CallParser,
    Calls,
    Said,
    ToolFormat,
    Tools,
    call_object,
    literal,
    schema_of,
)

__all__ = ["SPEC"]

OPEN, ARGS, CALL_ID = "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"
_HEAD = re.compile(r"\s*([\w.\-/]+)\s*(?:\[CALL_ID\]\s*(\w+)\s*)?(?:\[ARGS\]\s*)?(?=\{)")


class _Body:
    """A list or one object is JSON; a name comes before its arguments otherwise."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._held = ""
        self._json: Body | None = None
        self._arguments: JsonCall | None = None

    def feed(self, text: str) -> Step:
        if self._json is not None:
            return self._json.feed(text)
        if self._arguments is not None:
            return self._more(text, [])
        self._held += text
        bare = self._held.lstrip()
        if not bare:
            return Step([])
        if bare[0] in "[{" and not bare.startswith((ARGS, CALL_ID)):
            self._json = JsonBody(self._calls)
            return self._json.feed(bare)
        head = _HEAD.match(self._held)
        if head is None:
            name = re.split(r"[\s\[{]", bare, maxsplit=1)[0]
            possible = any(known.startswith(name) for known in self._calls.tools)
            return Step([], wrong=not possible or "{" in bare)
        if head[1] not in self._calls.tools:
            return Step([], wrong=True)
        # The arguments are read as those of a call with this name.
        self._arguments = JsonCall(self._calls.tools)
        self._arguments.feed(json.dumps({"name": head[1]})[:-1] + ', "arguments": ')
        return self._more(self._held[head.end() :], [self._calls.begin(head[1], head[2])])

    def finish(self) -> Step:
        if self._json is not None:
            return self._json.finish()
        return Step([], "", wrong=self._arguments is None)

    def _more(self, text: str, said: list[Said]) -> Step:
        """The object's own end is not known to the reader; the brace that closes it is the last it takes."""
        assert self._arguments is not None
        for index, char in enumerate(text):
            read = self._arguments.feed(char)
            if self._arguments.after_value or not read:  # or it is no JSON
                said.append(self._calls.more(self._arguments.take()))
                return Step(said, text[index + read :])
        if piece := self._arguments.take():
            said.append(self._calls.more(piece))
        return Step(said)


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser((OPEN,), lambda _: _Body(calls))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    """The list, which all of them read; a model of the newer kind is led by its own first token."""
    one = " | ".join(f"( {call_object(tool, add, number)} )" for number, tool in enumerate(tools))
    listed = f'"[" ( {one} ) ( ", " ( {one} ) )* "]"' if parallel else f'"[" ( {one} ) "]"'
    named = " | ".join(
        f"( {literal(str(tool['function']['name']) + ARGS)} {add(schema_of(tool), f'tool-{number}')} )"
        for number, tool in enumerate(tools)
    )
    call = f"{literal(OPEN)} ( {named} )"
    return f"( {literal(OPEN)} {listed} ) | ( {call} {f'( {call} )*' if parallel else ''} )"


SPEC = ToolFormat(
    "mistral", lambda template: OPEN in template, _parser, _grammar, marks=(OPEN, ARGS, CALL_ID), rank=20
)
