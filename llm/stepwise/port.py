"""What a library must do for the engine of this package: compute logits, and keep a cache for each sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Logits", "StepModel"]

Logits = npt.NDArray[np.float32]


class StepModel(Protocol):
    """One loaded model. Used by one thread. Sequences are numbers from 0; each has a cache of its own."""

    vocabulary: int
    parameters: int

    def extend(self, sequence: int, tokens: Sequence[int]) -> Logits:
        """Put tokens behind what the sequence holds; logits (vocabulary,) of the token after the last one."""
        ...

    def clear(self, sequence: int) -> None: ...

    def trim(self, sequence: int, keep: int) -> bool:
        """Keep its first tokens. False where the model cannot be cut back; the sequence is then empty."""
        ...

    def copy(self, source: int, target: int, count: int) -> bool:
        """The first `count` tokens of one sequence are what the other holds. False: the target is empty."""
        ...

    def close(self) -> None: ...
