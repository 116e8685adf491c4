"""The audio of a reply that is on its way to the client: said, and not known to have arrived. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf

from voice.session.outgoing import AudioOut
from voice.turn.events import Missing

__all__ = ["InFlight"]

SOON_S = 0.3
"""What has not arrived so soon need not be late, whatever is asked: it may wait in a busy server."""


@dataclass(slots=True)
class _Piece:
    event: AudioOut
    said_at: float
    ends: float = inf
    """Where in what was written to the connection; not written yet."""


class InFlight:
    """Over one connection, of the last reply. `said_at` in seconds, places in bytes written to the connection.

    What has not arrived after `late_s` (0.3 s or more) is late. From then on it is told what is on its way, until
    nothing is.
    """

    def __init__(self, late_s: float) -> None:
        self._late_s = max(late_s, SOON_S)
        self._late = self._changed = False
        self._reply = ""
        self._pieces: deque[_Piece] = deque()

    def said(self, event: AudioOut, said_at: float) -> None:
        if event.reply != self._reply:
            self._reply = event.reply
            self._pieces.clear()
        if len(event.pcm):
            self._pieces.append(_Piece(event, said_at))
            self._changed = True

    def written(self, event: AudioOut, ends: int) -> None:
        """Some or all of it is written, as far as `ends`."""
        for piece in self._pieces:
            if piece.event is event:
                piece.ends = ends

    @property
    def idle(self) -> bool:
        """There is nothing to ask about."""
        return not self._pieces and not self._late

    def arrived(self, until: int) -> None:
        """The client's system has everything up to there."""
        while self._pieces and self._pieces[0].ends <= until:
            self._pieces.popleft()
            self._changed = True

    def news(self, now: float) -> Missing | None:
        """What is missing, if that is another than was told the last time."""
        before, self._late = self._late, bool(self._pieces) and (self._late or self._overdue(now))
        told, self._changed = before and not self._changed, False
        if told if self._late else not before:
            return None
        pieces = self._pieces if self._late else ()
        return Missing(self._reply, sum(len(piece.event.pcm) / piece.event.rate_hz for piece in pieces))

    def _overdue(self, now: float) -> bool:
        return self._pieces[0].said_at <= now - self._late_s
