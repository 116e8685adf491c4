"""Models that could not be loaded are left alone for a while, each time for twice as long. Pure."""

from __future__ import annotations

__all__ = ["CoolDown"]

LONGEST_S = 60.0


class CoolDown:
    def __init__(self, first_s: float) -> None:
        self._first_s = first_s
        self._models: dict[str, tuple[float, float]] = {}  # until when, and how long it was

    def lasts(self, model: str, now: float) -> bool:
        return model in self._models and self._models[model][0] > now

    def begin(self, model: str, now: float) -> None:
        _, last_s = self._models.get(model, (0.0, self._first_s / 2))
        pause_s = min(LONGEST_S, 2 * last_s)
        self._models[model] = (now + pause_s, pause_s)

    def end(self, model: str) -> None:
        """It was loaded, or somebody orders it."""
        self._models.pop(model, None)
