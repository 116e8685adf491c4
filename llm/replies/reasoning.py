"""Splits a reply into what the model thinks and what it says. Pure.

Reasoning models (Qwen 3, DeepSeek R1 and their like) begin a reply with `<think>...</think>`, or their template has
opened the block already; other families have other marks. Only a block at the very beginning counts: later the words
are just words.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from llm.stream import ReasoningDelta, TextDelta

__all__ = ["PAIRS", "THINK", "ReasoningSplitter", "Thoughts", "opened_by", "thoughts_of"]


@dataclass(frozen=True, slots=True)
class Thoughts:
    """The marks around what a model thinks."""

    open: str
    close: str
    title: str = ""
    """What stands after the opening mark and is no thought."""


THINK = Thoughts("<think>", "</think>")
PAIRS = (
    THINK,
    Thoughts("[THINK]", "[/THINK]"),  # Magistral, Ministral 3
    Thoughts("<seed:think>", "</seed:think>"),
    Thoughts("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    Thoughts("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    Thoughts("<|channel>", "<channel|>", title="thought\n"),  # Gemma 4
)


def thoughts_of(template: str) -> Thoughts:
    """The marks a chat template speaks of; the usual ones where it speaks of none."""
    return next((pair for pair in PAIRS if pair.open in template or pair.close in template), THINK)


def opened_by(prompt: str, thoughts: Thoughts = THINK) -> bool:
    """Whether the template has begun the block itself, so that the reply starts inside of it."""
    return prompt.rstrip().endswith(thoughts.open)


class _State(Enum):
    START = 0
    THINKING = 1
    AFTER = 2
    """The block is closed; blank lines before the answer are dropped."""
    SAYING = 3


class ReasoningSplitter:
    """One per reply. Text that may still turn out to be a mark is held back."""

    def __init__(self, inside: bool = False, thoughts: Thoughts = THINK) -> None:
        self._open, self._close, self._title = thoughts.open, thoughts.close, thoughts.title
        self._state = _State.THINKING if inside else _State.START
        self._held = ""

    @property
    def thinking(self) -> bool:
        """The thoughts have begun and not ended."""
        return self._state is _State.THINKING

    def push(self, text: str) -> list[TextDelta | ReasoningDelta]:
        if self._state is _State.SAYING:
            return [TextDelta(text)] if text else []
        self._held += text
        out: list[TextDelta | ReasoningDelta] = []
        while self._advance(out):
            pass
        return out

    def finish(self) -> list[TextDelta | ReasoningDelta]:
        """What was held back: the reply ended there."""
        held, self._held = self._held, ""
        if not held or self._state is _State.AFTER:
            return []
        return [ReasoningDelta(held) if self._state is _State.THINKING else TextDelta(held)]

    def _advance(self, out: list[TextDelta | ReasoningDelta]) -> bool:
        """One decision on the held text; True if there may be another."""
        match self._state:
            case _State.START:
                begun = self._held.lstrip()
                if begun.startswith(self._open):
                    thought = begun[len(self._open) :]
                    if not thought.startswith(self._title) and self._title.startswith(thought):
                        return False
                    return self._go(_State.THINKING, thought.removeprefix(self._title))
                if not self._open.startswith(begun):
                    return self._go(_State.SAYING, self._held)
                return False
            case _State.THINKING:
                thought, closed, rest = self._held.partition(self._close)
                keep = 0 if closed else _open_end(thought, self._close)
                if thought[: len(thought) - keep]:
                    out.append(ReasoningDelta(thought[: len(thought) - keep]))
                if closed:
                    return self._go(_State.AFTER, rest)
                self._held = thought[len(thought) - keep :]
                return False
            case _State.AFTER:
                said = self._held.lstrip()
                return bool(said) and self._go(_State.SAYING, said)
            case _State.SAYING:
                if self._held:
                    out.append(TextDelta(self._held))
                self._held = ""
                return False

    def _go(self, state: _State, held: str) -> bool:
        self._state, self._held = state, held
        return True


def _open_end(text: str, close: str) -> int:
    """Length of the longest end of the text that is the beginning of the closing mark."""
    return next((n for n in range(min(len(close) - 1, len(text)), 0, -1) if close.startswith(text[-n:])), 0)
