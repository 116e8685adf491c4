"""Turns that are written down and not answered: dictation, or a client that asks for its answers itself. Pure.

Such a turn leaves the floor as soon as it is over, so that the user can go on speaking while it is transcribed.
"""

from __future__ import annotations

from typing import Literal

from llm.messages import Message
from voice.measuring.ledger import Stage
from voice.session.outgoing import ErrorOut, ItemDeleted, TranscriptOut, TurnNoted
from voice.turn.actions import Contest, PassOn, StopListening
from voice.turn.gate import Request
from voice.turn.history import Item
from voice.turn.no_request import ANSWER_S, says_nothing
from voice.turn.pieces import Pieces
from voice.turn.revision import Revision

__all__ = ["NOTE_TIMEOUT_S", "Noting"]

MAX_NOTES = 16
"""Turns in transcription at once. More means a recogniser that does not keep up: the oldest is given up, and told."""
NOTE_TIMEOUT_S = 60.0


class Noting(Pieces):
    """Notes enter the conversation in the order in which they were spoken."""

    def _note(self, revision: Revision) -> None:
        """Take a confirmed revision off the floor, if it has it."""
        if self._answer.revision is revision:
            self._answer.revision = None
        self._drop_prepared(revision)
        if len(self._notes) >= MAX_NOTES:
            self._fail_note(next(iter(self._notes.values())), "stt_overloaded", "The recogniser does not keep up", "")
        self._notes[revision.number] = revision
        if self._answer.revision is None:
            self._rest()
        self._land_notes()

    def _note_awaited(self) -> None:
        """What was said is over and its words are awaited: they are written down, whatever the user does next."""
        revision, kept = self._answer.revision, (self._quiet_s, self._watched_s)
        if revision is not None and revision.awaits_words and self._overlap is None:
            self._note(revision)
            self._quiet_s, self._watched_s = kept

    def _land_notes(self) -> None:
        while self._notes:
            number, revision = next(iter(self._notes.items()))
            if revision.text is None:
                return
            del self._notes[number]
            request = self._admit(revision)
            self._stop_listening(revision)
            if request.problem is None and request.text:
                self._tell(TranscriptOut(request.text, True, revision.user_item))
                words = Item(revision.user_item, Message("user", request.text))
                self._answer.remember(words, revision.user_after)
                self._noted(revision)
            else:
                self._turn_away(revision, request)

    def _fail_note(self, revision: Revision, code: str, message: str, hint: str) -> None:
        if revision.turn is not None and revision.turn.known:  # the first words were known before the user went on
            self._answer.stop_work(revision)
            revision.text = revision.turn.known
            revision.stir(self._now)
            self._tell(ErrorOut(code, message, "a part of this turn is missing"))
            self._land_notes()
            return
        del self._notes[revision.number]
        self._answer.stop_work(revision)
        self._stop_listening(revision)
        self._tell(ErrorOut(code, message, hint, item=revision.user_item))
        self._tell(ItemDeleted(revision.user_item))
        self._noted(revision, code)
        self._land_notes()

    def _noted(self, revision: Revision, code: str = "") -> None:
        """The turn has had no answer, and is over. `code`: of the error that it failed with."""
        revision.ledger.mark(Stage.DONE, self._now)
        status: Literal["transcribed", "failed"] = "failed" if code else "transcribed"
        self._tell(TurnNoted(revision.user_item, status, code, revision.ledger.milliseconds()))

    def _speaks_to_nobody(self, revision: Revision, words: str) -> bool:
        """A hum or a grunt, without a wake word, and long after we spoke, which was no question."""
        turn = revision.turn
        if turn is None or turn.known or revision.quiet_s is None:  # it goes on, or the client ended it
            return False
        ours = [item.message.content for item in self.history.items if item.message.role == "assistant"]
        lately = not self._own.said or turn.from_s < self._own.said_until_s + ANSWER_S
        answers = ours and (lately or ours[-1].rstrip().endswith("?"))
        return not answers and not self._gate.enabled and says_nothing(words)

    def _turn_away(self, revision: Revision, request: Request) -> None:
        """A turn that is no request: tell what the client must know of it, and open the gate if it was woken."""
        turn = revision.turn
        if turn is not None and turn.told and not revision.text:
            # speech was announced: say that no words were made out
            self._tell(TranscriptOut("", True, revision.user_item))
        self._refuse(request, typed=False)
        if revision.user_item:
            self._tell(ItemDeleted(revision.user_item))
        if request.problem == "empty_request" and not self._gate.may_open:
            self._do(PassOn())
        if turn is not None and self._gate.may_open:
            told = request.problem == "empty_request"
            if turn.woken or told:
                self._gate.woken_alone(self._audio.s, told=told)

    def _contested(self, revision: Revision, request: Request) -> bool:
        """Another device of the user may have heard its wake word: whether that is so is asked first. Who needs no
        word may have missed one."""
        turn = revision.turn
        if turn is None or turn.called or revision.won or not self._gate.enabled:
            return False
        until_s = self._used_s if revision.quiet_s is None else revision.quiet_s
        from_s = turn.from_s + self._policy.preroll_s
        if turn.known and turn.went_on_s is not None:
            from_s = turn.went_on_s  # what was said before that is known to be for this device
        revision.contested = True
        self._do(Contest(revision.number, request.word, from_s, until_s, bool(request.text)))
        return True

    def _notes_fail_at(self) -> float | None:
        return min((note.progress_at + NOTE_TIMEOUT_S for note in self._notes.values()), default=None)

    def _give_up_notes(self) -> None:
        for note in list(self._notes.values()):
            if self._now >= note.progress_at + NOTE_TIMEOUT_S:
                self._fail_note(note, "stt_timeout", "The transcript did not come", "is the recogniser loaded?")

    def _stop_listening(self, revision: Revision) -> None:
        if revision.turn is not None:
            self._do(StopListening(revision.turn.number))
