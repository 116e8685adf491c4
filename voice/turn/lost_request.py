"""A request that another device of the user is to answer, as far as it was heard here. Pure.

It is kept for a while: that device may have lost it, or leave.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LostRequest"]

KEPT_S = 12.0
"""A device that was woken and heard nothing gives up sooner."""


@dataclass(slots=True)
class LostRequest:
    """Places in the audio, in seconds. `word` ended at `after_s`."""

    word: str
    after_s: float
    from_s: float | None = None
    """None: nothing of it has been heard."""
    until_s: float | None = None
    """Where the user fell silent; None: they go on."""
    erase_s: tuple[float, float] | None = None
    """The word, where it stands among the others of the request and the ears know where."""
    over: bool = False
    """What is said from now on is another one."""
    offered: bool = False

    def began(self, at_s: float, from_s: float, gap_s: float) -> None:
        """Somebody begins to speak. What comes within `gap_s` is the same request."""
        if self.until_s is not None and at_s - self.until_s >= gap_s:
            self.over = True
        if not self.over:
            self.from_s = from_s if self.from_s is None else self.from_s
            self.until_s = None

    def ended(self, at_s: float, alone_s: float) -> None:
        """Speech that ends within `alone_s` of the word was the word."""
        if self.from_s == self.after_s and at_s <= self.after_s + alone_s:
            self.from_s = None
        elif not self.over and self.from_s is not None:
            self.until_s = at_s

    def whole(self, at_s: float, gap_s: float) -> bool:
        """The user has been silent for `gap_s`."""
        return self.until_s is not None and at_s - self.until_s >= gap_s

    def outdated(self, at_s: float) -> bool:
        return at_s - (self.until_s or self.after_s) >= KEPT_S and (self.from_s is None or self.until_s is not None)
