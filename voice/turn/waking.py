"""Wake words: a session that is asleep only watches, and a word that was heard opens it. Pure."""

from __future__ import annotations

from voice.session.outgoing import ErrorOut, WakeLost, WakeOut, WakeWordRequired
from voice.turn.actions import Erase
from voice.turn.endpointing import ALONE_S, POST_PATIENCE_S
from voice.turn.events import AudioClock, ContestDecided, SpeechBegan, SpeechEnded, WakeWord, WordLost
from voice.turn.judging import Judging
from voice.turn.states import State
from voice.turn.wake_text import cut

__all__ = ["Waking"]


class Waking(Judging):
    """Who may pass is decided in gate.py."""

    def _watch(self, event: SpeechBegan) -> None:
        if self._watched_s is None:
            self._watched_s = event.at_s
        self._quiet_s = None

    def _watched_pause(self, event: SpeechEnded) -> None:
        self._quiet_s = event.at_s

    def _watch_clock(self, event: AudioClock) -> None:
        patience_s = max(self._policy.silence_s, POST_PATIENCE_S if self._gate.mode == "post" else 0.0)
        if self._watched_s is not None and self._quiet_s is not None and event.at_s - self._quiet_s >= patience_s:
            self._watched_s = self._quiet_s = None
            self._tell(WakeWordRequired("Say the wake word to talk to me"))

    def _wake(self, event: WakeWord) -> None:
        if not self._gate.enabled:
            return
        reply = self._answer.reply
        saying = reply.said(0.0) if reply is not None else self._own.said
        if self._may_be_us(event.start_s) and cut(saying, (event.word,), "mid").found:
            return  # we said it ourselves
        self._tell(WakeOut(event.word, event.score, event.end_s))
        self._note_awaited()
        if self.state in (State.THINKING, State.SPEAKING, State.BRACED, State.JUDGING):
            self._interrupt(anew=self._gate.mode != "mid")
        watched, self._watched_s = self._watched_s, None
        quiet = None if self._speaking else self._quiet_s
        began = self._turn.from_s if self._turn is not None else watched
        if self._gate.mode != "mid":
            self._keep_known()
        match self._gate.mode:
            case "pre":
                self._drop_turn()
                self._used_s = max(self._used_s, event.end_s)
                if self._speaking or (quiet is not None and quiet > event.end_s + ALONE_S):
                    self._begin_turn(event.end_s, woken=True)
                    self._pause_if(quiet)
                else:
                    self._gate.woken_alone(self._audio.s)
                    self._rest()
            case "post" if began is None or event.start_s - began < ALONE_S:
                self._drop_turn()
                self._tell(ErrorOut("empty_request", "Nothing was said before the wake word", "say it, then wake me"))
                self._rest()
            case "post" if began is not None:
                self._drop_turn()
                began = max(began, event.start_s - self._policy.max_turn_s)
                self._turn = self._new_turn(self._with_preroll(began), True)
                self._quiet_s = event.start_s
                self._start_revision(self._turn, event.start_s, event.start_s)
                self._confirm()
                self._used_s = event.end_s
            case _ if self._turn is not None:
                self._turn.woken = True
            case _ if began is not None:
                # the word stands among others, where no cut of the audio takes it out
                self._do(Erase(event.start_s, event.end_s))
                # of a television that has been watched for minutes there is no more than leaves room for a request
                began = max(began, event.start_s - self._policy.max_turn_s / 2)
                self._begin_turn(self._with_preroll(began), woken=True)
                self._pause_if(quiet)
            case _:
                self._gate.woken_alone(self._audio.s)
                self._rest()

    # ---- several devices ------------------------------------------------------------------------------------

    def _on_contest(self, event: ContestDecided) -> None:
        revision = self._answer.of(event.revision)
        if revision is None or revision.answering or not revision.confirmed:
            return
        if event.won:
            revision.won = True
            self._accept(revision)
        else:
            self._lose(self._admit(revision).word)

    def _on_lost(self, event: WordLost) -> None:
        """In a follow-up window the request may be open here, or be thought about, as if it needed no wake word."""
        revision, turn = self._answer.revision, self._turn
        ours = turn is not None and turn.from_s < event.end_s
        if revision is not None and revision.confirmed and revision.turn is not None:
            ours = revision.turn.from_s < event.end_s and self._used_s > event.start_s
        if ours:
            self._lose(event.word)
            return
        self._gate.close()
        self._tell(WakeLost(event.word, event.end_s))
        if self._overlap is not None and self._overlap.onset_s < event.end_s:
            self._resume(self._overlap)
        elif self.state in (State.IDLE, State.ASLEEP):
            self._rest()

    def _lose(self, word: str) -> None:
        """Another device answers what the user is saying: forget it."""
        revision, overlap = self._answer.revision, self._overlap
        self._gate.close()
        self._tell(WakeLost(word, self._audio.s))
        self._used_s = max(self._used_s, self._quiet_s or 0.0)
        self._drop_turn()
        if revision is not None and revision.confirmed:
            self._stop_listening(revision)
            self._answer.complete(self._now, interrupted=True, remembered=False, reason="turn_detected")
        if overlap is None:
            self._rest()
        else:
            overlap.turn.woken = False  # the word that it follows called the other device
            self._interrupt()

    def _pause_if(self, quiet_s: float | None) -> None:
        """The speech of a turn that is opened late may be over already."""
        if quiet_s is not None and not self._speaking:
            self._pause(SpeechEnded(quiet_s))
