"""Text with marked calls in it: what stands before, between and after, and the bodies between the marks. Pure.

    text  <open mark>  body  <close mark>  text ...

White space beside a call is dropped, everything else outside is text. A body that turns out to be no call is text,
mark included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from llm.replies.json_call import JsonCall, JsonCallState
from llm.replies.tool_calls import Calls, Said
from llm.stream import TextDelta

__all__ = ["Body", "JsonBody", "MarkedParser", "Step", "WholeBody", "open_end"]


@dataclass(frozen=True, slots=True)
class Step:
    """What a body made of its text. `rest` is what follows it, None while it goes on. `wrong`: it is no call, and
    had given nothing until now."""

    said: list[Said]
    rest: str | None = None
    wrong: bool = False


class Body(Protocol):
    """One per open mark."""

    def feed(self, text: str) -> Step: ...

    def finish(self) -> Step:
        """The reply ended inside of it."""
        ...


class WholeBody:
    """A Body that is read when it is whole: `read` gets what stands before the close mark, and what follows it."""

    def __init__(self, close: str, read: Callable[[str, str], Step]) -> None:
        self._close, self._read = close, read
        self._held = ""

    def feed(self, text: str) -> Step:
        looked_at = max(0, len(self._held) - len(self._close) + 1)
        self._held += text
        at = self._held.find(self._close, looked_at)
        return Step([]) if at < 0 else self._read(self._held[:at], self._held[at + len(self._close) :])

    def finish(self) -> Step:
        return self._read(self._held, "")


def open_end(text: str, marks: tuple[str, ...]) -> int:
    """Length of the longest end of the text that is the beginning of a mark."""
    longest = max((len(mark) for mark in marks), default=0)
    for length in range(min(longest - 1, len(text)), 0, -1):
        if any(mark.startswith(text[-length:]) for mark in marks):
            return length
    return 0


class MarkedParser:
    """A CallParser. `body(mark)` makes the reader of what follows a mark."""

    def __init__(self, marks: tuple[str, ...], body: Callable[[str], Body]) -> None:
        self._marks = marks
        self._body = body
        self._held = ""
        self._inside: Body | None = None
        self._raw = ""  # since the open mark, as long as nothing of it was given away
        self._gap = ""  # white space before it
        self._given = False
        self._called = False

    def push(self, text: str) -> list[Said]:
        out: list[Said] = []
        self._advance(text, out)
        return out

    def finish(self) -> list[Said]:
        out: list[Said] = []
        if self._inside is not None:
            step = self._inside.finish()
            self._inside = None
            out += step.said
            if step.wrong and not self._given:
                self._held += self._gap + self._raw
        held, self._held = self._held, ""
        if held and not (self._called and not held.strip()):
            out.append(TextDelta(held))
        return out

    def _advance(self, text: str, out: list[Said]) -> None:
        while text or self._inside is None:
            if self._inside is not None:
                self._raw += text
                step = self._inside.feed(text)
                out += step.said
                self._given = self._given or bool(step.said)
                if step.wrong and not self._given:
                    self._inside = None
                    raw, self._raw = self._raw, ""
                    first, text = self._whole_mark(raw)
                    self._say(self._gap + first, out)
                elif step.rest is not None or step.wrong:
                    self._inside = None
                    self._called = True
                    text = step.rest or ""
                else:
                    return
            text = self._outside(text, out)
            if self._inside is None:
                return

    def _outside(self, text: str, out: list[Said]) -> str:
        """Up to the next mark; what follows it."""
        text, self._held = self._held + text, ""
        at, mark = min(((text.find(mark), mark) for mark in self._marks if mark in text), default=(-1, ""))
        if at >= 0:
            said = text[:at].rstrip()
            self._gap = text[len(said) : at]
            self._say(said, out)
            self._inside, self._raw, self._given = self._body(mark), mark, False
            return text[at + len(mark) :]
        keep = open_end(text, self._marks)
        sure = text[: len(text) - keep]
        sure = sure.rstrip()
        self._say(sure, out)
        self._held = text[len(sure) :]
        return ""

    def _whole_mark(self, raw: str) -> tuple[str, str]:
        mark = next(mark for mark in self._marks if raw.startswith(mark))
        return mark, raw[len(mark) :]

    def _say(self, text: str, out: list[Said]) -> None:
        if self._called:
            text = text.lstrip() if not text.strip() else text
        if text:
            out.append(TextDelta(text))


class JsonBody:
    """JSON calls, one or several or a list of them, up to a close mark. Without its close mark it ends where the JSON
    does. A brace too many or too few before the mark, which models write now and then, is passed over.
    """

    def __init__(self, calls: Calls, close: str = "", lists: bool = True, separator: str = "") -> None:
        self._calls = calls
        self._close = close
        self._lists = lists
        self._separator = separator
        self._call: JsonCall | None = None
        self._text = ""  # of this call
        self._begun = False
        self._listed = False
        self._over = False
        self._held = ""
        self._any = False

    def feed(self, text: str) -> Step:
        said: list[Said] = []
        text, self._held = self._held + text, ""
        while text:
            if self._over:
                return self._closing(text, said)
            if self._call is None:
                text = text.lstrip()
                if not text:
                    break
                if text[0] == "[" and self._lists and not self._listed and not self._any:
                    self._listed, text = True, text[1:]
                    continue
                if self._listed and text[0] in ",]":
                    self._over = text[0] == "]"
                    text = text[1:]
                    continue
                self._call, self._begun, self._text = JsonCall(self._calls.tools), False, ""
            read = self._call.feed(text)
            self._text, text = self._text + text[:read], text[read:]
            self._give(self._call, said)
            if self._call.state is JsonCallState.WRONG:
                if not self._begun:
                    return Step(said, self._text + text, wrong=True)
                self._call, self._any, self._over = None, True, True
            elif self._call.state is JsonCallState.DONE:
                self._call, self._any = None, True
                self._over = not self._listed
        if self._over and not self._close and not self._separator:
            return Step(said, "")
        return Step(said)

    def finish(self) -> Step:
        """A call that was cut off stays as it is: the client sees from the finish reason why."""
        return Step([], "", wrong=not self._any and not self._begun)

    def _give(self, call: JsonCall, said: list[Said]) -> None:
        piece = call.take()
        if call.name is None or not (self._begun or piece):
            return
        if not self._begun:
            self._begun = True
            said.append(self._calls.begin(call.name, call.id))
        if piece:
            said.append(self._calls.more(piece))

    def _closing(self, text: str, said: list[Said]) -> Step:
        bare = text.lstrip()
        if self._separator and bare.startswith(self._separator):
            return self._another(bare[len(self._separator) :], said)
        if (self._separator or self._close) and bare.startswith("{"):
            return self._another(bare, said)
        after = bare.lstrip("]} \t\r\n") if self._close else bare
        if self._close and after.startswith(self._close):
            return Step(said, after[len(self._close) :])
        if (self._close and self._close.startswith(after)) or (self._separator and not bare):
            self._held = text
            return Step(said)
        return Step(said, text)

    def _another(self, text: str, said: list[Said]) -> Step:
        self._over = False
        following = self.feed(text)
        return Step([*said, *following.said], following.rest, following.wrong)
