"""What the client asks for: typed turns, the end of a turn, silence. Pure."""

from __future__ import annotations

from voice.actions import Listen
from voice.endpointing import ALONE_S
from voice.events import Cleared, Committed, InterruptAsked, Typed
from voice.ledger import Stage
from voice.outgoing import ErrorOut, TranscriptOut
from voice.revision import Turn
from voice.turn_states import State
from voice.turn_waking import Waking

__all__ = ["Requests"]


class Requests(Waking):
    """A client's word goes before what the ears make of the sound."""

    def _typed(self, event: Typed) -> None:
        request = self._gate.admit(event.text, woken=False, typed=True, at_s=self._audio.s)
        if request.problem is not None or not request.text:
            self._refuse(request, typed=True)
            return
        self._interrupt()
        self._drop_turn()
        revision = self._start_revision(None, None, None)
        revision.text = event.text
        revision.request = request.text
        revision.confirmed = True
        revision.ledger.mark(Stage.ENDPOINT, self._now)
        self._tell(TranscriptOut(request.text, True))
        self._give_answer(revision)

    def _commit(self, event: Committed) -> None:
        """The client ends the turn: the open one, or in manual mode all audio since the last."""
        if self.state is State.PAUSE:
            self._confirm()
            return
        answering = self.state in (State.THINKING, State.SPEAKING, State.JUDGING)
        if answering and self._manners.listening and self._outcry is None:
            return  # a client with its own endpointing, a little later than ours
        began = self._outcry.turn.from_s if self._outcry is not None else None
        self._interrupt()
        if self._turn is None:
            from_s = began if began is not None else max(self._used_s, event.at_s - self._manners.max_turn_s)
            if event.at_s - from_s < ALONE_S / 2:
                self._tell(ErrorOut("empty_audio", "There is no audio to commit", "send audio before end_turn"))
                return
            self._turn = Turn(self._number(), from_s, woken=self.state is not State.ASLEEP)
            self._do(Listen(self._turn.number, from_s))
        self._quiet_s = event.at_s
        self._start_revision(self._turn, None, None)
        self._confirm()
        self._used_s = event.at_s

    def _stop(self, event: InterruptAsked) -> None:
        self._interrupt()
        if self._turn is None:
            self._rest()

    def _clear(self, event: Cleared) -> None:
        self._used_s = event.at_s
        if self.state in (State.HEARING, State.PAUSE):
            self._answer.abandon()
            self._drop_turn()
            self._rest()
