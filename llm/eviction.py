"""Which loaded models give way when memory or slots are short. Pure.

The score of a model is how long it has been idle over what it costs to load it again: a model that nobody has used
for a minute and that is back in a second goes before one that has been idle as long and takes a minute to load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Occupant", "score", "victims"]

CHEAPEST_LOAD_S = 0.5
"""No load is so cheap that a moment of idleness outweighs everything else."""


@dataclass(frozen=True, slots=True)
class Occupant:
    """A model that may be unloaded, and what that frees."""

    slot: int
    bytes: int
    idle_s: float
    load_s: float


def score(occupant: Occupant) -> float:
    """Higher goes first."""
    return max(0.0, occupant.idle_s) / max(CHEAPEST_LOAD_S, occupant.load_s)


def victims(occupants: Sequence[Occupant], missing_bytes: int, missing_slots: int) -> tuple[Occupant, ...] | None:
    """Those to unload so that so many bytes and slots become free: by score, and none that is not needed.

    None: all of them together would not be enough. Nothing missing: nobody.
    """
    chosen: list[Occupant] = []
    freed = 0
    for occupant in sorted(occupants, key=score, reverse=True):
        if freed >= missing_bytes and len(chosen) >= missing_slots:
            break
        chosen.append(occupant)
        freed += occupant.bytes
    if freed < missing_bytes or len(chosen) < missing_slots:
        return None
    for occupant in reversed(chosen[:]):  # a large one may have made small ones before it unnecessary
        if freed - occupant.bytes >= missing_bytes and len(chosen) - 1 >= missing_slots:
            chosen.remove(occupant)
            freed -= occupant.bytes
    return tuple(chosen)
