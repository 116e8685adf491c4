"""What is done with a turn's words before they are known for sure: shown, read ahead, and answered. Pure.

Words on which two looks at the recogniser agree are read by the model while the user speaks. Where they may be all of
the request, they are answered: unheard, as a *draft* beside the turn's revision, which takes it over if the
transcript says the same. That is done only where a session's partial words have been right (foresight.py).
"""

from __future__ import annotations

from voice.agreement import agreed
from voice.session.outgoing import TranscriptOut
from voice.turn.back_channels import words_of
from voice.turn.bargein import is_phrase
from voice.turn.events import PartialTranscript
from voice.turn.phantoms import without_phantoms
from voice.turn.requests import Requests
from voice.turn.revision import Revision, Turn
from voice.turn.states import State
from voice.turn_detection.unfinished import unfinished

__all__ = ["Ahead"]

READ_EVERY_S = 0.5
"""While the user speaks the model is given more to read at most this often."""
MOST_DRAFTS = 2
"""So often a turn's words may seem to be all while the voice goes on."""


class Ahead(Requests):
    """Nothing of it is told, remembered or charged, but the words that are shown."""

    def _on_partial(self, event: PartialTranscript) -> None:
        if self._overlap is not None and event.turn == self._overlap.turn.number:
            return  # it is asked for more than that
        turn, text = self._turn, self._said(event.text)
        if turn is not None and event.turn == turn.number and text != turn.partial:
            self._read_stable(turn, text)
            turn.partial = text
            heard = text and self.state in (State.HEARING, State.PAUSE) and turn.told
            if heard and not self._adds_nothing(turn, text):
                self._tell(TranscriptOut(text, False, turn.item))
            self._suppose(turn, text, again=False)
        elif turn is not None and event.turn == turn.number:
            self._suppose(turn, text, again=True)
        elif (revision := self._awaiting(event.turn)) is not None and revision.turn is not None:
            self._suppose(revision.turn, text, again=False)

    def _said(self, text: str) -> str:
        """What of it was said, by all that is known of recognisers. Who dictates is taken at their word."""
        return text if self.config.transcribe_only else without_phantoms(text)

    def _adds_nothing(self, turn: Turn, text: str) -> bool:
        """The client was told that this is a stop, by a better ear for single words."""
        stop = turn.over_reply and is_phrase(turn.spotted, self._stops)
        return stop and len(text.split()) <= len(turn.spotted.split()) + 1

    def _read_stable(self, turn: Turn, text: str) -> None:
        """Two partial transcripts that agree on a beginning are right about it most of the time."""
        stable = agreed(turn.partial, text)
        free = self._answer.revision is None and self._answer.draft is None
        due = free and self._now >= turn.read_at + READ_EVERY_S
        if due and len(stable) > len(turn.read) and self.state is State.HEARING:
            self._read_ahead(turn, stable)

    # ---- answers to words that are supposed -----------------------------------------------------------------

    def _awaiting(self, turn: int) -> Revision | None:
        """The revision whose words are awaited, if they are that turn's."""
        revision = self._answer.revision
        awaits = revision is not None and revision.turn is not None and revision.text is None
        ours = awaits and revision is not None and revision.turn is not None and revision.turn.number == turn
        return revision if ours and revision is not None and not revision.answering else None

    def _suppose(self, turn: Turn, text: str, *, again: bool) -> None:
        """The turn's words may be these. They are answered if they are likely to be all of it: the voice fell, and
        the transcript is awaited, or two looks at the recogniser gave the same (`again`)."""
        draft, words = self._answer.draft, words_of(text)
        if draft is not None and words_of(turn.supposed) != words:
            self._answer.drop_draft()  # there are more of them
        awaited = self._awaiting(turn.number) is not None
        early = self.state is State.HEARING and self._policy.listening and turn.drafts < MOST_DRAFTS
        asked = self._settings.speculate and self._policy.answers and (turn.told or turn.woken)
        if not (asked and (awaited or (again and early and self._answer.revision is None))):
            return
        if unfinished(text) or (turn.over_reply and is_phrase(text, self._stops)) or turn.missed:
            return
        request = self._gate.admit(text, woken=turn.woken, typed=False, at_s=self._audio.s)
        if request.problem is not None or not request.text:
            return
        turn.supposed = text
        if self._foresight.sure and self._answer.draft is None and self._wish is None:
            turn.drafts += not awaited
            self._answer.think_ahead(self._number(), turn, request.text, self._now)

    def _learn_of(self, revision: Revision) -> None:
        """Its transcript has come: was it what was supposed?"""
        turn = revision.turn
        if turn is not None and turn.supposed:
            self._foresight.learn(words_of(turn.supposed) == words_of(revision.text or ""))
            turn.supposed = ""

    def _tend_draft(self) -> None:
        """Its words are spoken, as long as there is a turn that they may answer."""
        draft, revision = self._answer.draft, self._answer.revision
        if draft is None:
            return
        unanswered = revision is not None and revision.turn is draft.turn and not revision.answering
        if draft.turn is self._turn or unanswered:  # another device may have heard its wake word better
            self._answer.pump_draft(self._now)
        else:
            self._answer.drop_draft()
