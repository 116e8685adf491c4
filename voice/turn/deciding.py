"""When the user has finished, and what becomes of the answer then: pause, confirm, accept, interrupt. Pure."""

from __future__ import annotations

from llm.messages import Message
from voice.measuring.ledger import Stage
from voice.session.outgoing import ItemDeleted, SpeechStarted, SpeechStopped, TranscriptOut, TurnCommitted
from voice.turn.actions import Abandon, ScoreTurn, StopListening
from voice.turn.back_channels import murmured
from voice.turn.bargein import INTERRUPTERS, QUESTIONS, Said, ends_like_us, is_phrase, sounds_like_us
from voice.turn.endpointing import ALONE_S, ECHO_S
from voice.turn.events import AudioClock, SpeechBegan, SpeechEnded
from voice.turn.gate import Request
from voice.turn.history import Item
from voice.turn.noting import Noting
from voice.turn.revision import Overlap, Revision, Turn
from voice.turn.states import State
from voice.turn_detection.habits import LONGEST_S

__all__ = ["SLIGHT_S", "Deciding"]

ECHO_WORDS = 3
"""Fewer words than that are easily said again by the user."""

FAR_S = 0.5
"""A far voice goes on for so long after the user's last loud frame: they have fallen silent."""
FREE_GUESSES = 5
"""So many of a turn may be wrong before the next ones wait longer. On 240 recordings, each at twelve places between
frames, two instead of five make the worst start 273 instead of 193 ms after the last of a voice, and save 0.006
wrong guesses a request."""
FAINT_S = 0.07
"""A voice may fade for so long after a guess: two frames. After more of it the audio is transcribed anew, at the
first frame without a voice: at the pause it would be 100 ms later."""
FAINTEST_S = 0.2
"""The same of what is far quieter than the speech before it: the room's echo of a voice. A soft word takes longer."""
REACTION_S = 1.0
"""Of a reply is heard before anybody speaks because of it. Who speaks sooner was about to, without it."""
SLIGHT_S = 0.002
"""Sums of frame lengths are not exact."""


