"""What a network of one hidden layer makes of a short sound: how likely each kind is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["likely_kinds"]

Floats = npt.NDArray[np.float32]


def likely_kinds(seen: Floats, hidden: Floats, out: Floats) -> Floats:
    """Probabilities [kinds] for `seen` [inputs]; `hidden` [inputs + 1, units] and `out` [units + 1, kinds] have their
    biases in the last row."""
    units = np.maximum(seen @ hidden[:-1] + hidden[-1], 0.0)
    over = units @ out[:-1] + out[-1]
    found: Floats = np.exp(over - over.max())
    found /= found.sum()
    return found
