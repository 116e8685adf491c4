"""Which loaded models give way when memory or slots are short. Pure.

The score of a model is how long it has been idle over what it costs to load it again: a model that nobody has used
for a minute and that is back in a second goes before one that has been idle as long and takes a minute to load.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llm.memory.cards import Cards, added

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
    cards: Cards = ()
    """Of each GPU."""


def score(occupant: Occupant) -> float:
    """Higher goes first."""
    return max(0.0, occupant.idle_s) / max(CHEAPEST_LOAD_S, occupant.load_s)


def victims(
    occupants: Sequence[Occupant],
    missing_bytes: int,
    missing_slots: int,
    on_cards: Callable[[Cards], bool] = lambda _: True,
) -> tuple[Occupant, ...] | None:
    """Those to unload so that so many bytes and slots become free: by score, and none that is not needed.
    `on_cards`: whether it would be enough of the GPUs if so much of each became free beside.

    None: all of them together would not be enough. Nothing missing: nobody.
    """
    chosen: list[Occupant] = []

    def enough(them: Sequence[Occupant]) -> bool:
        if sum(one.bytes for one in them) < missing_bytes or len(them) < missing_slots:
            return False
        cards: Cards = ()
        for one in them:
            cards = added(cards, one.cards)
        return on_cards(cards)

    for occupant in sorted(occupants, key=score, reverse=True):
        if enough(chosen):
            break
        chosen.append(occupant)
    if not enough(chosen):
        return None
    for occupant in reversed(chosen[:]):  # a large one may have made small ones before it unnecessary
        if enough(rest := [one for one in chosen if one is not occupant]):
            chosen = rest
    return tuple(chosen)
