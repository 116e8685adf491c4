"""The playout clock of one reply: what was handed to the client, and what it has played by now. Pure.

The client plays what it is sent, in order, at the speed of time; what was sent and not yet played is its *lead*.
We keep the lead short, so that an interruption finds little in the client's buffers, and so that the estimate
cannot be far off even for a client that reports nothing. A client that reports (`played`) corrects the clock.

Theory. Between two corrections position(now) = min(sent, anchor_position + (now - anchor_time)). Reaching `sent`
is an underrun: the clock stands there until more is sent, and starts again from that moment.
"""

from __future__ import annotations

__all__ = ["Playout"]

REPORT_TRUST_S = 1.0
"""Without a new report for this long, a reporting client is taken to play on at the speed of time again."""


class Playout:
    """All positions are seconds of the reply's audio; `now` is monotonic seconds."""

    __slots__ = (
        "_anchor_position",
        "_anchor_time",
        "_held",
        "_reported_at",
        "_reported_s",
        "_stopped_s",
        "lead_s",
        "sent_s",
    )

    def __init__(self, lead_s: float) -> None:
        self.lead_s = lead_s
        self.sent_s = 0.0
        self._anchor_position = 0.0
        self._anchor_time = 0.0
        self._held = False
        self._reported_at: float | None = None
        self._reported_s = 0.0
        self._stopped_s: float | None = None

    def position(self, now: float) -> float:
        """Seconds played by now; never more than was sent."""
        if self._stopped_s is not None:
            return self._stopped_s
        if self._held and self._reports(now):
            return self._anchor_position  # it knows how to pause: it stands still until resumed
        return min(self.sent_s, self._anchor_position + max(0.0, now - self._anchor_time))

    def room(self, now: float) -> float:
        """Seconds of audio that may be sent now; 0 while held."""
        if self._held:
            return 0.0
        return max(0.0, self.lead_s - (self.sent_s - self.position(now)))

    def sent(self, seconds: float, now: float) -> None:
        """`seconds` of audio were handed to the client."""
        self._anchor(self.position(now), now)  # after an underrun time starts again here
        self.sent_s += seconds

    def report(self, position_s: float, now: float) -> None:
        """The client says where it is. A report past what was sent is cut; the past cannot be unplayed."""
        self._reported_s = min(max(position_s, self._reported_s), self.sent_s)
        self._reported_at = now
        self._anchor(self._reported_s, now)

    def hold(self, now: float) -> None:
        """Send nothing until released. A client that reports also stops playing what it has."""
        self._anchor(self.position(now), now)
        self._held = True

    def release(self, now: float) -> None:
        """Go on from the very sample."""
        self._anchor(self.position(now), now)
        self._held = False

    def stop_at(self, position_s: float) -> None:
        """The client stopped playing there, for good."""
        self._stopped_s = min(max(0.0, position_s), self.sent_s)

    def empties_at(self, now: float) -> float:
        """When everything sent will have been played, if nothing more is sent."""
        return now + (self.sent_s - self.position(now))

    @property
    def held(self) -> bool:
        return self._held

    def _reports(self, now: float) -> bool:
        return self._reported_at is not None and (self._held or now - self._reported_at < REPORT_TRUST_S)

    def _anchor(self, position: float, now: float) -> None:
        self._anchor_position = position
        self._anchor_time = now
