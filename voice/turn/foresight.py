"""How far the words are to be trusted that a recogniser makes of a turn before its transcript. Pure.

It depends on the recogniser and on the speaker: what pocketsphinx makes of a command on the way is seldom what its
transcript says where a person speaks, and mostly where a synthetic voice does (docs/architecture.md has the figures).
So they have to prove themselves, turn by turn.
"""

from __future__ import annotations

__all__ = ["Foresight"]

_WEIGHT = 1 / 3
"""Of the last turn."""
_AT_FIRST = 0.4
"""One turn that was foreseen is enough to begin with, and one that was not to stop."""
_SURE = 0.5


class Foresight:
    """Of one session."""

    __slots__ = ("_share",)

    def __init__(self) -> None:
        self._share = _AT_FIRST

    def learn(self, right: bool) -> None:
        """The transcript has come, and said what was supposed, or something else."""
        self._share += _WEIGHT * ((1.0 if right else 0.0) - self._share)

    @property
    def sure(self) -> bool:
        """What is supposed is right more often than not."""
        return self._share >= _SURE
