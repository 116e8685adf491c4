"""The playout clock of one reply: what was handed to the client, and what it has played by now. Pure.

The client plays what it is sent, in order, at the speed of time; what was sent and not yet played is its *lead*.
We keep the lead short, so that an interruption finds little in the client's buffers, and so that the estimate
cannot be far off even for a client that reports nothing. A client that reports (`played`) corrects the clock, and
shows how far its loudspeaker lags behind our sending: the next reply's clock starts that much later.

The history is another matter than pacing: it may hold a word less than was played, and none more. `heard(now)` is
what a client that reports nothing has played for certain, if what it is sent takes no longer than `unsure_s` to be
heard. What the network takes does not count in that: who is told to stop is told as late as it was told to play.
A network that stalls is another matter: what is known not to have arrived (`missing`) was not played.

Theory. Between two corrections position(now) = min(arrived, anchor_position + (now - anchor_time)), where all that
was sent has arrived unless we are told better. Reaching `arrived` is an underrun: the clock stands there until more
is sent or arrives, and starts again a lag after that moment.
"""

from __future__ import annotations

__all__ = ["Playout"]

MAX_LAG_S = 2.0
SLIP_S = 0.25
"""A report may be so far off what is possible: clients round, and count what they have decoded."""

REPORT_TRUST_S = 1.0
"""Without a new report for this long, a reporting client is taken to play on at the speed of time again."""

STALE_S = 1.5
MAX_STALE_S = 5.0
"""A reporting client that has been silent for so long, or twice its longest pause between two reports, may play no
more: what it was sent since does not count as heard for certain."""

MAX_SLOW_S = 2.0
"""Over a link on which everything comes late, or that stalled, audio is sent so much earlier at most: a link that is
slow for good keeps its pace, and one that stalls holds no more than this."""
LOOK_AGAIN_S = 0.1
"""Whether what is missing has arrived."""


