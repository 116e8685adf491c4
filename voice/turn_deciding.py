"""When the user has finished, and what becomes of the answer then: pause, confirm, accept, interrupt. Pure."""

from __future__ import annotations

from voice.actions import Abandon, StopListening
from voice.endpointing import ALONE_S
from voice.events import AudioClock, SpeechBegan, SpeechEnded
from voice.ledger import Stage
from voice.outgoing import ErrorOut, SpeechStarted, SpeechStopped, TranscriptOut
from voice.revision import Revision
from voice.turn_floor import Floor
from voice.turn_states import State

__all__ = ["Deciding"]


class Deciding(Floor):
    """The user's turn from its first sound to its answer, or to its end without one."""

    def _open_turn(self, event: SpeechBegan) -> None:
        self._begin_turn(self._with_preroll(event.at_s), woken=self._gate.is_open(event.at_s))

    def _pause(self, event: SpeechEnded) -> None:
        """The voice fell silent: begin to answer, unheard, in case this was all."""
        turn = self._turn
        if turn is None or not self._manners.listening:
            return
        if turn.woken and self._gate.opens and event.at_s <= turn.from_s + ALONE_S:
            self._drop_turn()
            self._gate.woken_alone(self._audio.s)
            self._rest()
            return
        self._quiet_s, self._paused_at = event.at_s, self._now
        self._start_revision(turn, None, event.at_s)
        self._go(State.PAUSE)

    def _go_on(self, event: SpeechBegan) -> None:
        """The user was only pausing: what was prepared is for the bin, their audio is not."""
        self._answer.abandon()
        self._go(State.HEARING)

    def _pause_clock(self, event: AudioClock) -> None:
        silence_s = event.at_s - (self._quiet_s or 0.0)
        if not event.voiced and silence_s >= self._manners.silence_s:
            self._confirm()

    def _hearing_clock(self, event: AudioClock) -> None:
        """The absolute deadline of a turn: a television, a fan, a key that is held down."""
        if self._turn is None or event.at_s - self._turn.from_s < self._manners.max_turn_s:
            return
        if self._manners.listening:
            self._quiet_s = event.at_s
            self._start_revision(self._turn, None, None)
            self._confirm()
        else:
            self._drop_turn()  # a commit still takes what is kept of the audio
            self._rest()

    def _idle_clock(self, event: AudioClock) -> None:
        if self._gate.expired(event.at_s):
            self._tell(ErrorOut("empty_request", "The wake word was heard and nothing after it", "say it again"))
        if self._gate.shut(event.at_s):
            self._rest()

    # ---- is it over? ---------------------------------------------------------------------------------------

    def _confirm(self) -> None:
        """The user has finished. From here on the answer may be heard."""
        revision, turn = self._answer.revision, self._turn
        if revision is None:
            return
        revision.confirmed, revision.progress_at = True, self._now
        revision.ledger.mark(Stage.ENDPOINT, self._now)
        if turn is not None:
            # up to the end of the speech only: an onset that is not yet known may lie in the silence
            self._used_s = revision.until_s if revision.until_s is not None else self._quiet_s or self._audio.s
        if turn is not None and turn.told:
            self._tell(SpeechStopped(self._quiet_s if self._quiet_s is not None else self._audio.s))
        self._turn = self._quiet_s = None
        self._go(State.THINKING)
        if revision.text is not None:
            self._accept(revision)

    def _accept(self, revision: Revision) -> None:
        """Confirmed and transcribed: is there a request in it?"""
        request = self._admit(revision)
        if request.problem is not None or not request.text:
            if revision.turn is not None and revision.turn.told and not revision.text:
                self._tell(TranscriptOut("", True))  # speech was announced: say that no words were made out
            self._refuse(request, typed=False)
            if revision.turn is not None and revision.turn.woken and self._gate.opens:
                self._gate.woken_alone(self._audio.s)
            self._no_answer()
            return
        if revision.turn is not None:
            self._do(StopListening(revision.turn.number))
        revision.request = request.text
        self._tell(TranscriptOut(request.text, True))
        self._give_answer(revision)

    def _give_answer(self, revision: Revision) -> None:
        if revision.reply is None:
            self._answer.think(revision)
        if revision.reply is not None:
            revision.reply.release()
            if self.state is State.JUDGING:
                revision.reply.playout.hold(self._now)
        if self.state is not State.JUDGING:
            self._go(State.THINKING)

    def _no_answer(self) -> None:
        """There was nothing to answer: a sound that was being judged is the user's turn then."""
        revision = self._answer.revision
        if revision is not None and revision.turn is not None:
            self._do(StopListening(revision.turn.number))
        self._answer.abandon()
        if self._outcry is not None:
            self._interrupt()
        else:
            self._drop_turn()
            self._rest()

    def _interrupt(self) -> None:
        """Stop the answer, whatever of it there is. The sound that did it, if one did, becomes the open turn."""
        revision, sound = self._answer.revision, self._outcry
        self._outcry = None
        # nothing had been sent when the sound began: the user was not answering, they were going on
        merged = revision is not None and sound is not None and not sound.over_speech and revision.turn is not None
        if revision is not None and revision.confirmed:
            self._answer.complete(self._now, interrupted=True, remembered=not merged)
        else:
            self._answer.abandon()
        if sound is None:
            return
        self._do(Abandon(sound.revision))
        if merged and revision is not None and revision.turn is not None:
            self._do(StopListening(sound.turn.number))
            self._begin_turn(revision.turn.from_s, woken=revision.turn.woken)
        else:
            self._turn = sound.turn
            self._turn.told = True
            self._tell(SpeechStarted(sound.turn.from_s))
            self._go(State.HEARING)
        if sound.ended and self._turn is not None and self._quiet_s is not None:
            self._start_revision(self._turn, None, self._quiet_s)
            self._go(State.PAUSE)
