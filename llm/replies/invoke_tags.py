"""Tool calls written as tags: a list of `invoke` with a `parameter` for each argument. Pure.

    <calls>
    <invoke name="lights">
    <parameter name="room">hall</parameter>
    </invoke>
    </calls>

The families differ in what the tags are called and in whether a parameter says that it is a string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm.replies.call_text import Step
from llm.replies.tool_calls import Calls, Said, literal
from llm.replies.tool_values import read_value

__all__ = ["InvokeBody", "InvokeTags", "invoke_grammar"]

_NAME = re.compile(r"""^\s*name\s*=\s*["']?([^"'>]+?)["']?\s*(?:string\s*=\s*["'](true|false)["'])?\s*$""")


@dataclass(frozen=True, slots=True)
class InvokeTags:
    """`invoke` and `parameter` up to their name, without `>`. `typed`: a parameter says `string="true"`."""

    open: str
    close: str
    invoke: str
    end_invoke: str
    parameter: str
    end_parameter: str
    typed: bool = False


class InvokeBody:
    """A Body. A call is begun with its name; each parameter is given when its tag is closed."""

    def __init__(self, calls: Calls, tags: InvokeTags) -> None:
        self._calls = calls
        self._tags = tags
        self._held = ""
        self._name: str | None = None
        self._count = 0
        self._any = False

    def feed(self, text: str) -> Step:
        self._held += text
        tags, said = self._tags, list[Said]()
        while True:
            bare = self._held.lstrip()
            if self._name is None:
                if bare.startswith(tags.close):
                    return Step(said, bare[len(tags.close) :], wrong=not self._any)
                if not bare.startswith(tags.invoke):
                    possible = tags.invoke.startswith(bare) or tags.close.startswith(bare)
                    return Step(said) if possible else Step(said, bare, wrong=not self._any)
                head, closed, rest = bare[len(tags.invoke) :].partition(">")
                if not closed:
                    return Step(said)
                named = _NAME.match(head)
                if named is None or named[1] not in self._calls.tools:
                    return Step(said, bare, wrong=not self._any)
                self._name, self._held, self._count, self._any = named[1], rest, 0, True
                said.append(self._calls.begin(self._name))
            elif bare.startswith(tags.end_invoke):
                said.append(self._calls.more("}" if self._count else "{}"))
                self._name, self._held = None, bare[len(tags.end_invoke) :]
            elif bare.startswith(tags.parameter) and tags.end_parameter in bare:
                head, _, self._held = bare.partition(tags.end_parameter)
                said.extend(self._parameter(head[len(tags.parameter) :]))
            elif bare and not any(_alike(bare, tag) for tag in (tags.end_invoke, tags.parameter)):
                # What is neither a parameter nor the end: the call is closed with what it has.
                said.append(self._calls.more("}" if self._count else "{}"))
                self._name = None
                return Step(said, bare)
            else:
                return Step(said)

    def finish(self) -> Step:
        """What was cut off stays open, so that nobody takes it for the whole call."""
        said: list[Said] = []
        bare = self._held.strip()
        if self._name is not None and bare.startswith(self._tags.parameter):
            said.extend(self._parameter(bare[len(self._tags.parameter) :], cut=True))
        elif self._name is not None:
            said.append(self._calls.more("}" if self._count else "{}"))
        return Step(said, "", wrong=not self._any)

    def _parameter(self, text: str, cut: bool = False) -> list[Said]:
        head, _, value = text.partition(">")
        named = _NAME.match(head)
        if named is None or self._name is None:
            return []
        if cut:
            before = "{" if not self._count else ", "
            return [self._calls.more(f"{before}{json.dumps(named[1])}: {json.dumps(value, ensure_ascii=False)[:-1]}")]
        value = value.removeprefix("\n").removesuffix("\n") if not self._tags.typed else value
        key, plain = named[1], named[2] == "true"
        read = value if plain else read_value(value, self._calls.tools[self._name], key)
        self._count += 1
        before = "{" if self._count == 1 else ", "
        return [self._calls.more(f"{before}{json.dumps(key)}: {json.dumps(read, ensure_ascii=False)}")]


def invoke_grammar(tags: InvokeTags, tools: Sequence[Mapping[str, Any]], parallel: bool) -> str:
    """The names are fixed; the parameters are free text up to the end of their tags."""
    names = " | ".join(literal(str(tool["function"]["name"])) for tool in tools)
    kind = """ ( " string=\\"true\\"" | " string=\\"false\\"" )""" if tags.typed else ""
    named = f'{literal(tags.parameter + " name=" + chr(34))} [^"<>\\n]+ {literal(chr(34))}{kind} {literal(">")}'
    parameter = f'{named} ( [^<] | "<" [^/] )* {literal(tags.end_parameter)} [\\n]?'
    head = f"{literal(tags.invoke + ' name=' + chr(34))} ( {names} ) {literal(chr(34) + '>')}"
    call = f"{head} [\\n]? ( {parameter} )* {literal(tags.end_invoke)} [\\n]?"
    return f"{literal(tags.open)} [\\n]? {call} {f'( {call} )*' if parallel else ''} {literal(tags.close)}"


def _alike(text: str, tag: str) -> bool:
    return text.startswith(tag) or tag.startswith(text)
