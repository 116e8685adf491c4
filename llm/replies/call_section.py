"""Calls of a reply that stand in a section, each between marks of its own. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llm.replies.call_text import Step

__all__ = ["SectionBody", "SectionMarks"]


@dataclass(frozen=True, slots=True)
class SectionMarks:
    """`call` opens a call and `end_call` closes it; `end` closes the section."""

    call: str
    end_call: str
    end: str


class SectionBody:
    """What follows the mark that opens the section. A call is given when its end mark has come.

    `read` adds what is between the marks of a call to the step; False: that is none.
    """

    def __init__(self, marks: SectionMarks, read: Callable[[str, Step], bool]) -> None:
        self._marks, self._read_call = marks, read
        self._held = ""
        self._any = False

    def feed(self, text: str) -> Step:
        self._held += text
        step, marks = Step([]), self._marks
        while True:
            bare = self._held.lstrip()
            if bare.startswith(marks.end):
                return Step(step.said, bare[len(marks.end) :], wrong=not self._any)
            if not bare.startswith(marks.call):
                possible = marks.call.startswith(bare) or marks.end.startswith(bare)
                return step if possible else Step(step.said, bare, wrong=not self._any)
            inner, closed, rest = bare[len(marks.call) :].partition(marks.end_call)
            if not closed:
                return step
            if not self._read(inner, step):
                return Step(step.said, bare, wrong=not self._any)
            self._held = rest

    def finish(self) -> Step:
        step = Step([])
        bare = self._held.lstrip()
        if bare.startswith(self._marks.call):
            self._read(bare[len(self._marks.call) :], step)
        return Step(step.said, "", wrong=not self._any)

    def _read(self, inner: str, step: Step) -> bool:
        read = self._read_call(inner, step)
        self._any = self._any or read
        return read
