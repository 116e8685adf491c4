"""The turn machine: who is speaking, when they have finished, what is said back, and when to stop. Pure.

The states and the table of transitions are in states.py; what each transition does is in the layers named in
floor.py. Here are the one way in, the work that came back, and time.

Two clocks. Hearing runs on the audio clock (`at_s`, seconds of the session's audio), so that a late packet does
not end a turn; playout and patience run on `now` (monotonic seconds). If audio stops coming, `now` takes over.

At most one revision lives. It is abandoned by number: whatever still arrives for it is dropped at the door
(`Answer.of`). Nothing of a revision is told, remembered or charged before it is confirmed.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

from voice.measuring.ledger import Stage
from voice.session.outgoing import ErrorOut, SpeechStarted, SpeechStopped, TextOut
from voice.turn.actions import Action
from voice.turn.ahead import Ahead
from voice.turn.endpointing import STALL_S, TurnPolicy
from voice.turn.events import (
    AddMessage,
    AudioClock,
    CancelResponse,
    Cleared,
    Closed,
    Committed,
    ConfigChanged,
    ContestDecided,
    DeleteItem,
    EchoHeard,
    HandedOver,
    InterruptAsked,
    PartialTranscript,
    PhraseSpotted,
    Respond,
    SpeechBegan,
    SpeechEnded,
    TakenOver,
    Tick,
    TranscriptFailed,
    TranscriptReady,
    Truncate,
    TurnEvent,
    TurnScored,
    Typed,
    WakeWord,
    WordLost,
)
from voice.turn.gate import Gate
from voice.turn.states import TABLE, State

__all__ = ["State", "TurnMachine"]


class TurnMachine(Ahead):
    """`step(event, now)` is the only way in; the actions it returns are to be carried out in order.

    `wakes_at` is when a Tick is wanted.
    """

    def step(self, event: TurnEvent, now: float) -> list[Action]:
        """Hear `event` at `now`; return what is to be done. Events for revisions that are gone change nothing."""
        out: list[Action] = []
        self._answer.out, self._now = out, now
        if self._closed:
            return out
        match event:
            case AudioClock():  # first: nearly all events are this one
                self._audio.hear(event.at_s, now)
                self._hear_level(event)
                self._dispatch(event)
                if self._lost is not None:
                    self._keep_lost(self._lost)
            case TranscriptReady():
                self._on_transcript(event)
            case ContestDecided():
                self._on_contest(event)
            case WordLost():
                self._on_lost(event)
            case TakenOver():
                self._on_taken_over()
            case HandedOver():
                self._on_handed_over()
            case PhraseSpotted():
                self._on_phrase(event)
            case TranscriptFailed():
                self._on_transcript_failed(event)
            case EchoHeard():
                self._on_echo(event)
            case TurnScored():
                scored = self._answer.of(event.revision)
                if scored is not None:
                    scored.over = event.probability
            case PartialTranscript():
                self._on_partial(event)
            case ConfigChanged():
                self._on_config(event)
            case Tick():
                self._on_tick()
            case Closed():
                self._answer.hang_up(now)
                self._out_of_band.close()
                self._closed = True
            case SpeechBegan():
                self._speaking = True
                self._hear_lost(event)
                if event.at_s >= self._used_s:  # else it is part of what was committed already
                    self._dispatch(event)
            case SpeechEnded():
                self._speaking = False
                self._hear_lost(event)
                self._dispatch(event)
            case InterruptAsked():
                self._wish = None  # a reply that has not begun is not wanted either
                self._dispatch(event)
            case WakeWord() | Typed() | Committed() | Cleared():
                self._dispatch(event)
            case Respond():
                self._on_respond(event)
            case CancelResponse():
                self._on_cancel(event)
            case Truncate():
                self._on_truncate(event)
            case AddMessage():
                self._on_add(event)
            case DeleteItem():
                self._on_delete(event)
            case _:  # what is left of the union is work that came back
                if not self._out_of_band.hear(event, now):
                    self._answer.hear(event, now)
        self._settle()
        return out

    @property
    def wakes_at(self) -> float | None:
        """When `step(Tick(), ...)` is wanted; None: only events matter now."""
        state, at = self.state, inf
        if state is State.PAUSE:
            at = self._pause_over_at()
        elif state is State.HEARING and self._policy.listening:
            at = self._audio.late_at(STALL_S) or inf
        elif state is State.JUDGING and self._overlap is not None:
            at = self._verdict_at(self._overlap)
        elif state is State.BRACED:
            at = self._brace.ends_at
        if self._answer.revision is not None:
            at = min(at, self._answer.wakes_at(self._now) or inf)
        if self._out_of_band.running:
            at = min(at, self._out_of_band.fails_at() or inf)
        if self._notes:
            at = min(at, self._notes_fail_at() or inf)
        return at if at < inf else None

    def _dispatch(self, event: TurnEvent) -> None:
        name = TABLE[type(event)].get(self.state)
        if name is not None:
            getattr(self, "_" + name)(event)

    # ---- a revision's way: transcript, tokens, speech -------------------------------------------------------

    def _on_transcript(self, event: TranscriptReady) -> None:
        event = replace(event, text=self._said(event.text))
        if self._overlap is not None and event.revision == self._overlap.revision:
            self._overlap.told(event.text)
            self._judge()
            return
        if self._overheard_settled(event.revision, event.text) or self._doubt_settled(event.revision, event.text):
            return
        revision, text = self._piece_of(event.revision, event.text), None
        if revision is None:
            revision, text = self._notes.get(event.revision) or self._answer.of(event.revision), event.text
        if revision is None or revision.answering or not revision.heard(text):
            return
        if revision.number in self._notes:
            revision.ledger.mark(Stage.TRANSCRIPT, self._now)
            self._land_notes()
            return
        revision.language = event.language
        self._learn_of(revision)
        revision.stir(self._now)
        revision.ledger.mark(Stage.TRANSCRIPT, self._now)
        if revision.confirmed:
            self._accept(revision)
        elif self._is_stop(revision):
            self._show()
        elif self._settings.speculate and self._policy.answers:
            self._show()
            request = self._admit(revision)
            if request.problem is None and request.text:
                revision.request = request.text
                self._answer.think(revision)

    def _on_transcript_failed(self, event: TranscriptFailed) -> None:
        if self._overlap is not None and event.revision == self._overlap.revision:
            self._overlap.told("")
            self._judge()
            return
        if self._overheard_settled(event.revision, "") or self._doubt_settled(event.revision, ""):
            return
        note = self._notes.get(event.revision)
        if note is not None:
            self._fail_note(note, event.code, event.message, event.hint)
            return
        if self._is_piece(event.revision):
            self._tell(ErrorOut(event.code, event.message, "a part of this turn is missing"))
            self._on_transcript(TranscriptReady(event.revision, ""))
            return
        revision = self._answer.of(event.revision)
        if revision is None or revision.answering:
            return
        if self.state is State.HEARING:  # it was a guess: the pause will ask again
            self._answer.abandon()
            return
        if not revision.confirmed:  # the user may go on; their words are in the ring
            revision.unheard = True
            return
        known = revision.turn is not None and revision.turn.known
        self._tell(ErrorOut(event.code, event.message, event.hint, item="" if known else revision.user_item))
        self._fail_unheard(revision, event.code)

    # ---- every step ends here -------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Order the next clause, send what is due, and notice that a reply is over."""
        if self._missed.from_s is not None:
            self._hear_missed()
        self._begin_early()
        if self._wish is not None:
            self._fulfil_wish()
        self._prepare_anew()
        self._tend_draft()
        reply = self._answer.reply
        if reply is None:
            return
        if self._answer.pump(self._now) and self.state is State.THINKING:
            revision = self._answer.revision
            if revision is not None and revision.spoke_s is None:
                revision.spoke_s = self._audio.s
            self._go(State.SPEAKING)
        if reply is not None and reply.is_over(self._now) and self.state in (State.THINKING, State.SPEAKING):
            self._tell(TextOut(reply.id, "", is_final=True))
            self._finish()
            self._hear_missed()

    def _finish(self) -> None:
        self._remember_said()
        self._answer.complete(self._now, interrupted=False)
        self._gate.follow_up(self._audio.s, self._policy.follow_up_s)
        self._rest()

    def _on_tick(self) -> None:
        if self.state is State.PAUSE and self._now >= self._pause_over_at():
            self._confirm()
        elif self.state is State.HEARING and self._now >= (self._audio.late_at(STALL_S) or inf):
            self._pause(SpeechEnded(self._audio.s))
        elif self.state is State.JUDGING:
            self._judge()
        elif self.state is State.BRACED and self._now >= self._brace.ends_at:
            self._relax()
        self._answer.tick(self._now)
        self._out_of_band.give_up(self._now)
        self._give_up_notes()
        revision = self._answer.revision
        if revision is not None and self._answer.overdue(self._now):
            if revision.failure != "reply_timeout":
                self._tell(ErrorOut("reply_timeout", "The answer did not come", "is the model loaded? try again"))
            excused, revision.failure = revision.failure == "reply_timeout", "reply_timeout"
            if revision.turn is not None and revision.text is None:
                self._fail_unheard(revision, "reply_timeout")
            elif self._overlap is not None:
                self._interrupt()
            elif excused or not self._answer.excuse(revision, self._now):
                self._finish()

    def _on_config(self, event: ConfigChanged) -> None:
        old, self.config = self.config, event.config
        self._answer.config = event.config
        listened = self._policy.listening
        self._policy = TurnPolicy(event.config, self._settings, self._habits, scoring=self._scoring)
        if listened and not self._policy.listening and self.state in (State.HEARING, State.PAUSE):
            self._leave_end_to_client()
        elif self._policy.listening and not listened and self._turn is not None and self.state is State.HEARING:
            # its end is a silence now, which may have come already; a voice that goes on is heard to begin anew
            self._speaking = False
            self._pause(SpeechEnded(self._turn.voiced_s or self._turn.from_s))
        if old.wake != event.config.wake:
            asleep, self._gate = self.state is State.ASLEEP, Gate(event.config.wake, self._audible)
            if self.state in (State.ASLEEP, State.IDLE):
                self._rest()
            if asleep and self.state is State.IDLE and self._speaking and self._policy.listening:
                self._begin_turn(self._audio.s)  # what is said from here on; what was said before was for nobody

    def _leave_end_to_client(self) -> None:
        """The open turn ends by its commit now, whatever silence has come. What was told of it is over: the client
        wants to hear no more of when speech starts and stops."""
        self._answer.abandon()
        turn, quiet_s, self._quiet_s = self._turn, self._quiet_s, None
        if turn is not None and turn.told:
            self._tell(SpeechStopped(self._audio.s if quiet_s is None else quiet_s, turn.item))
            self._tell(SpeechStarted(turn.from_s, turn.item))
        self._go(State.HEARING)
