"""FunctionGemma and Gemma 4: `call:name{key:value,...}`, with marks around it and around each string.

    <start_function_call>call:lights{room:<escape>hall<escape>,level:7}<end_function_call>
    <|tool_call>call:lights{room:<|"|>hall<|"|>,level:7}<tool_call|>

Source: ai.google.dev/gemma/docs/functiongemma; vLLM's functiongemma and gemma4 tool parsers.
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

CLOSES = {"<start_function_call>": "<end_function_call>", "<|tool_call>": "<tool_call|>"}
QUOTES = {"<start_function_call>": "<escape>", "<|tool_call>": '<|"|>'}
_HEAD = re.compile(r"\s*call:([\w.\-/:]+)\s*\{")
_DEEPEST = 50


class _Body:
    """The whole call is read before any of it is given: it is no JSON until then."""

    def __init__(self, calls: Calls, mark: str) -> None:
        self._calls = calls
        self._close, self._quote = CLOSES[mark], QUOTES[mark]
        self._held = ""

    def feed(self, text: str) -> Step:
        self._held += text
        at = self._end()
        if at < 0:
            return Step([], wrong=not self._possible())
        said = self._read(self._held[:at])
        return Step(said, self._held[at + len(self._close) :], wrong=not said)

    def finish(self) -> Step:
        said = self._read(self._held)
        return Step(said, "", wrong=not said)

    def _end(self) -> int:
        """Of the close mark outside of a string."""
        quoted = self._held.split(self._quote)
        at = 0
        for number, part in enumerate(quoted):
            if number % 2 == 0 and self._close in part:
                return at + part.index(self._close)
            at += len(part) + len(self._quote)
        return -1

    def _possible(self) -> bool:
        bare = self._held.lstrip()
        if len(bare) <= len("call:"):
            return "call:".startswith(bare)
        if not bare.startswith("call:"):
            return False
        name, opened, _ = bare.removeprefix("call:").partition("{")
        tools = self._calls.tools
        return name.strip() in tools if opened else any(known.startswith(name.rstrip()) for known in tools)

    def _read(self, text: str) -> list[Said]:
        head = _HEAD.match(text)
        if head is None or head[1] not in self._calls.tools:
            return []
        try:
            reader = _Reader(text, head.end(), self._quote, self._calls.tools[head[1]])
            arguments = reader.object(0)
        except ValueError:
            return []
        if text[reader.at :].strip():
            return []
        return [self._calls.begin(head[1]), self._calls.more(json.dumps(arguments, ensure_ascii=False))]


class _Reader:
    """Values from a place on. Raises ValueError where it is none."""

    def __init__(self, text: str, at: int, quote: str, schema: Mapping[str, Any]) -> None:
        self.at = at
        self._text = text
        self._quote = quote
        self._schema = schema

    def object(self, depth: int) -> dict[str, Any]:
        """After its brace."""
        out: dict[str, Any] = {}
        while not self._take("}"):
            key = self._string() if self._text.startswith(self._quote, self.at) else self._bare(":")
            if not self._take(":"):
                raise ValueError("no value")
            out[key.strip()] = self._value(key.strip() if not depth else "", depth + 1)
            if not self._take(",") and not self._text.startswith("}", self.at):
                raise ValueError("neither , nor }")
        return out

    def _value(self, key: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("too deep")
        self._skip()
        if self._text.startswith(self._quote, self.at):
            text = self._string()
            return read_value(text, self._schema, key) if self._typed(key) else text
        if self._take("{"):
            return self.object(depth)
        if self._take("["):
            out: list[Any] = []
            while not self._take("]"):
                out.append(self._value("", depth + 1))
                if not self._take(",") and not self._text.startswith("]", self.at):
                    raise ValueError("neither , nor ]")
            return out
        return read_value(self._bare(",}]").strip(), self._schema, key)

    def _typed(self, key: str) -> bool:
        """The schema asks for a number or truth: FunctionGemma writes those in marks too."""
        properties = self._schema.get("properties")
        described = properties.get(key) if isinstance(properties, Mapping) else None
        return isinstance(described, Mapping) and described.get("type") in ("integer", "number", "boolean")

    def _string(self) -> str:
        start = self.at + len(self._quote)
        end = self._text.index(self._quote, start)
        self.at = end + len(self._quote)
        return self._text[start:end]

    def _bare(self, ends: str) -> str:
        start = self.at
        while self.at < len(self._text) and self._text[self.at] not in ends:
            self.at += 1
        if self.at == len(self._text) or start == self.at:
            raise ValueError("cut off")
        return self._text[start : self.at]

    def _take(self, char: str) -> bool:
        self._skip()
        if not self._text.startswith(char, self.at):
            return False
        self.at += 1
        self._skip()
        return True

    def _skip(self) -> None:
        while self.at < len(self._text) and self._text[self.at].isspace():
            self.at += 1


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    calls = Calls(tools, new_id)
    return MarkedParser(tuple(CLOSES), lambda mark: _Body(calls, mark))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    """The names are fixed, the values free; which marks come is the model's choice."""
    names = " | ".join(literal(str(tool["function"]["name"])) for tool in tools)
    kinds = []
    for mark, close in CLOSES.items():
        quote = literal(QUOTES[mark])
        pair = f'[a-zA-Z0-9_]+ ":" ( {quote} [^<]* {quote} | [^<,{{}}]+ )'
        call = f'{literal(mark + "call:")} ( {names} ) "{{" ( {pair} ( "," {pair} )* )? "}}" {literal(close)}'
        kinds.append(f"( {call} {f'( {call} )*' if parallel else ''} )")
    return " | ".join(kinds)


SPEC = ToolFormat(
    "gemma",
    lambda template: any(mark in template for mark in CLOSES),
    _parser,
    _grammar,
    marks=(*CLOSES, *CLOSES.values(), *QUOTES.values()),
    rank=15,
)