class Playout:
    """All positions are seconds of the reply's audio; `now` is monotonic seconds."""

    __slots__ = (
        "_anchor_position",
        "_anchor_time",
        "_arrived_s",
        "_certain_s",
        "_gap_s",
        "_held",
        "_moved_at",
        "_reported_at",
        "_reported_s",
        "_started_at",
        "_stood_s",
        "_stopped_s",
        "_unbroken",
        "lag_s",
        "lead_s",
        "sent_s",
        "unsure_s",
    )

    def __init__(self, lead_s: float, lag_s: float = 0.0, *, unsure_s: float = 0.0) -> None:
        self.lead_s = lead_s
        self.unsure_s = unsure_s
        self.lag_s = lag_s
        """How long what is sent takes to be heard, as far as is known."""
        self.sent_s = 0.0
        self._arrived_s: float | None = None  # all that was sent
        self._anchor_position = 0.0
        self._anchor_time = 0.0
        self._certain_s = 0.0
        self._held = False
        self._reported_at: float | None = None
        self._reported_s = 0.0
        self._gap_s = 0.0  # the longest between two reports
        self._moved_at = 0.0  # when a report showed that something was played, or it could not have
        self._stopped_s: float | None = None
        self._started_at: float | None = None
        self._stood_s = 0.0  # so long the clock waited for what was sent to arrive, until the last time it did
        self._unbroken = True

    def position(self, now: float) -> float:
        """Seconds played by now; never more than was sent, and has arrived as far as is known."""
        if self._stopped_s is not None:
            return self._stopped_s
        if self._held and self._reports(now):
            return self._anchor_position  # it knows how to pause: it stands still until resumed
        return min(self.arrived_s, self._anchor_position + max(0.0, now - self._anchor_time))

    def heard(self, now: float) -> float:
        """Seconds that were played by now for certain; `position` where the client reports."""
        if self._stopped_s is not None:
            return self._stopped_s
        if self._reported_at is not None:
            trusted_s = 0.0 if self.stands(now) else min(MAX_STALE_S, max(STALE_S, 2 * self._gap_s))
            return min(self.position(now), max(self._certain_s, self._reported_s + trusted_s))
        certain_s = self._anchor_position + now - self._anchor_time - self.unsure_s
        return min(self.arrived_s, max(self._certain_s, certain_s))

    def stands(self, now: float) -> bool:
        """The client goes on reporting the same place, though it has more to play: it does not any more."""
        reports = self._reported_at is not None and not self._held and now - self._reported_at < REPORT_TRUST_S
        return reports and now - self._moved_at >= MAX_STALE_S

    def room(self, now: float) -> float:
        """Seconds of audio that may be sent now; 0 while held."""
        if self._held:
            return 0.0
        slow_s = min(self._stood_s + self._stands_s(now), MAX_SLOW_S)
        return max(0.0, self.lead_s + self.lag_s + slow_s - (self.sent_s - self.position(now)))

    def sent(self, seconds: float, now: float) -> None:
        """`seconds` of audio were handed to the client."""
        position = self.position(now)
        if position >= self.sent_s:  # the first audio, or an underrun: time starts again here
            self._unbroken = self._started_at is None
            self._started_at = now if self._started_at is None else self._started_at
            self._anchor(position, now, self.lag_s)
            self._moved_at = now
        self.sent_s += seconds

    def missing(self, seconds: float, now: float) -> None:
        """The last `seconds` of what was sent have not arrived, though they should have; 0: they have."""
        position, arrived_s = self.position(now), max(0.0, self.sent_s - seconds)
        if self.arrived_s <= position < arrived_s:  # it ran dry, and goes on here
            self._unbroken = False
            self._stood_s += self._stands_s(now)
            self._anchor(position, now, self.lag_s)
            self._moved_at = now
        self._arrived_s = arrived_s if seconds > 0 else None

    def report(self, position_s: float, now: float) -> None:
        """The client says where it is. The past cannot be unplayed, and nothing is played before it is sent, or
        faster than time passes (but for our lead: it may have skipped). What is off by more than `SLIP_S` is no
        clock of this audio and is ignored: it must neither stop what is sent nor let it run away.
        """
        if self._started_at is None or not self._reported_s - SLIP_S <= position_s <= self.sent_s + SLIP_S:
            return
        played_s = min(position_s, self.sent_s, now - self._started_at + self.lead_s)
        if played_s > self._reported_s or self._held:
            self._moved_at = now
        self._reported_s = max(played_s, self._reported_s)
        if 0 < position_s < self.sent_s and self._unbroken and not self._held and self._started_at is not None:
            self.lag_s = min(max(0.0, now - self._started_at - position_s), MAX_LAG_S)
        if self._reported_at is not None:
            self._gap_s = max(self._gap_s, now - self._reported_at)
        self._reported_at = now
        self._anchor(self._reported_s, now)

    def hold(self, now: float) -> None:
        """Send nothing until released. A client that reports also stops playing what it has."""
        self._anchor(self.position(now), now)
        self._held, self._unbroken = True, False

    def release(self, now: float) -> None:
        """Go on from the very sample."""
        self._anchor(self.position(now), now)
        self._held, self._moved_at = False, now

    def stop_at(self, position_s: float) -> None:
        """The client stopped playing there, for good."""
        self._stopped_s = min(max(0.0, position_s), self.sent_s)

    def empties_at(self, now: float) -> float:
        """When everything sent will have been played, if nothing more is sent and what is missing comes soon."""
        return now + max(self.sent_s - self.position(now), LOOK_AGAIN_S if self._arrived_s is not None else 0.0)

    @property
    def ends_s(self) -> float:
        """So much of it can have been played at most: all that was sent, or up to where the client stopped."""
        return self.sent_s if self._stopped_s is None else self._stopped_s

    @property
    def arrived_s(self) -> float:
        """What the client has of it, as far as is known."""
        return self.sent_s if self._arrived_s is None else self._arrived_s

    @property
    def held(self) -> bool:
        return self._held

    def _stands_s(self, now: float) -> float:
        """How long the clock has been waiting for what was sent to arrive."""
        if self._arrived_s is None:
            return 0.0
        return max(0.0, now - self._anchor_time - (self._arrived_s - self._anchor_position))

    def _reports(self, now: float) -> bool:
        return self._reported_at is not None and (self._held or now - self._reported_at < REPORT_TRUST_S)

    def _anchor(self, position: float, now: float, late_s: float = 0.0) -> None:
        self._certain_s = self.heard(now)
        self._anchor_position = position
        self._anchor_time = now + late_s
