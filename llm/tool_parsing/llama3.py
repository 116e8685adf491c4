"""Llama 3.x: the whole reply is `{"name": ..., "parameters": {...}}`, sometimes after `<|python_tag|>`.

There is no mark around it, so only a reply that begins with it is a call. Several are separated by semicolons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import JsonBody, MarkedParser
from llm.replies.tool_calls import AddRule, CallParser, Calls, Said, ToolFormat, Tools, call_object, literal
from llm.stream import TextDelta

__all__ = ["SPEC"]

TAG = "<|python_tag|>"


class _Parser:
    """At the very beginning a brace counts as the open mark; after other words only the tag does."""

    def __init__(self, calls: Calls) -> None:
        self._tagged = MarkedParser((TAG,), lambda _: JsonBody(calls, separator=";"))
        self._calls = calls
        self._body: JsonBody | None = None
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
            if bare[0] != "{":
                return self._as_text()
            self._body, text = JsonBody(self._calls, lists=False, separator=";"), bare
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
        if self._body is not None and (self._given or not self._body.finish().wrong):
            return []
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
    lambda template: "<|start_header_id|>" in template and ("parameters" in template or TAG in template),
    _parser,
    _grammar,
    marks=(TAG,),
    rank=40,
)
