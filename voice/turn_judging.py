"""A sound over the answer: output is held, and then it was an interruption or it was nothing. Pure."""

from __future__ import annotations

from voice.actions import Abandon, Listen, StopListening, Transcribe
from voice.bargein import Verdict
from voice.events import AudioClock, SpeechBegan, SpeechEnded
from voice.revision import Outcry
from voice.turn_deciding import Deciding
from voice.turn_states import State

__all__ = ["Judging"]


class Judging(Deciding):
    """What it takes to interrupt is in bargein.py."""

    def _start_judging(self, event: SpeechBegan) -> None:
        """With a wake word on, only a conversation with a follow-up window can be interrupted without it."""
        conversing = not self._gate.acoustic or self._manners.follow_up_s > 0
        if not self._manners.barge_in or not conversing:
            self._missed_s = event.at_s
            return
        turn = self._new_turn(self._with_preroll(event.at_s), True)
        over_speech = self.state is State.SPEAKING
        self._outcry = Outcry(turn, over_speech, event.at_s, self._now, last_s=event.at_s)
        self._do(Listen(turn.number, turn.from_s))
        if self._answer.reply is not None:
            self._answer.reply.playout.hold(self._now)
        self._go(State.JUDGING)

    def _judging_clock(self, event: AudioClock) -> None:
        if self._outcry is not None:
            self._outcry.hear(event.at_s, event.voiced)
            self._judge()

    def _sound_over(self, event: SpeechEnded) -> None:
        sound = self._outcry
        if sound is None:
            return
        sound.ended, self._quiet_s, self._paused_at = True, event.at_s, self._now
        sound.revision = self._number()
        self._do(Transcribe(sound.revision, sound.turn.number, sound.turn.from_s, None))
        self._judge()

    def _sound_again(self, event: SpeechBegan) -> None:
        if self._outcry is not None:
            self._outcry.ended, self._outcry.last_s = False, event.at_s

    def _judge(self) -> None:
        sound = self._outcry
        if sound is None:
            return
        reply = self._answer.reply
        said = reply.text if reply is not None and sound.over_speech else ""
        verdict = sound.verdict(self._manners.rules, self._audio.s, self._now, said)
        if verdict is Verdict.RESUME:
            self._do(Abandon(sound.revision))
            self._do(StopListening(sound.turn.number))
            self._outcry = None
            if self._answer.reply is not None:
                self._answer.reply.playout.release(self._now)
            self._go(State.SPEAKING if sound.over_speech else State.THINKING)
        elif verdict is Verdict.INTERRUPT:
            self._interrupt()