class Deciding(Noting):
    """The user's turn from its first sound to its answer, or to its end without one."""

    def _open_turn(self, event: SpeechBegan) -> None:
        from_s = self._with_preroll(event.at_s)
        if event.soft_s is not None and self._policy.reaches_back:
            from_s = max(self._used_s, min(from_s, event.soft_s))
        self._begin_turn(from_s, woken=self._gate.is_open(event.at_s))

    def _pause(self, event: SpeechEnded) -> None:
        """The voice fell silent: begin to answer, unheard, in case this was all."""
        turn = self._turn
        if turn is None or not self._policy.listening:
            return
        if turn.woken and self._gate.opens and event.at_s <= turn.from_s + ALONE_S:
            self._drop_turn()
            self._gate.woken_alone(self._audio.s)
            self._rest()
            return
        if event.at_s < turn.from_s:  # it was over, and not known to be, when the client cleared it
            self._drop_turn()
            self._rest()
            return
        self._quiet_s, self._paused_at = event.at_s, self._now
        revision = self._answer.revision
        if revision is None or self._faded_long(turn, event.at_s):
            revision = self._start_revision(turn, None, event.at_s)
        else:  # a guess that was right: it goes on
            revision.quiet_s = event.at_s
            revision.ledger.speech_end = self._audio.when(event.at_s, self._now)
        if self._policy.scores:
            self._do(ScoreTurn(revision.number, turn.from_s))
        self._go(State.PAUSE)

    def _faded_long(self, turn: Turn, until_s: float) -> bool:
        """After the guess there was too much for the end of a voice: its words are not in that."""
        return min(until_s, turn.loud_s) > turn.voiced_s + FAINT_S or until_s > turn.voiced_s + FAINTEST_S

    def _hear_missed(self) -> None:
        """What was said over a reply that it could not interrupt is heard when the reply is over."""
        missed, until_s = self._missed.from_s, self._missed.until_s
        if missed is None or self.state not in (State.IDLE, State.ASLEEP):
            return
        self._missed.forget()
        # what was said and over before the follow-up window opened needs its wake word, or had it just before
        woken = self._gate.waiting
        over = until_s is not None and until_s > self._used_s and (woken or not self._gate.acoustic)
        if (self._speaking or over) and self.state is State.IDLE:
            from_s = max(self._with_preroll(missed), self._audio.s - self._policy.max_turn_s)
            self._begin_turn(from_s, woken=woken)
            if self._turn is not None and self._policy.listening:
                self._turn.over_reply = self._turn.missed = True
            if until_s is not None and not self._speaking:
                self._pause(SpeechEnded(until_s))

    def _guess(self, turn: Turn, event: AudioClock) -> None:
        """The voice has just stopped, perhaps between two syllables: begin to answer before it is even a pause.

        A detector hears a voice end some 100 ms late, so there is no time to lose. A turn pays for few wrong guesses:
        after the first ones, each makes the next one wait longer.
        """
        if event.voiced:
            turn.faint_s = event.at_s
            turn.loud_s = turn.loud_s if event.hushed else event.at_s
        # what faded for long, and has ended here, may hold words: it is heard now, not at the pause
        spoke_on = not event.fading if event.voiced else self._faded_long(turn, turn.faint_s)
        if spoke_on:
            turn.voiced_s = turn.faint_s
            if self._answer.revision is not None:
                self._answer.abandon()
                turn.guesses += 1
        if spoke_on and event.voiced:
            return
        wait_s = self._policy.guess_s * (1 + max(0, turn.guesses - FREE_GUESSES))
        late = self._answer.revision is not None or wait_s >= self._policy.pause_s
        if late or not self._policy.listening or not self._policy.answers or not (turn.told or turn.woken):
            return
        alone = turn.woken and self._gate.opens and turn.voiced_s <= turn.from_s + ALONE_S
        if turn.voiced_s and not alone and event.at_s - turn.voiced_s >= wait_s - SLIGHT_S:
            self._start_revision(turn, None, turn.voiced_s)

    def _go_on(self, event: SpeechBegan) -> None:
        """The user was only pausing: what was prepared is for the bin, their audio is not."""
        if self._far_voice_now(event.at_s):
            return
        if self._quiet_s is not None:
            revision = self._answer.revision
            self._habits.went_on(event.at_s - self._quiet_s, None if revision is None else revision.over)
        self._answer.abandon()
        self._go(State.HEARING)

    def _pause_clock(self, event: AudioClock) -> None:
        silence_s = event.at_s - (self._quiet_s or 0.0)
        voiced = event.voiced and not self._far_voice_now(event.at_s)
        if not voiced and silence_s >= self._patience_s():
            self._confirm()

    def _hearing_clock(self, event: AudioClock) -> None:
        """The absolute deadline of a turn: a television, a fan, a key that is held down."""
        if self._turn is None:
            return
        near_s = self._turn.near_s
        if near_s is not None and event.at_s >= near_s + FAR_S and self._far_voice_now(event.at_s):
            self._pause(SpeechEnded(near_s))  # the user has fallen silent, and a television goes on
            return
        self._guess(self._turn, event)
        length_s, most_s = event.at_s - self._turn.from_s, self._policy.max_turn_s
        if not self._policy.listening:
            self._cut_pieces(self._turn, event.at_s)
        elif length_s >= most_s:
            self._quiet_s = event.at_s
            self._start_revision(self._turn, None, None)
            self._confirm()

    # ---- is it over? ---------------------------------------------------------------------------------------

    def _last_item(self) -> str | None:
        """Behind it stands what was said now: a turn that is being written down, or the reply under way."""
        waiting, busy, last = next(reversed(self._notes.values()), None), self._answer.revision, self.history.last_id
        if waiting is not None:
            return waiting.user_item
        beside = busy is not None and busy.answering and busy.item and busy.after == (last or "root")
        return busy.item if busy is not None and beside else last

    def _confirm(self, beside: Revision | None = None) -> None:
        """The user has finished. From here on the answer may be heard; `beside` it a turn is only written down."""
        revision, turn = beside or self._answer.revision, self._turn
        if revision is None:
            return
        until_s = revision.until_s
        if revision.unheard and turn is not None:
            # not of the stream that failed
            revision = self._start_revision(turn, self._audio.s if until_s is None else until_s, revision.quiet_s)
        if turn is not None:
            revision.heads, self._heads = self._heads, {}
        revision.confirmed = True
        revision.stir(self._now)
        revision.ledger.mark(Stage.ENDPOINT, self._now)
        if turn is not None:
            # up to the end of the speech only: an onset that is not yet known may lie in the silence
            self._used_s = until_s if until_s is not None else self._quiet_s or self._audio.s
            self._commit_item(revision, turn, self._audio.s if self._quiet_s is None else self._quiet_s)
        self._turn = self._quiet_s = None
        if not self._policy.answers:
            self._note(revision)
            return
        self._go(State.THINKING)
        if revision.text is not None:
            self._accept(revision)

    def _accept(self, revision: Revision) -> None:
        """Confirmed and transcribed: is there a request in it?"""
        request = self._admit(revision)
        turn, words = revision.turn, revision.text or ""
        if request.word and self._contested(revision, request):
            return
        # "tea or coffee?" "coffee": the echo of a last word begins before the reply is over, an answer after it
        after_s = ECHO_S if len(words.split()) >= ECHO_WORDS else 0.0
        if turn is not None and self._may_be_us(turn.from_s, after_s) and ends_like_us(words, self._own.said):
            request = Request("")  # the end of our own reply, from the loudspeaker
        elif turn is not None and self._is_background(turn):
            request = Request("")
        elif turn is not None and turn.missed and (murmured(words) or self._was_our_echo(words)):
            request = Request("")  # said along with the reply, not to be answered
        elif self._is_stop(revision):
            request = Request("")  # the reply is over, and that is all they wanted
            said = words if is_phrase(words, self._stops) or turn is None else turn.spotted
            self._tell(TranscriptOut(said, True, revision.user_item, is_request=False))
        elif self._speaks_to_nobody(revision, words):
            request = Request("")
            self._tell(TranscriptOut(words, True, revision.user_item, is_request=False))
        if request.problem is not None or not request.text:
            self._turn_away(revision, request)
            self._no_answer()
            return
        if self._contested(revision, request):
            return
        self._stop_listening(revision)
        revision.request = request.text
        self._tell(TranscriptOut(request.text, True, revision.user_item))
        if turn is not None:
            self._near.learn(turn.loudness, turn.from_s, sure=self._called(turn, request))
        self._give_answer(revision)

    def _called(self, turn: Turn, request: Request) -> bool:
        """By a wake word: it is the user's, however soft."""
        return bool(request.word) or (self._gate.enabled and turn.woken and not turn.over_reply)

    def _is_background(self, turn: Turn) -> bool:
        """A far voice that has been going on for long and was not called by a wake word."""
        asked = turn.woken or not self._policy.listening
        return not asked and self._near.droning and self._is_far(turn)

    def _was_our_echo(self, words: str) -> bool:
        return self._own.heard and sounds_like_us(words, Said(self._own.said, self._own.said))

    def _give_answer(self, revision: Revision) -> None:
        wish, self._wish = self._wish, None
        if wish is not None and wish.options != revision.options:  # what was prepared is not what the client wants
            self._drop_prepared(revision)
            revision.options = wish.options
        elif self._answer.is_outdated(revision):
            self._drop_prepared(revision)
        if revision.reply is None:
            self._answer.think(revision)
        if revision.turn is not None:
            self._gate.called = False  # what it was called for has come
        self._answer.release(revision, self._now)
        if revision.reply is not None and self.state is State.JUDGING:
            revision.reply.playout.hold(self._now)
        if self.state is not State.JUDGING:
            self._go(State.THINKING)

    def _prepare_anew(self) -> None:
        """The client changed what an unheard answer is made of, so that it need not be made when it is wanted."""
        revision = self._answer.revision
        if revision is None or revision.confirmed or not self._answer.is_outdated(revision):
            return
        self._drop_prepared(revision)
        if self._policy.answers:
            self._answer.think(revision)
        if self.state is State.PAUSE and revision.turn is not None and self._policy.scores and revision.over is None:
            self._do(ScoreTurn(revision.number, revision.turn.from_s))

    def _turn_goes_on(self, revision: Revision, onset_s: float) -> None:
        """What is known of the open turn: it was answered by `revision` before the user went on."""
        before, turn = revision.turn, self._turn
        if turn is not None and before is not None:
            turn.went_on_s = onset_s
            turn.known, turn.request = before.known, before.request
            turn.over_s = revision.quiet_s if revision.awaits_words else None
            if revision.request:
                turn.known, turn.request = revision.text or "", revision.request

    def _keep_known(self, word_s: float | None = None) -> None:
        """The open turn is dropped for another one; what had been asked before the user went on was asked. `word_s`:
        where the wake word of that one begins, up to which they may have gone on."""
        turn = self._turn
        if turn is None:
            return
        over_s = turn.over_s
        if word_s is not None and turn.went_on_s is not None and word_s - turn.went_on_s >= ALONE_S:
            over_s = word_s
        if over_s is not None:
            silent_since = self._audio.when(over_s, self._now)
            revision = self._answer.write_down(self._number(), turn, over_s, silent_since, self._now)
            revision.confirmed, revision.quiet_s, self._turn = True, over_s, None
            self._commit_item(revision, turn, over_s)
            self._note(revision)
        elif turn.request:
            self._answer.remember(Item(self.history.new_id(), Message("user", turn.request)))

    def _commit_item(self, revision: Revision, turn: Turn, quiet_s: float) -> None:
        """The client is told that the turn is over, and behind what it stands."""
        if turn.told:
            self._tell(SpeechStopped(quiet_s, turn.item))
        previous = self._last_item()
        revision.user_after = previous or "root"
        self._tell(TurnCommitted(turn.item, previous))

    def _no_answer(self) -> None:
        """There was nothing to answer: a sound that was being judged is the user's turn then."""
        revision = self._answer.revision
        if revision is not None:
            self._stop_listening(revision)
        self._answer.abandon()
        if self._overlap is not None:
            self._interrupt()
        else:
            self._drop_turn()
            self._rest()

    def _fail_unheard(self, revision: Revision, code: str) -> None:
        """A turn whose words will never be known is over; who spoke to us is told so aloud. Where the first of them
        were known before the user went on, they are answered."""
        if revision.turn is not None and revision.turn.known:
            revision.text = revision.turn.known
            self._accept(revision)
            return
        if revision.user_item:
            self._tell(ItemDeleted(revision.user_item))
        if self._was_for_us(revision) and self._answer.excuse_unheard(revision, code, self._now):
            self._stop_listening(revision)
            return
        self._noted(revision, code)
        self._no_answer()

    def _was_for_us(self, revision: Revision) -> bool:
        """As far as can be told without the words: no echo of ours, nobody far, and the wake word, if one is needed,
        was heard. What was said over a reply may have been a "yeah"."""
        turn = revision.turn
        if turn is None or self._overlap is not None or turn.missed or turn.over_reply:
            return False
        called = turn.woken or not self._gate.enabled or not self._policy.listening
        return called and not self._may_be_us(turn.from_s) and not self._is_background(turn)

    def _had_cut(self, revision: Revision, sound: Overlap) -> bool:
        """The user was not done when we took them to be: they do not answer us, they go on."""
        if revision.turn is None or sound.ahead or revision.reply is None:
            return revision.turn is not None
        meant = is_phrase(sound.spotted or sound.text or "", (*self._stops, *INTERRUPTERS, *QUESTIONS))
        return not meant and (sound.soon or self._cut_short(sound.onset_s))

    def _cut_short(self, onset_s: float) -> bool:
        """Who begins to speak there may not have been done: hardly anything of the answer was heard."""
        revision = self._answer.revision
        if revision is None or revision.turn is None or revision.reply is None or revision.quiet_s is None:
            return False
        soon = revision.reply.playout.position(self._now) < REACTION_S
        return soon and onset_s < revision.quiet_s + LONGEST_S

    def _is_one_turn(self, revision: Revision, sound: Overlap) -> bool:
        """What the user goes on with is said in the turn that had been cut: no word of the answer was heard, and
        nothing was done that would have to be taken back. Longer than any turn it does not become."""
        heard = revision.reply is not None and revision.reply.heard(self._now)
        ours = self._own.heard and not sound.ahead  # the sound may hold our own voice
        long = revision.turn is not None and self._audio.s - revision.turn.from_s >= self._policy.max_turn_s
        return not (revision.rounds.called or heard or ours or long)

    def _interrupt(self, reason: str = "turn_detected", *, anew: bool = False) -> None:
        """Stop the answer, whatever of it there is. The sound that did it, if one did, becomes the open turn; `anew`:
        whatever came before."""
        revision, sound = self._answer.revision, self._overlap
        self._overlap = None
        self._stop_overhearing()
        self._drop_doubted()
        self._remember_said()
        merged = False
        if revision is not None and sound is not None and self._had_cut(revision, sound):
            merged = not anew and self._is_one_turn(revision, sound)
            if revision.quiet_s is not None:
                self._habits.went_on(sound.onset_s - revision.quiet_s, revision.over)
        if revision is not None and sound is not None and not merged and revision.awaits_words:
            quiet_s = self._quiet_s
            self._note(revision)  # they are part of the next answer's question
            self._quiet_s = quiet_s
        elif revision is not None and revision.confirmed:
            self._answer.complete(self._now, interrupted=True, remembered=not merged, reason=reason)
        else:
            self._answer.abandon()
        if sound is None:
            return
        self._do(Abandon(sound.revision))
        if merged and revision is not None and revision.turn is not None:
            self._do(StopListening(sound.turn.number))
            self._begin_turn(revision.turn.from_s, woken=revision.turn.woken)
            self._turn_goes_on(revision, sound.onset_s)
        else:
            self._turn = sound.turn
            self._turn.told, self._turn.over_reply, self._turn.spotted = True, sound.over_speech, sound.spotted
            self._tell(SpeechStarted(sound.turn.from_s, sound.turn.item))
            self._turn.partial = sound.spotted or sound.text or ""
            if is_phrase(self._turn.partial, self._stops):
                self._tell(TranscriptOut(self._turn.partial, False, sound.turn.item, is_request=False))
            self._go(State.HEARING)
        if sound.ended and self._turn is not None and self._quiet_s is not None:
            self._start_revision(self._turn, None, self._quiet_s)
            self._go(State.PAUSE)
