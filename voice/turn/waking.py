"""Wake words: a session that is asleep only watches, and a word that was heard opens it. Pure."""

from __future__ import annotations

from voice.session.outgoing import ErrorOut, WakeOut, WakeWordRequired
from voice.turn.actions import Erase
from voice.turn.endpointing import ALONE_S, POST_PATIENCE_S
from voice.turn.events import AudioClock, SpeechBegan, SpeechEnded, WakeWord
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
        patience_s = max(self._manners.silence_s, POST_PATIENCE_S if self._gate.mode == "post" else 0.0)
        if self._watched_s is not None and self._quiet_s is not None and event.at_s - self._quiet_s >= patience_s:
            self._watched_s = self._quiet_s = None
            self._tell(WakeWordRequired("Say the wake word to talk to me"))

    def _wake(self, event: WakeWord) -> None:
        if not self._gate.enabled:
            return
        saying = self._answer.reply.text if self._answer.reply is not None else self._said
        if self._may_be_us(event.start_s) and cut(saying, (event.word,), "mid").found:
            return  # we said it ourselves
        self._tell(WakeOut(event.word, event.score, event.end_s))
        if self.state in (State.THINKING, State.SPEAKING, State.BRACED, State.JUDGING):
            self._interrupt()
        watched, self._watched_s = self._watched_s, None
        quiet = None if self._speaking else self._quiet_s
        began = self._turn.from_s if self._turn is not None else watched
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
                self._begin_turn(self._with_preroll(began), woken=True)
                self._pause_if(quiet)
            case _:
                self._gate.woken_alone(self._audio.s)
                self._rest()

    def _pause_if(self, quiet_s: float | None) -> None:
        """The speech of a turn that is opened late may be over already."""
        if quiet_s is not None and not self._speaking:
            self._pause(SpeechEnded(quiet_s))
