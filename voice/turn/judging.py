"""A sound over the answer: output is held, and then it was an interruption or it was nothing. Pure."""

from __future__ import annotations

from voice.session.outgoing import TranscriptOut
from voice.turn.actions import Abandon, Listen, StopListening, Transcribe
from voice.turn.back_channels import murmured
from voice.turn.bargein import (
    LONGEST_STOP_MS,
    NOTHING_SAID,
    Verdict,
    is_phrase,
    sounds_like_us,
)
from voice.turn.deciding import FAINT_S
from voice.turn.endpointing import POST_PATIENCE_S
from voice.turn.events import AudioClock, EchoHeard, PhraseSpotted, SpeechBegan, SpeechEnded
from voice.turn.revision import Overlap
from voice.turn.states import State
from voice.turn.weighing import Weighing

__all__ = ["Judging"]

FIRST_ASK_MS = 192.0
"""Voiced time at which the recogniser is first asked: a short word is half over."""
ASK_EVERY_MS = 96.0
"""Of voice, from one mark to the next: two hearings that agree decide, and a syllable or two has come in between. An
ask in a lull does not put off the next one."""
AGAIN_SHARE = 0.5
"""Of the voice before a gap, when the sound comes again: two coughs are no word, two words are a sentence."""
GOES_ON_S = 0.16
"""A murmur that was over goes on: so much more voice, and it was the beginning of something else."""
NEAR_S = 0.25
"""Somebody near is known that long after they began, where far voices go on."""


