"""A tool call written as a JSON object, read character by character. Pure.

    {"name": "lights", "arguments": {"on": true}}

Models name the fields differently and put them in any order. The arguments are passed on as they come once the name
is known; where they come first, they wait for it. What is no call of a known tool is WRONG, and then nothing of it
has been passed on; a call that breaks off is WRONG from the character on that cannot follow.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from enum import Enum

__all__ = ["JsonCall", "JsonCallState"]

_NAMES = ("name", "tool_name")
_ARGUMENTS = ("arguments", "parameters")
_IDS = ("id", "tool_call_id")
_SPACE = " \t\r\n"


class JsonCallState(Enum):
    OPEN = 0
    DONE = 1
    WRONG = 2


class _At(Enum):
    BEGIN = 0
    KEY = 1
    """Before a key, or the end."""
    IN_KEY = 2
    COLON = 3
    VALUE = 4
    """Before a value."""
    IN_STRING = 5
    IN_NEST = 6
    IN_SCALAR = 7
    NEXT = 8
    """After a value."""


class JsonCall:
    """`known` are the tools there are. After each `feed`, `name` and `take()` say what has become certain."""

    def __init__(self, known: Collection[str]) -> None:
        self.state = JsonCallState.OPEN
        self.name: str | None = None
        self.id: str | None = None
        self._known = known
        self._at = _At.BEGIN
        self._key = ""
        self._value: list[str] = []
        self._depth = 0
        self._quoted = False
        self._escaped = False
        self._arguments: list[str] = []
        self._any = False
        self._streams = False

    @property
    def after_value(self) -> bool:
        """A value has just ended: for forms where the object stands alone after a name."""
        return self._at is _At.NEXT and self.state is JsonCallState.OPEN

    def feed(self, text: str) -> int:
        """Read until it is DONE or WRONG; how many characters were read, without the one that is wrong."""
        for count, char in enumerate(text):
            self._read(char)
            if self.state is not JsonCallState.OPEN:
                return count + (self.state is JsonCallState.DONE)
        return len(text)

    def take(self) -> str:
        """Text of the arguments that is new; "" as long as the name is not known. What came before it turned out to
        be WRONG counts, so that the same is told however the text is cut.
        """
        if self.name is None:
            return ""
        text, self._arguments = "".join(self._arguments), []
        return text

    def _read(self, char: str) -> None:
        match self._at:
            case _At.BEGIN:
                if char == "{":
                    self._at = _At.KEY
                elif char not in _SPACE:
                    self.state = JsonCallState.WRONG
            case _At.KEY:
                if char == '"':
                    self._begin(_At.IN_KEY, char)
                elif char == "}":
                    self._close()
                elif char not in _SPACE + ",":
                    self.state = JsonCallState.WRONG
            case _At.IN_KEY:
                if self._string_ends(char):
                    self._key = self._text()
                    self._at = _At.COLON
            case _At.COLON:
                if char == ":":
                    self._at = _At.VALUE
                elif char not in _SPACE:
                    self.state = JsonCallState.WRONG
            case _At.VALUE:
                self._begin_value(char)
            case _At.IN_STRING:
                if self._string_ends(char):
                    self._value_ends()
            case _At.IN_NEST:
                self._nested(char)
            case _At.IN_SCALAR:
                if char in _SPACE + ",}":
                    self._value_ends()
                    if self.state is JsonCallState.OPEN:
                        self._read(char)
                else:
                    self._value.append(char)
            case _At.NEXT:
                if char == ",":
                    self._at = _At.KEY
                elif char == "}":
                    self._close()
                elif char not in _SPACE:
                    self.state = JsonCallState.WRONG

    def _begin(self, at: _At, char: str) -> None:
        self._at, self._value = at, [char]
        self._escaped = self._quoted = False

    def _begin_value(self, char: str) -> None:
        if char in _SPACE:
            return
        if char == '"':
            self._begin(_At.IN_STRING, char)
        elif char in "{[":
            self._begin(_At.IN_NEST, char)
            self._depth = 1
            self._streams = char == "{" and self.name is not None and self._key in _ARGUMENTS and not self._any
            if self._streams:
                self._any = True
                self._arguments.append(char)
        else:
            self._begin(_At.IN_SCALAR, char)

    def _string_ends(self, char: str) -> bool:
        self._value.append(char)
        if self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = True
        elif char == '"':
            return True
        return False

    def _nested(self, char: str) -> None:
        if char == "<" and not self._quoted:  # a mark of the model's: it left the call open
            self.state = JsonCallState.WRONG
            return
        # A line break within a string is written out by some models; JSON has it escaped.
        escaped = json.dumps(char)[1:-1] if self._quoted and char < " " else char
        (self._arguments if self._streams else self._value).append(escaped)
        if self._quoted:
            if self._escaped:
                self._escaped = False
            elif char == "\\":
                self._escaped = True
            elif char == '"':
                self._quoted = False
        elif char == '"':
            self._quoted = True
        elif char in "{[":
            self._depth += 1
        elif char in "}]":
            self._depth -= 1
            if self._depth == 0:
                self._value_ends()

    def _value_ends(self) -> None:
        self._at = _At.NEXT
        if self._streams:
            self._streams = False
            return
        text = "".join(self._value)
        if self._key in _ARGUMENTS:
            self._whole_arguments(self._text() if text[:1] == '"' else text)
        elif self._key == "function" and text[:1] == "{":
            self._function(text)
        elif self._key in (*_NAMES, "function"):
            self._named(self._text())
        elif self._key in _IDS and text[:1] == '"':
            self.id = self._text()

    def _named(self, name: str) -> None:
        if name in self._known:
            self.name = name
        else:
            self.state = JsonCallState.WRONG

    def _whole_arguments(self, text: str) -> None:
        if not self._any and text not in ("null", ""):
            self._any = True
            self._arguments.append(text)

    def _function(self, text: str) -> None:
        """OpenAI's own form: the name and arguments one level deeper."""
        try:
            inner = json.loads(text)
        except ValueError:
            self.state = JsonCallState.WRONG
            return
        arguments = inner.get("arguments", inner.get("parameters"))
        if arguments is not None:
            plain = isinstance(arguments, str)
            self._whole_arguments(arguments if plain else json.dumps(arguments, ensure_ascii=False))
        self._named(str(inner.get("name")))

    def _text(self) -> str:
        try:
            value = json.loads("".join(self._value), strict=False)
        except ValueError:
            self.state = JsonCallState.WRONG
            return ""
        return value if isinstance(value, str) else ""

    def _close(self) -> None:
        if self.name is None:
            self.state = JsonCallState.WRONG
            return
        if not self._any:
            self._any = True
            self._arguments.append("{}")
        self.state = JsonCallState.DONE
