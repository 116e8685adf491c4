"""When a session's audio began, on the clock, by what has come of it. Pure.

Nothing arrives before it was recorded, so the piece that was underway least tells it best. A connection that was cut
or stood still shows as a leap. What was recorded meanwhile may come afterwards, faster than it was spoken. Or it is
lost: then the audio comes at its own pace, and began later by what is missing; what came before that keeps its time.
"""

from __future__ import annotations

from collections import deque

__all__ = ["AudioOrigin"]

SURE_S = 0.5
"""After so much audio at its own pace nothing is left of what was held up."""
LEAP_S = 0.25
"""More than what comes regularly is ever late."""
SLIGHT_S = 0.001
"""Twenty milliseconds of audio that come in fewer than nineteen catch up."""
CUTS_KEPT = 16


class AudioOrigin:
    __slots__ = ("_before", "_from_s", "_least", "began")

    def __init__(self) -> None:
        self.began = 0.0
        """Monotonic seconds; of no use before audio came."""
        self._least: float | None = None
        """Where it began by the piece that was underway least of those since `_from_s` of the audio."""
        self._from_s = 0.0
        self._before: deque[tuple[float, float]] = deque(maxlen=CUTS_KEPT)
        """(up to where in the audio, when that had begun), of the audio before something was lost."""

    def when(self, at_s: float) -> float:
        """When what stands `at_s` of the audio was recorded (monotonic seconds)."""
        return at_s + next((began for until_s, began in self._before if at_s < until_s), self.began)

    def came(self, until_s: float, now: float) -> None:
        """The audio up to `until_s`, now."""
        began = now - until_s
        if self._least is None or began < self.began:
            self.began = began
        if self._least is None or not self._least - SLIGHT_S <= began <= self._least + LEAP_S:
            self._least, self._from_s = began, until_s
        elif until_s >= self._from_s + SURE_S:
            if self._least > self.began + LEAP_S:
                self._before.append((self._from_s, self.began))
            self.began, self._least, self._from_s = min(self._least, began), began, until_s
        else:
            self._least = min(self._least, began)