class Judging(Weighing):
    """What it takes to interrupt is in bargein.py."""

    def _start_judging(self, event: SpeechBegan) -> None:
        """With a wake word on, only a conversation with a follow-up window can be interrupted without it. Who goes on
        before the answer is heard has said the word already."""
        over_speech = self.state in (State.SPEAKING, State.BRACED)
        ahead = not over_speech or self._began_before_us(event.at_s)
        if not self._interruptible() and not (ahead and self._may_go_on()):
            if self._watched_s is None or self._missed.quiet_s(event.at_s) > POST_PATIENCE_S:
                self._watched_s = event.at_s  # a wake word may follow it
            self._missed.began(event.at_s)
            self._start_overhearing(event)
            return
        if self._far_voice_now(self._audio.s):
            self._overhear(event)
            if self.state is State.BRACED:
                self._relax()
            return
        self._brace.was_speech()
        self._let_go = None
        self._missed.forget()
        from_s, before_s = self._with_preroll(event.at_s), 0.0
        if self._doubted is not None and self._comes_late(self._doubted):  # one goes on after a breath
            from_s, before_s = min(from_s, self._doubted.turn.from_s), self._doubted.voiced_s
        turn = self._new_turn(from_s, True)
        self._overlap = Overlap(
            turn,
            over_speech,
            event.at_s,
            self._now,
            last_s=event.at_s,
            ahead=ahead,
            voiced_s=before_s,
            before_s=before_s,
        )
        revision = self._answer.revision
        if ahead:
            self._overlap.soon = revision is not None and revision.turn is not None
        else:
            self._overlap.soon = not self._own.heard and self._cut_short(event.at_s)
        self._do(Listen(turn.number, turn.from_s))
        if self._answer.reply is not None and not self._echo_learning:
            self._answer.reply.playout.hold(self._now)
        self._go(State.JUDGING)

    # ---- before it is sure that somebody speaks -------------------------------------------------------------

    def _speaking_clock(self, event: AudioClock) -> None:
        """Hold at the first frames of what may be speech. Not where they may be our own."""
        if self._near_voice_now(event.at_s) and self._interruptible():
            self._stop_overhearing()
            self._start_judging(SpeechBegan(max(event.at_s - NEAR_S, self._used_s)))
            return
        if self._overheard_sound is not None:
            self._overheard_sound.hear(event.at_s, event.voiced and not event.hushed)
        reply = self._answer.reply
        if self._let_go is not None and self._goes_on(self._let_go, event):
            return
        if not self._brace.may_begin(self._now):
            return
        if self._far_voice_now(event.at_s):
            return
        if event.rising and not self._own.heard and reply is not None and self._interruptible():
            reply.playout.hold(self._now)
            self._brace.begin(self._now)
            self._go(State.BRACED)

    def _goes_on(self, sound: Overlap, event: AudioClock) -> bool:
        """ "Yeah, but wait": what was over, as it seemed, and let go is judged again, all of it."""
        if not self._speaking:
            self._let_go = None
            if self._doubted is None:
                self._missed.forget()
            return False
        before = sound.voiced_s
        sound.hear(event.at_s, event.voiced and not event.hushed)
        sound.since_s += sound.voiced_s - before
        if sound.since_s < GOES_ON_S:
            return False
        self._start_judging(SpeechBegan(sound.onset_s))
        if self._overlap is not None:
            self._overlap.go_on_from(sound)
        return True

    def _braced_clock(self, event: AudioClock) -> None:
        if not event.rising:
            self._relax()

    def _relax(self) -> None:
        """It was a click."""
        self._brace.was_click(self._now)
        if self._answer.reply is not None:
            self._answer.reply.playout.release(self._now)
        self._go(State.SPEAKING)

    # ---- a stop word where only a wake word interrupts ------------------------------------------------------

    def _start_overhearing(self, event: SpeechBegan) -> None:
        if self._gate.acoustic and self._policy.barge_in and self._settings.stop_words:
            self._overhear(event)

    def _overhear(self, event: SpeechBegan) -> None:
        """Listen for a stop word, and hold nothing."""
        self._stop_overhearing()
        if self._settings.stop_words:
            turn = self._new_turn(self._with_preroll(event.at_s), True)
            self._overheard_sound = Overlap(turn, True, event.at_s, self._now, last_s=event.at_s)
            self._do(Listen(turn.number, turn.from_s))

    def _overheard(self, event: SpeechEnded) -> None:
        """Speech over a reply that it may not interrupt is over: was it a stop word and nothing else?"""
        if self._let_go is not None or self._doubted is not None:
            self._let_go = None
            self._missed.forget()
            if self._doubted is not None:
                self._doubted.whole = self._doubted.whole and event.at_s <= self._doubted.voice_s + FAINT_S
                self._doubted.voice_s = event.at_s
                self._missed.began(self._onset_of(self._doubted))
            self._missed.ended(event.at_s)
            return
        self._missed.ended(event.at_s)
        sound = self._overheard_sound
        if sound is None:
            return
        sound.ended = True
        if sound.voiced_s * 1000 > LONGEST_STOP_MS:
            self._stop_overhearing()
        else:
            self._transcribe(sound)

    def _overheard_settled(self, revision: int, text: str) -> bool:
        sound = self._overheard_sound
        if sound is None or sound.revision != revision:
            return False
        if not sound.spotted and is_phrase(text, self._stops):
            sound.spotted = text
        self._end_by_word(sound)
        return True

    def _end_by_word(self, sound: Overlap) -> None:
        stop = is_phrase(sound.spotted, self._stops)
        ours = sounds_like_us(sound.spotted, self._may_echo())
        self._stop_overhearing()
        if stop and not ours and self.state in (State.THINKING, State.SPEAKING):
            self._missed.forget()
            self._used_s = max(self._used_s, sound.last_s)
            self._interrupt("turn_detected")
            self._tell(TranscriptOut(sound.spotted, True, sound.turn.item, is_request=False))
            self._rest()

    # ---- what it was ----------------------------------------------------------------------------------------

    def _judging_clock(self, event: AudioClock) -> None:
        if self._overlap is not None:
            self._overlap.hear(event.at_s, event.voiced and not event.hushed)
            self._listen_in(self._overlap)
            self._judge()

    def _sound_over(self, event: SpeechEnded) -> None:
        sound = self._overlap
        if sound is None:
            return
        sound.ended, self._quiet_s, self._paused_at = True, event.at_s, self._now
        sound.over(self._now)
        sound.interrupts = self._interrupts(sound.spotted)
        if not sound.whole:
            self._transcribe(sound)
        self._judge()

    def _listen_in(self, sound: Overlap) -> None:
        """Ask what is said as soon as it is no cough, again while that is not clear, and when it may be over."""
        marks = (sound.voiced_s * 1000 - FIRST_ASK_MS) // ASK_EVERY_MS
        due = not sound.waits and marks >= 0 and sound.asked_s * 1000 < FIRST_ASK_MS + ASK_EVERY_MS * marks
        # a last time before it counts as more than a murmur, whatever is awaited
        sure_s = self._policy.rules.sure_ms / 1000
        last = sound.spots and sound.asked_s < sure_s <= sound.voiced_s
        if not sound.ended and (sound.quiet or due or last):
            self._transcribe(sound)

    def _transcribe(self, sound: Overlap) -> None:
        if sound.revision:
            self._do(Abandon(sound.revision))
        sound.revision = self._number()
        sound.ask()
        self._do(Transcribe(sound.revision, sound.turn.number, sound.turn.from_s, None, spot=True))

    def _on_phrase(self, event: PhraseSpotted) -> None:
        if self._overheard_sound is not None and event.revision == self._overheard_sound.revision:
            self._overheard_sound.spotted = event.phrase
            if is_phrase(event.phrase, self._stops):
                self._end_by_word(self._overheard_sound)
        elif self._overlap is not None and event.revision == self._overlap.revision:
            sound = self._overlap
            before = sound.spots_phrase(event.phrase)
            command = self._is_command(event.phrase)
            # what is half said may sound like one of them, the first syllable most of all
            late = sound.asked > 1 and sound.asked_s * 1000 > FIRST_ASK_MS
            sure = command and (late or self._is_command(before)) and not sound.whole
            sound.interrupts = self._interrupts(event.phrase)
            twice = sound.interrupts and self._interrupts(before)
            # what is left of our own voice may sound like anything
            sound.commands = (sure or twice) and not self._own.heard
            sound.hint = event.phrase if command and not self._own.heard else sound.hint
            if murmured(before) and murmured(event.phrase):
                self._speak_over(sound)
            self._judge()

    def _speak_over(self, sound: Overlap) -> None:
        """Nobody stops for an "mm-hm" that is not over. What it becomes is judged all the same."""
        if sound.over_speech and not self._own.heard and self._answer.reply is not None and not sound.spoken_over:
            sound.spoken_over = True
            self._answer.reply.playout.release(self._now)
            self._show()

    def _sound_again(self, event: SpeechBegan) -> None:
        if self._overlap is not None:
            self._overlap.ended, self._overlap.last_s = False, event.at_s
            self._overlap.again_s, self._overlap.again_at = event.at_s, self._now
            self._overlap.voiced_s *= AGAIN_SHARE

    def _judge(self) -> None:
        sound = self._overlap
        if sound is None:
            return
        if self._is_far(sound.turn):
            self._dismiss(sound)
            return
        said = NOTHING_SAID if sound.ahead else self._may_echo()
        verdict = sound.verdict(self._rules(sound), self._audio.s, self._now, said)
        if verdict is Verdict.RESUME:
            self._resume(sound)
        elif verdict is Verdict.INTERRUPT and not (self._may_be_found_out(sound) or self._may_be_lost(sound)):
            self._interrupt()

    def _dismiss(self, sound: Overlap) -> None:
        """It is far below the user's own voice: the reply goes on, and a stop word ends it all the same."""
        self._near.dismiss(self._audio.s)
        self._overlap, self._overheard_sound = None, sound
        if self._answer.reply is not None:
            self._answer.reply.playout.release(self._now)
        self._go(State.SPEAKING if sound.over_speech else State.THINKING)
        if sound.ended and not sound.waits:
            self._overheard_settled(sound.revision, sound.text or "")

    def _resume(self, sound: Overlap) -> None:
        """It was nothing: go on from the very sample. Where that is in doubt, the recogniser finishes."""
        goes_on = not sound.ended and self._speaking
        # what has just come again after a gap may be the beginning of a sentence
        again = goes_on and sound.again_at > 0
        slight = sound.murmured or sound.in_doubt(self._rules(sound)) or again
        doubtful = self._comes_late(sound) or (sound.over_speech and sound.in_doubt(self._rules(sound)))
        self._drop_doubted()
        if doubtful:
            self._doubted = sound
        else:
            self._do(Abandon(sound.revision))
            self._do(StopListening(sound.turn.number))
        self._overlap = None
        if self._answer.reply is not None:
            self._answer.reply.playout.release(self._now)
        if sound.over_speech and (sound.murmured or doubtful or again) and goes_on:
            # if the reply ends before the sound does, what it becomes is heard then
            self._let_go = sound if slight else None
            self._missed.replace(self._onset_of(sound), None)
        elif doubtful:
            self._missed.replace(self._onset_of(sound), self._quiet_s)
        self._go(State.SPEAKING if sound.over_speech else State.THINKING)

    def _doubt_settled(self, revision: int, text: str) -> bool:
        """The words of a sound that the reply went on after: was it an interruption after all?"""
        sound = self._doubted
        if sound is None or sound.revision != revision:
            return False
        self._doubted = None
        self._do(Abandon(revision))
        sound.told(text)
        ended, sound.ended = sound.ended, True
        said = NOTHING_SAID if sound.ahead else self._may_echo()
        verdict = sound.verdict(self._rules(sound), self._audio.s, self._now, said)
        sound.ended = ended or not self._speaking
        meant = verdict is Verdict.INTERRUPT and (not self._is_far(sound.turn) or is_phrase(text, self._stops))
        if meant and self.state in (State.THINKING, State.SPEAKING, State.BRACED, State.JUDGING):
            self._let_go = None
            self._missed.forget()
            self._quiet_s = sound.voice_s if self._overlap is None else self._quiet_s
            if self._overlap is not None:
                self._do(StopListening(sound.turn.number))
            self._overlap = self._overlap or sound
            self._interrupt()
        elif not sound.whole and not self._speaking and not ended:  # it went on after the recogniser was asked
            self._doubted = sound
            sound.ended = True
            self._transcribe(sound)
        else:
            if self._let_go is None:
                self._missed.forget()
            self._do(StopListening(sound.turn.number))
        return True

    def _on_echo(self, event: EchoHeard) -> None:
        """What is being judged was our own voice; a voice that goes on without it begins anew."""
        replying = self._answer.reply is not None
        self._own.found(event.state, self.config.turn.echo, self._audio.s, replying=replying)
        if self._own.cancelled:
            self._speaking = False
            self._missed.forget()
            self._drop_doubted()
            turn = self._turn
            if self._overlap is not None and not self._overlap.ahead:
                self._resume(self._overlap)
            elif turn is not None and self._policy.listening and self._may_be_us(turn.from_s):
                self._drop_turn()
                self._rest()
        elif self._overlap is not None:
            self._judge()
