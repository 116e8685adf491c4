"""A turn of a client that ends its turns itself, longer than the audio that is kept: transcribed in pieces. Pure.

Push-to-talk and dictation may go on for minutes. A piece is cut in a silence before `max_turn_s`, or at it; its words
are put before those of the rest when the turn is committed, and nothing of them is told before.
"""

from __future__ import annotations

from voice.turn.actions import Abandon, Listen, StopListening, Transcribe
from voice.turn.floor import Floor
from voice.turn.revision import Revision, Turn

__all__ = ["Pieces"]

EARLY = 5 / 6
"""Of the longest piece: from here on a silence cuts it."""
SILENCE_S = 0.3


class Pieces(Floor):
    """`_heads` of the floor are the pieces of what was not committed yet."""

    def _cut_pieces(self, turn: Turn, at_s: float) -> None:
        length_s, most_s = at_s - turn.from_s, self._policy.max_turn_s
        if length_s >= most_s or (length_s >= EARLY * most_s and at_s - turn.voiced_s >= SILENCE_S):
            piece = self._number()
            self._heads[piece] = None
            self._do(Transcribe(piece, turn.number, turn.from_s, at_s))
            self._do(StopListening(turn.number))
            turn.number, turn.from_s, turn.partial = self._number(), at_s, ""
            self._used_s = at_s
            self._do(Listen(turn.number, turn.from_s))

    def _drop_pieces(self) -> None:
        """The client wants none of what it has not committed."""
        for piece in self._heads:
            self._do(Abandon(piece))
        self._heads = {}

    def _piece_of(self, piece: int, text: str) -> Revision | None:
        """Take the transcript of a piece. The revision that waits for it, if it was one and the turn is over."""
        if piece in self._heads:
            self._heads[piece] = text
            return None
        for revision in (*self._notes.values(), self._answer.revision):
            if revision is not None and piece in revision.heads:
                revision.heads[piece] = text
                return revision
        return None

    def _is_piece(self, number: int) -> bool:
        waiting = (*self._notes.values(), self._answer.revision)
        return number in self._heads or any(each is not None and number in each.heads for each in waiting)
