"""When a session's audio began, on the clock, by what has come of it. Pure.

Nothing arrives before it was recorded, so the piece that was underway least tells it best. A connection that was cut
or stood still shows as a leap. What was recorded meanwhile may come afterwards, faster than it was spoken. Or it is
lost: then the audio comes at its own pace, and began later by what is missing.
"""

from __future__ import annotations

__all__ = ["AudioOrigin"]

SURE_S = 0.5
"""After so much audio at its own pace nothing is left of what was held up."""
LEAP_S = 0.25
"""More than what comes regularly is ever late."""
SLIGHT_S = 0.001
"""Twenty milliseconds of audio that come in fewer than nineteen catch up."""


class AudioOrigin:
    __slots__ = ("_from_s", "_least", "began")

    def __init__(self) -> None:
        self.began = 0.0
        """Monotonic seconds; of no use before audio came."""
        self._least: float | None = None
        """Where it began by the piece that was underway least of those since `_from_s` of the audio."""
        self._from_s = 0.0

    def came(self, until_s: float, now: float) -> None:
        """The audio up to `until_s`, now."""
        began = now - until_s
        if self._least is None or began < self.began:
            self.began = began
        if self._least is None or not self._least - SLIGHT_S <= began <= self._least + LEAP_S:
            self._least, self._from_s = began, until_s
        elif until_s >= self._from_s + SURE_S:
            self.began, self._least, self._from_s = min(self._least, began), began, until_s
        else:
            self._least = min(self._least, began)
