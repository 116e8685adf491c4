"""Wake words: a session that is asleep only watches, and a word that was heard opens it. Pure."""

from __future__ import annotations

from dataclasses import replace

from voice.session.outgoing import ErrorOut, WakeLost, WakeOut, WakeWordRequired
from voice.turn.actions import Erase, Offer, PassOn
from voice.turn.endpointing import ALONE_S, POST_PATIENCE_S
from voice.turn.events import AudioClock, ContestDecided, SpeechBegan, SpeechEnded, WakeWord, WordLost
from voice.turn.judging import Judging
from voice.turn.lost_request import LostRequest
from voice.turn.states import State
from voice.turn.wake_text import cut

__all__ = ["Waking"]

KNOWN_S = 0.6
"""A wake word is known so long after its end, where several devices of the user contend for it."""
TAIL_S = 0.2
"""After the end of a voice, of what the recogniser is given: a soft last consonant."""


class Waking(Judging):
    """Who may pass is decided in gate.py."""

    def _watch(self, event: SpeechBegan) -> None:
        if self._watched_s is None:
            self._watched_s = event.at_s
        self._quiet_s = None

    def _watched_pause(self, event: SpeechEnded) -> None:
        self._quiet_s = event.at_s

    def _watch_clock(self, event: AudioClock) -> None:
        patience_s = max(self._policy.silence_s, POST_PATIENCE_S if self._gate.mode == "post" else KNOWN_S)
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
        self._lost, self._word = None, event.word
        self._tell(WakeOut(event.word, event.score, event.end_s))
        if self._stands_in_request(event):
            return
        self._note_awaited()
        if self.state in (State.THINKING, State.SPEAKING, State.BRACED, State.JUDGING):
            self._interrupt(anew=self._gate.mode != "mid")
        began, self._watched_s = self._began_s, None
        quiet = None if self._speaking else self._quiet_s
        if self._gate.mode != "mid":
            self._keep_known(event.start_s if self._gate.opens else None)
        match self._gate.mode:
            case "pre":
                self._drop_turn()
                self._used_s = max(self._used_s, event.end_s)
                if self._speaking or (quiet is not None and quiet > event.end_s + ALONE_S):
                    self._begin_turn(event.end_s, woken=True, called=True)
                    self._pause_if(quiet)
                else:
                    self._gate.woken_alone(self._audio.s)
                    self._rest()
            case "post" if began is None or event.start_s - began < ALONE_S:
                self._drop_turn()
                self._tell(ErrorOut("empty_request", "Nothing was said before the wake word", "say it, then wake me"))
                self._do(PassOn())
                self._rest()
            case "post" if began is not None:
                self._drop_turn()
                began = max(began, event.start_s - self._policy.max_turn_s)
                self._turn = self._new_turn(self._with_preroll(began), True)
                self._turn.called = True
                self._quiet_s = event.start_s
                self._start_revision(self._turn, event.start_s, event.start_s)
                self._confirm()
                self._used_s = event.end_s
            case _ if self._turn is not None:
                self._turn.woken = self._turn.called = True
            case _ if began is not None:
                # the word stands among others, where no cut of the audio takes it out
                self._do(Erase(event.start_s, event.end_s))
                # of a television that has been watched for minutes there is no more than leaves room for a request
                began = max(began, event.start_s - self._policy.max_turn_s / 2)
                self._begin_turn(self._with_preroll(began), woken=True, called=True)
                self._pause_if(quiet)
            case _:
                self._gate.woken_alone(self._audio.s)
                self._rest()

    @property
    def _began_s(self) -> float | None:
        """Where in the audio began what is being said, or was said last. What was committed or cleared is over."""
        began = self._turn.from_s if self._turn is not None else self._watched_s
        return None if began is None else max(began, self._used_s)

    def _idle_clock(self, event: AudioClock) -> None:
        if self._near_voice_now(event.at_s):
            self._open_turn(SpeechBegan(event.at_s))
            return
        if self._gate.expired(event.at_s):
            self._tell(ErrorOut("empty_request", "The wake word was heard and nothing after it", "say it again"))
        if self._gate.lapsed(event.at_s):
            self._do(PassOn())
        if self._gate.shut(event.at_s):
            self._rest()

    def _stands_in_request(self, event: WakeWord) -> bool:
        """The request that is being thought about needed no word, and has this one in it or at its end. Whether it
        was ours was asked meanwhile."""
        revision = self._answer.revision
        if self._gate.mode == "pre" or self.state is not State.THINKING or revision is None or revision.turn is None:
            return False
        until_s = (self._used_s if revision.quiet_s is None else revision.quiet_s) + ALONE_S
        if event.start_s < revision.turn.from_s or event.end_s > until_s:
            return False
        revision.turn.woken = revision.turn.called = True
        return True

    # ---- several devices ------------------------------------------------------------------------------------

    def asked_before(self, word_s: float) -> bool:
        """The request came before the wake word that began there."""
        began = self._began_s
        return self._gate.mode == "post" and began is not None and word_s - began >= ALONE_S

    @property
    def waits(self) -> bool:
        """We were woken, and have heard nothing since."""
        return self._at_ease and self._gate.called and self._gate.is_open(self._audio.s)

    @property
    def called(self) -> bool:
        """Our wake word was heard, and nothing is answered yet of what that was said for."""
        revision = self._answer.revision
        if self._turn is not None:
            return self._turn.called
        if revision is not None and revision.turn is not None and not revision.answering:
            return revision.turn.called
        return self._gate.called

    @property
    def owes(self) -> bool:
        """We were woken, and nobody has heard anything of an answer."""
        turn, revision = self._turn, self._answer.revision
        if self.state in (State.HEARING, State.PAUSE):
            return turn is not None and turn.woken
        if self.state is State.THINKING and revision is not None:
            return revision.turn is not None and not revision.rounds.called
        return self.waits

    @property
    def has_lost_request(self) -> bool:
        """A request that another device was woken for was heard here, and may be answered."""
        return self._lost is not None and self._lost.from_s is not None and self._at_ease

    @property
    def _at_ease(self) -> bool:
        return self.state in (State.IDLE, State.ASLEEP)

    def _on_contest(self, event: ContestDecided) -> None:
        revision = self._answer.of(event.revision)
        if revision is None or revision.answering or not revision.confirmed:
            return
        revision.contested = False
        turn, request = revision.turn, self._admit(revision)
        if not event.won and turn is not None and turn.known:  # the other one answers what the user went on with
            revision.text, event = turn.known, replace(event, won=True)
        if event.won:
            revision.won, self._word = True, request.word
            self._accept(revision)
            return
        self._lose(request.word)
        if turn is not None:
            until_s = self._used_s if revision.quiet_s is None else revision.quiet_s
            self._lost = LostRequest(request.word, until_s)
            if request.text:
                self._lost.from_s, self._lost.until_s = turn.from_s, until_s

    def _on_lost(self, event: WordLost) -> None:
        """In a follow-up window the request may be open here, or be thought about, as if it needed no wake word."""
        revision, turn = self._answer.revision, self._turn
        lost = self._lost_request(event)
        ours = turn is not None and turn.from_s < event.end_s
        if revision is not None and revision.confirmed and revision.turn is not None:
            ours = revision.turn.from_s < event.end_s and self._used_s > event.start_s
        self._lost = lost
        if ours:
            self._lose(event.word)
            return
        self._gate.close()
        self._tell(WakeLost(event.word, event.end_s))
        if self._overlap is not None and self._overlap.onset_s < event.end_s:
            self._resume(self._overlap)
        elif self.state in (State.IDLE, State.ASLEEP):
            self._rest()

    def _lost_request(self, event: WordLost) -> LostRequest:
        """What has been heard of it so far."""
        lost, quiet = LostRequest(event.word, event.end_s), None if self._speaking else self._quiet_s
        began = self._began_s
        before = began is not None and event.start_s - began >= ALONE_S
        after = self._speaking or (quiet is not None and quiet > event.end_s + ALONE_S)
        mode = self._gate.mode
        if began is not None and before and mode != "pre":
            most_s = self._policy.max_turn_s / (1 if mode == "post" else 2)
            lost.from_s = self._with_preroll(max(began, event.start_s - most_s))
            lost.until_s = event.start_s if mode == "post" else quiet
            lost.over = mode == "post"
        elif after and mode != "post":
            lost.from_s, lost.until_s = event.end_s, quiet
        lost.erase_s = (event.start_s, event.end_s) if mode == "mid" else None
        return lost

    def _hear_lost(self, event: SpeechBegan | SpeechEnded) -> None:
        """Somebody speaks, perhaps to the device that was woken."""
        if self._lost is not None and isinstance(event, SpeechEnded):
            self._lost.ended(event.at_s, ALONE_S)
        elif self._lost is not None:
            self._lost.began(event.at_s, self._with_preroll(event.at_s), self._policy.silence_s)

    def _keep_lost(self, lost: LostRequest) -> None:
        """Once the user is done, it is offered to the others. The one that was woken may have had the time for it."""
        if lost.outdated(self._audio.s):
            self._lost = None
        elif not lost.offered and lost.until_s is not None and self.has_lost_request:
            if lost.whole(self._audio.s, self._policy.silence_s):
                lost.offered = True
                self._do(Offer(lost.until_s))

    def _on_taken_over(self) -> None:
        lost, self._lost = self._lost, None
        if lost is None or lost.from_s is None or not self._at_ease:
            return
        self._word = lost.word
        self._tell(WakeOut(lost.word, 1.0, lost.after_s))
        if lost.erase_s is not None:
            self._do(Erase(*lost.erase_s))
        if lost.until_s is None or not lost.whole(self._audio.s, self._policy.silence_s):
            self._begin_turn(lost.from_s, woken=True, called=True)
            self._pause_if(lost.until_s)
            return
        self._turn = self._new_turn(lost.from_s, True)
        self._turn.called, self._quiet_s = True, lost.until_s
        self._start_revision(self._turn, min(lost.until_s + TAIL_S, self._audio.s), lost.until_s)
        self._confirm()

    def _on_handed_over(self) -> None:
        if self.owes:
            self._lose(self._word)

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
