"""Llama 3 and 4: the whole reply is `{"name": ..., "parameters": {...}}` or `[lights(room="hall")]`.

The first may stand after `<|python_tag|>`, several separated by semicolons; Llama 4 puts either between
`<|python_start|>` and `<|python_end|>`. Without a mark only a reply that begins with a call is one, and the list
(Llama 3.2 and 4) only where it is all of the reply. Salesforce's xLAM 2 writes a JSON list at the beginning. Sources:
Meta's prompt formats for Llama 3.2 and 4; vLLM's llama3_json, llama4_pythonic and xlam tool parsers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import Body, JsonBody, MarkedParser, Step
from llm.replies.python_calls import PythonCalls
from llm.replies.tool_calls import AddRule, CallParser, Calls, Said, ToolFormat, Tools, call_object, literal
from llm.stream import TextDelta

__all__ = ["SPEC"]

TAG, START, END = "<|python_tag|>", "<|python_start|>", "<|python_end|>"
XLAM = '[{"name": "tool_call_name'
"""Of the example in xLAM's template."""


def _listed(text: str) -> bool | None:
    """Whether a bracket opens a list of Python's calls; None as long as nobody knows. Else it is JSON."""
    after = text[1:].lstrip()
    return None if not after else after[0] != "{"


class _Tagged:
    """After a tag: a brace begins JSON, a bracket the list. The end mark is Llama 4's."""

    def __init__(self, calls: Calls, mark: str) -> None:
        self._calls = calls
        self._mark = mark
        self._held = ""
        self._body: Body | None = None

    def feed(self, text: str) -> Step:
        if self._body is None:
            text = text.lstrip()
            if not text:
                return Step([])
            close = END if self._mark == START else ""
            text = self._held + text
            python = text[0] == "[" and _listed(text)
            if python is None:
                self._held = text
                return Step([])
            self._body = PythonCalls(self._calls, close) if python else JsonBody(self._calls, close, separator=";")
        return self._body.feed(text)

    def finish(self) -> Step:
        return self._body.finish() if self._body is not None else Step([], "", wrong=True)


class _Parser:
    """At the very beginning a brace counts as the open mark; after other words only the tag does."""

    def __init__(self, calls: Calls) -> None:
        self._tagged = MarkedParser((TAG, START), lambda mark: _Tagged(calls, mark))
        self._calls = calls
        self._body: Body | None = None
        self._held = ""
        self._given = False
        self._begun = False

    def push(self, text: str) -> list[Said]:
        if self._begun:
            return self._tagged.push(text)
        self._held += text
        if self._body is None:
            bare = self._held.lstrip()
            if not bare:
                return []
            if bare[0] not in "{[":
                return self._as_text()
            python, text = bare[0] == "[" and _listed(bare), bare
            if python is None:
                return []
            self._body = PythonCalls(self._calls, alone=True) if python else JsonBody(self._calls, separator=";")
        step = self._body.feed(text)
        self._given = self._given or bool(step.said)
        if step.wrong and not self._given:
            return self._as_text()
        if step.rest is not None or step.wrong:
            self._begun, self._held = True, ""
            return [*step.said, *self._tagged.push((step.rest or "").lstrip())]
        return step.said

    def finish(self) -> list[Said]:
        if self._begun:
            return self._tagged.finish()
        if self._body is not None:
            last = self._body.finish()
            if self._given or not last.wrong:
                return last.said
        return [TextDelta(self._held)] if self._held else []

    def _as_text(self) -> list[Said]:
        self._begun = True
        held, self._held = self._held, ""
        return self._tagged.push(held)


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    return _Parser(Calls(tools, new_id))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    one = " | ".join(f"( {call_object(tool, add, number, 'parameters')} )" for number, tool in enumerate(tools))
    return f"( {one} ) ( {literal('; ')} ( {one} ) )*" if parallel else f"( {one} )"


SPEC = ToolFormat(
    "llama3",
    lambda template: (
        (
            any(mark in template for mark in ("<|start_header_id|>", "<|header_start|>"))
            and any(mark in template for mark in ("parameters", TAG, START, "func_name1("))
        )
        or "[func_name1(" in template
        or XLAM in template
    ),
    _parser,
    _grammar,
    marks=(TAG, START, END),
    rank=40,
)
