"""Tool calls written as a Python list: `[lights(on=True, room="hall"), time()]`. Pure.

Nothing is run: the text is parsed, and the arguments must be literals by keyword, which is what the models of these
families are taught. Anything else (no such tool, an expression, an argument without its name) is no call.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from llm.replies.call_text import Step
from llm.replies.tool_calls import AddRule, Calls, Said, literal, schema_of

__all__ = ["PythonCalls", "calls_in", "python_grammar"]

_HEAD = re.compile(r"\[\s*([\w.\-/:]*)(\s*)(.?)", re.DOTALL)
_NAME = re.compile(r"\s*([\w.\-/:]+)\s*\(")
_BETWEEN = re.compile(r"\s*(,\s*|\n\s*|$)")
_WORDS = {"true": True, "false": False, "null": None}
"""JSON's, which models write here too."""


class PythonCalls:
    """A Body: one list, then `close` where there is one. The list is given when it is whole. With `alone` nothing
    but white space may follow it, which only the end of the reply tells.
    """

    def __init__(self, calls: Calls, close: str = "", alone: bool = False) -> None:
        self._calls = calls
        self._close = close
        self._alone = alone
        self._held = ""
        self._read = 0
        self._depth = 0
        self._quote = ""
        self._escaped = False
        self._end = 0
        self._found: list[tuple[str, str]] = []

    def feed(self, text: str) -> Step:
        self._held += text
        if not self._end:
            if not self._possible():
                return Step([], wrong=True)
            self._scan()
            if not self._end:
                return Step([])
            self._found = calls_in(self._held[: self._end].strip()[1:-1], self._calls)
            if not self._found:
                return Step([], wrong=True)
        return self._after()

    def finish(self) -> Step:
        return Step(self._give(), "", wrong=not self._end)

    def _possible(self) -> bool:
        bare = self._held.lstrip()
        head = _HEAD.match(bare)
        if head is None:
            return not bare
        name, space, following = head.groups()
        if following or space:
            return name in self._calls.tools and following in ("", "(")
        return any(known.startswith(name) for known in self._calls.tools)

    def _scan(self) -> None:
        """To the bracket that closes the list."""
        for at in range(self._read, len(self._held)):
            char = self._held[at]
            if self._quote:
                if self._escaped:
                    self._escaped = False
                elif char == "\\":
                    self._escaped = True
                elif char == self._quote:
                    self._quote = ""
            elif char in "\"'":
                self._quote = char
            elif char in "[({":
                self._depth += 1
            elif char in "])}":
                self._depth -= 1
                if not self._depth:
                    self._end = at + 1
                    return
        self._read = len(self._held)

    def _after(self) -> Step:
        rest = self._held[self._end :]
        if self._alone:
            return Step([], wrong=True) if rest.strip() else Step([])
        said = self._give()
        bare = rest.lstrip()
        if self._close and bare.startswith(self._close):
            return Step(said, bare[len(self._close) :])
        if self._close and self._close.startswith(bare):
            return Step(said)
        return Step(said, rest)

    def _give(self) -> list[Said]:
        said: list[Said] = []
        for name, arguments in self._found:
            said += [self._calls.begin(name), self._calls.more(arguments)]
        self._found = []
        return said


def python_grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    """The list; a value is what JSON and Python write alike, so its type is the schema's where that says one."""
    kinds = []
    for number, tool in enumerate(tools):
        schema = schema_of(tool)
        properties = schema.get("properties")
        shared = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
        pairs = [
            f"( {literal(str(key) + '=')} {add({'allOf': [described], **shared}, f'tool-{number}-{at}')} )"
            for at, (key, described) in enumerate((properties if isinstance(properties, Mapping) else {}).items())
        ]
        pair = f"( {' | '.join(pairs)} )"
        inner = f'( {pair} ( ", " {pair} )* )?' if pairs else ""
        kinds.append(f'( {literal(str(tool["function"]["name"]) + "(")} {inner} ")" )')
    one = f"( {' | '.join(kinds)} )"
    return f'"[" {one} {f"""( ", " {one} )*""" if parallel else ""} "]"'


def calls_in(text: str, calls: Calls) -> list[tuple[str, str]]:
    """Names and JSON arguments of calls with commas or line breaks between them; none where anything else is."""
    inner = text.strip().removesuffix(",")
    found: list[tuple[str, str]] = []
    while inner:
        head = _NAME.match(inner)
        if head is None or head[1] not in calls.tools:
            return []
        end = _closing(inner, head.end())
        arguments = None if end is None else _arguments(inner[head.end() : end])
        if end is None or arguments is None:
            return []
        found.append((head[1], arguments))
        between = _BETWEEN.match(inner, end + 1)
        if between is None:
            return []
        inner = inner[between.end() :]
    return found


def _closing(text: str, at: int) -> int | None:
    """Where the parenthesis ends that was opened before `at`."""
    depth, quote, escaped = 1, "", False
    for place in range(at, len(text)):
        char = text[place]
        if quote:
            if not escaped and char == quote:
                quote = ""
            escaped = char == "\\" and not escaped
        elif char in "\"'":
            quote = char
        elif char in "[({":
            depth += 1
        elif char in "])}":
            depth -= 1
            if not depth:
                return place
    return None


def _arguments(text: str) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a string is a matter of taste
            call = ast.parse(f"f({text.strip()})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or not isinstance(call.func, ast.Name):
            return None
        values: dict[str, Any] = {}
        for keyword in call.keywords:
            if keyword.arg is None:
                return None
            values[keyword.arg] = ast.literal_eval(_Words().visit(keyword.value))
        told = json.dumps(values, ensure_ascii=False, allow_nan=False)
        # Half a character of UTF-16 has no UTF-8; JSON's own escapes join the halves again.
        return json.dumps(values) if any("\ud800" <= char <= "\udfff" for char in told) else told
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None


class _Words(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(_WORDS[node.id]) if node.id in _WORDS else node
