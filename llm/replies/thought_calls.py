"""Tool calls within thoughts that never end: some models forget to close them before they call. Pure.

A call counts only where the reply ends inside of the thoughts; one that they go on after, to their closing mark, was
thought about and not made. What may be a call is held back until that is known, everything else is passed on.
"""

from __future__ import annotations

from llm.replies.tool_calls import CallParser, Said
from llm.stream import ReasoningDelta, TextDelta, ToolCallDelta

__all__ = ["ThoughtCalls"]


class ThoughtCalls:
    """One per reply. `parser` is one of its own, for what it is given may prove to be no call."""

    def __init__(self, parser: CallParser) -> None:
        self._parser = parser
        self._held = ""
        self._calls: list[Said] = []

    def push(self, thought: str) -> list[Said]:
        self._held += thought
        return self._take(self._parser.push(thought))

    def closed(self) -> list[Said]:
        """The thoughts are over: all of it was thought."""
        held, self._held = self._held, ""
        self._calls = []
        return [ReasoningDelta(held)] if held else []

    def finish(self) -> list[Said]:
        """The reply is over, and the thoughts were not."""
        out = self._take(self._parser.finish())
        calls, self._calls = self._calls, []
        return out + calls if calls else out + self.closed()

    def _take(self, said: list[Said]) -> list[Said]:
        """Before the first call the parser gives what it is given, some of it later."""
        length = 0
        for piece in said:
            if isinstance(piece, ToolCallDelta):
                self._calls.append(piece)
            elif self._calls and isinstance(piece, TextDelta):
                self._calls.append(ReasoningDelta(piece.text))
            elif isinstance(piece, TextDelta):
                length += len(piece.text)
        thought, self._held = self._held[:length], self._held[length:]
        return [ReasoningDelta(thought)] if thought else []
