"""Thoughts that a server leaves in the text of a reply: `<think>...</think>` before the answer. Pure.

vLLM without a reasoning parser, LM Studio with its switch off and many proxies do so; nobody wants to hear it
spoken. A server that tells thoughts apart itself is believed: what it calls content is.
"""

from __future__ import annotations

from llm.replies.reasoning import ReasoningSplitter
from llm.stream import ReasoningDelta, TextDelta, TokenLogprob

__all__ = ["InlineThoughts"]


class InlineThoughts:
    """One per answer, for all its choices."""

    __slots__ = ("_split", "_splitters", "found")

    def __init__(self, split: bool = True) -> None:
        """`split` False: a server of ours, which tells them apart."""
        self.found = False
        """Some have come."""
        self._split = split
        self._splitters: dict[int, ReasoningSplitter | None] = {}
        """None: from now on its text is text."""

    def told_apart(self, choice: int) -> None:
        """The server itself has said what this choice thinks."""
        self._splitters.setdefault(choice, None)

    def said(
        self, text: str, choice: int = 0, logprobs: tuple[TokenLogprob, ...] = ()
    ) -> list[TextDelta | ReasoningDelta]:
        """The events of a piece of content. With `logprobs` it stays as it came: they belong to its tokens."""
        if logprobs or not self._split:
            self._splitters[choice] = None
        elif choice not in self._splitters:
            self._splitters[choice] = ReasoningSplitter()
        if (splitter := self._splitters[choice]) is None:
            return [TextDelta(text, choice, logprobs)]
        return self._events(splitter.push(text), choice)

    def ended(self, choice: int = 0) -> list[TextDelta | ReasoningDelta]:
        """What was held back, for it might have become a mark."""
        splitter = self._splitters.get(choice)
        self._splitters[choice] = None
        return self._events(splitter.finish(), choice) if splitter is not None else []

    def all_ended(self) -> list[TextDelta | ReasoningDelta]:
        """The same of every choice: a server may forget to say that it ended."""
        return [event for choice in tuple(self._splitters) for event in self.ended(choice)]

    def _events(self, found: list[TextDelta | ReasoningDelta], choice: int) -> list[TextDelta | ReasoningDelta]:
        self.found = self.found or any(type(event) is ReasoningDelta for event in found)
        return [type(event)(event.text, choice) for event in found] if choice else found
