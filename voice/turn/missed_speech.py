"""Speech over a reply that it may not interrupt: it is heard when the reply is over. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MissedSpeech"]


@dataclass(slots=True)
class MissedSpeech:
    """Places in the audio, in seconds."""

    from_s: float | None = None
    """None: none was missed."""
    until_s: float | None = None
    """Where the last one fell silent, heard by now or not; None: it goes on."""

    def began(self, at_s: float) -> None:
        """What comes again after a gap is the same speech."""
        if self.from_s is None:
            self.from_s = at_s
        self.until_s = None

    def ended(self, at_s: float) -> None:
        self.until_s = at_s

    def replace(self, from_s: float, until_s: float | None) -> None:
        """What was judged, and is not over or not understood."""
        self.from_s, self.until_s = from_s, until_s

    def forget(self) -> None:
        self.from_s = None

    def quiet_s(self, at_s: float) -> float:
        """How long the last one had been over; 0 while it goes on."""
        return 0.0 if self.until_s is None else at_s - self.until_s
