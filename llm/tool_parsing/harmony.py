"""gpt-oss: OpenAI's Harmony format. A reply is several messages, each with a channel.

    <|channel|>analysis<|message|>thoughts<|end|><|start|>assistant
    <|channel|>commentary to=functions.lights <|constrain|>json<|message|>{"on": true}<|call|>
    <|channel|>final<|message|>what to say<|return|>

The recipient may also stand before the channel, as the chat template writes it (`assistant to=functions.lights
<|channel|>commentary json`); the prompt ends with `assistant`, so a reply may begin with it. Source:
developers.openai.com/cookbook/articles/openai-harmony.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llm.replies.call_text import open_end
from llm.replies.tool_calls import AddRule, CallParser, Calls, Said, ToolFormat, Tools, literal, schema_of
from llm.stream import ReasoningDelta, TextDelta

__all__ = ["SPEC"]

START, CHANNEL, MESSAGE, CONSTRAIN = "<|start|>", "<|channel|>", "<|message|>", "<|constrain|>"
ENDS = ("<|end|>", "<|call|>", "<|return|>")
_RECIPIENT = "to=functions."
_TO = re.compile(r"to=functions\.([\w.\-]+)")
_ONLY_RECIPIENT = re.compile(r"to=functions\.[\w.\-]*\s*(<\|?\w*\|?)?")
"""And the beginning of a mark."""


class _Parser:
    """Text before the first header, as of a model that forgets its manners, is text."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._held = ""
        self._in_header = False
        self._kind: str | None = "final"
        self._begun = False  # text or a mark has come
        self._to = ""  # what stood before the first one
        self._written = True  # arguments of the call that is open

    def push(self, text: str) -> list[Said]:
        self._held += text
        out: list[Said] = []
        while self._advance(out):
            pass
        return out

    def finish(self) -> list[Said]:
        held, self._held = self._held, ""
        return [*([] if self._in_header or not held else self._say(held)), *self._end()]

    def _advance(self, out: list[Said]) -> bool:
        """One mark, or all that is sure; True if there may be more."""
        marks = (MESSAGE,) if self._in_header else (START, CHANNEL, *ENDS)
        at, mark = min(((self._held.find(m), m) for m in marks if m in self._held), default=(-1, ""))
        if at < 0:
            keep = len(self._held) if self._in_header or self._may_be_recipient() else open_end(self._held, marks)
            sure = self._held[: len(self._held) - keep]
            self._held = self._held[len(sure) :]
            self._begun = self._begun or bool(sure)
            out += self._say(sure)
            return False
        before, self._held = self._held[:at], self._held[at + len(mark) :]
        if self._in_header:
            self._in_header = False
            self._begin(f"{self._to} {before}", out)
            self._to = ""
        else:
            if not self._begun and mark == CHANNEL and _TO.fullmatch(before.strip()):
                self._to = before
            else:
                out += self._say(before)
            self._in_header = mark in (START, CHANNEL)
            if mark in ENDS:
                out += self._end()
                self._kind = None
        self._begun = True
        return True

    def _may_be_recipient(self) -> bool:
        bare = self._held.lstrip()
        return not self._begun and (_RECIPIENT.startswith(bare) or bool(_ONLY_RECIPIENT.fullmatch(bare)))

    def _end(self) -> list[Said]:
        """A call without arguments has none in its message."""
        written, self._written = self._written, True
        return [] if written else [self._calls.more("{}")]

    def _begin(self, header: str, out: list[Said]) -> None:
        out += self._end()
        to = _TO.search(header)
        if to is not None and to[1] in self._calls.tools:
            self._kind, self._written = "call", False
            out.append(self._calls.begin(to[1]))
        else:
            self._kind = "analysis" if "analysis" in header else "final"

    def _say(self, text: str) -> list[Said]:
        if not text or self._kind is None:
            return []
        if self._kind == "call":
            self._written = self._written or bool(text.strip())
            return [self._calls.more(text)]
        return [ReasoningDelta(text) if self._kind == "analysis" else TextDelta(text)]


def _parser(tools: Tools, new_id: Callable[[], str]) -> CallParser:
    return _Parser(Calls(tools, new_id))


def _grammar(tools: Sequence[Mapping[str, Any]], parallel: bool, add: AddRule) -> str:
    """It writes one call a reply. It may think before."""
    kinds = []
    for number, tool in enumerate(tools):
        head = f"{CHANNEL}commentary to=functions.{tool['function']['name']} {CONSTRAIN}json{MESSAGE}"
        kinds.append(f"( {literal(head)} {add(schema_of(tool), f'tool-{number}')} )")
    thought = f"{literal(CHANNEL + 'analysis' + MESSAGE)} [^<]* {literal('<|end|>' + START + 'assistant')}"
    return f"( {thought} )? ( {' | '.join(kinds)} )"


SPEC = ToolFormat(
    "harmony",
    lambda template: CHANNEL in template and MESSAGE in template,
    _parser,
    _grammar,
    marks=(START, CHANNEL, MESSAGE, CONSTRAIN, *ENDS),
    rank=5,
)
