"""The turn machine: who is speaking, when they have finished, what is said back, and when to stop. Pure.

The states and the table of transitions are in turn_states.py; here is what each transition does.
Why this file is long: every rule of a conversation that depends on another rule stands here.

Two clocks. Hearing runs on the audio clock (`at_s`, seconds of the session's audio), so that a late packet does
not end a turn; playout and patience run on `now` (monotonic seconds). If audio stops coming, `now` takes over.

At most one revision lives. It is abandoned by number: whatever still arrives for it is dropped at the door
(`_of`). Nothing of a revision is told, remembered or charged before it is confirmed.
"""

from __future__ import annotations

from math import inf

from voice.actions import Abandon, Action, Listen, StopListening, Tell, Transcribe
from voice.answer import Answer
from voice.audio_time import AudioTime
from voice.bargein import Verdict
from voice.endpointing import ALONE_S, POST_PATIENCE_S, SLACK_S, STALL_S, Manners
from voice.events import (
    AudioClock,
    Cleared,
    Closed,
    Committed,
    ConfigChanged,
    InterruptAsked,
    PartialTranscript,
    SpeechBegan,
    SpeechEnded,
    Tick,
    TranscriptFailed,
    TranscriptReady,
    TurnEvent,
    Typed,
    WakeWord,
)
from voice.gate import Gate, Request, refusal
from voice.history import History
from voice.ledger import Stage
from voice.outgoing import (
    ErrorOut,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    StateOut,
    TextOut,
    TranscriptOut,
    WakeOut,
    WakeWordRequired,
)
from voice.revision import Outcry, Revision, Turn
from voice.session_config import SessionConfig
from voice.settings import TurnSettings
from voice.turn_states import SHOWN, TABLE, State

__all__ = ["State", "TurnMachine"]


class TurnMachine:
    """`step(event, now)` is the only way in; the actions it returns are to be carried out in order.

    `wakes_at` is when a Tick is wanted. `audible` are the wake words that the ears can hear.
    """

    def __init__(
        self,
        config: SessionConfig,
        settings: TurnSettings,
        *,
        audible: frozenset[str] = frozenset(),
        history: History | None = None,
        system_prompt: str = "",
    ) -> None:
        self.config = config
        self._settings = settings
        self._answer = Answer(config, settings, history if history is not None else History(), system_prompt)
        self._audible = audible
        self._gate = Gate(config.wake, audible)
        self._manners = Manners(config, settings)
        self.state = State.ASLEEP if self._gate.shut(0.0) else State.IDLE
        self._turn: Turn | None = None
        self._outcry: Outcry | None = None
        self._watched_s: float | None = None  # onset of the utterance that is only watched
        self._quiet_s: float | None = None  # end of the last speech, while nothing followed
        self._paused_at = 0.0
        self._audio = AudioTime()
        self._used_s = 0.0  # audio before this belongs to earlier turns
        self._missed_s: float | None = None  # speech began over a reply that may not be interrupted
        self._speaking = False
        self._numbers = 0
        self._closed = False
        self._now = 0.0

    # ---- in -------------------------------------------------------------------------------------------------

    def step(self, event: TurnEvent, now: float) -> list[Action]:
        """Hear `event` at `now`; return what is to be done. Events for revisions that are gone change nothing."""
        out: list[Action] = []
        self._answer.out, self._now = out, now
        if self._closed:
            return out
        match event:
            case TranscriptReady():
                self._on_transcript(event)
            case TranscriptFailed():
                self._on_transcript_failed(event)
            case PartialTranscript():
                self._on_partial(event)
            case ConfigChanged():
                self._on_config(event)
            case Tick():
                self._on_tick()
            case Closed():
                self._answer.hang_up(now)
                self._closed = True
            case AudioClock():
                self._audio.hear(event.at_s, now)
                self._dispatch(event)
            case SpeechBegan():
                self._speaking = True
                if event.at_s >= self._used_s:  # else it is part of what was committed already
                    self._dispatch(event)
            case SpeechEnded():
                self._speaking = False
                self._dispatch(event)
            case WakeWord() | Typed() | Committed() | InterruptAsked() | Cleared():
                self._dispatch(event)
            case _:  # what is left of the union is work that came back
                self._answer.hear(event, now)
        self._settle()
        return out

    @property
    def history(self) -> History:
        return self._answer.history

    @property
    def wakes_at(self) -> float | None:
        """When `step(Tick(), ...)` is wanted; None: only events matter now."""
        times: list[float] = []
        at = self._answer.wakes_at(self._now)
        if at is not None:
            times.append(at)
        if self.state is State.PAUSE:
            times.append(self._pause_over_at())
        elif self.state is State.HEARING and self._manners.listening:
            times.append(self._audio.late_at(STALL_S) or inf)
        elif self.state is State.JUDGING and self._outcry is not None:
            times.append(self._outcry.heard_at + self._manners.rules.patience_ms / 1000)
        return min(times) if times else None

    def _dispatch(self, event: TurnEvent) -> None:
        name = TABLE[type(event)].get(self.state)
        if name is not None:
            getattr(self, f"_{name}")(event)

    # ---- hearing: the user's sounds -------------------------------------------------------------------------

    def _open_turn(self, event: SpeechBegan) -> None:
        self._begin_turn(self._with_preroll(event.at_s), woken=self._gate.is_open(event.at_s))

    def _begin_turn(self, from_s: float, *, woken: bool = False) -> None:
        turn = Turn(self._number(), from_s, woken)
        self._turn = turn
        self._gate.waiting = False
        self._do(Listen(turn.number, turn.from_s))
        if not self._gate.enabled or woken or not self._gate.acoustic:
            turn.told = True
            self._tell(SpeechStarted(turn.from_s))
        self._go(State.HEARING)

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

    # ---- asleep: only watching ------------------------------------------------------------------------------

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
        self._tell(WakeOut(event.word, event.score, event.end_s))
        if self.state in (State.THINKING, State.SPEAKING, State.JUDGING):
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
                self._turn = Turn(self._number(), self._with_preroll(began), woken=True)
                self._quiet_s = event.start_s
                self._start_revision(self._turn, event.start_s, event.start_s)
                self._confirm()
                self._used_s = event.end_s
            case _ if self._turn is not None:
                self._turn.woken = True
            case _ if began is not None:
                self._begin_turn(self._with_preroll(began), woken=True)
                self._pause_if(quiet)
            case _:
                self._gate.woken_alone(self._audio.s)
                self._rest()

    def _pause_if(self, quiet_s: float | None) -> None:
        """The speech of a turn that is opened late may be over already."""
        if quiet_s is not None and not self._speaking:
            self._pause(SpeechEnded(quiet_s))

    # ---- judging: a sound over the answer -------------------------------------------------------------------

    def _start_judging(self, event: SpeechBegan) -> None:
        """With a wake word on, only a conversation with a follow-up window can be interrupted without it."""
        conversing = not self._gate.acoustic or self._manners.follow_up_s > 0
        if not self._manners.barge_in or not conversing:
            self._missed_s = event.at_s
            return
        turn = Turn(self._number(), self._with_preroll(event.at_s), woken=True)
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

    # ---- what the client asks -------------------------------------------------------------------------------

    def _typed(self, event: Typed) -> None:
        request = self._gate.admit(event.text, woken=False, typed=True, at_s=self._audio.s)
        if request.problem is not None or not request.text:
            self._refuse(request, typed=True)
            return
        self._interrupt()
        self._drop_turn()
        revision = self._start_revision(None, None, None)
        revision.text = event.text
        revision.request = request.text
        revision.confirmed = True
        revision.ledger.mark(Stage.ENDPOINT, self._now)
        self._tell(TranscriptOut(request.text, True))
        self._give_answer(revision)

    def _commit(self, event: Committed) -> None:
        """The client ends the turn: the open one, or in manual mode all audio since the last."""
        if self.state is State.PAUSE:
            self._confirm()
            return
        answering = self.state in (State.THINKING, State.SPEAKING, State.JUDGING)
        if answering and self._manners.listening and self._outcry is None:
            return  # a client with its own endpointing, a little later than ours
        began = self._outcry.turn.from_s if self._outcry is not None else None
        self._interrupt()
        if self._turn is None:
            from_s = began if began is not None else max(self._used_s, event.at_s - self._manners.max_turn_s)
            if event.at_s - from_s < ALONE_S / 2:
                self._tell(ErrorOut("empty_audio", "There is no audio to commit", "send audio before end_turn"))
                return
            self._turn = Turn(self._number(), from_s, woken=self.state is not State.ASLEEP)
            self._do(Listen(self._turn.number, from_s))
        self._quiet_s = event.at_s
        self._start_revision(self._turn, None, None)
        self._confirm()
        self._used_s = event.at_s

    def _stop(self, event: InterruptAsked) -> None:
        self._interrupt()
        if self._turn is None:
            self._rest()

    def _clear(self, event: Cleared) -> None:
        self._used_s = event.at_s
        if self.state in (State.HEARING, State.PAUSE):
            self._answer.abandon()
            self._drop_turn()
            self._rest()

    # ---- a revision's way: transcript, tokens, speech ---------------------------------------------------------

    def _on_partial(self, event: PartialTranscript) -> None:
        if self._outcry is not None and event.turn == self._outcry.turn.number:
            self._outcry.text = event.text or self._outcry.text
            self._judge()
        elif self._turn is not None and event.turn == self._turn.number and event.text != self._turn.partial:
            self._turn.partial = event.text
            if event.text and self.state in (State.HEARING, State.PAUSE) and self._turn.told:
                self._tell(TranscriptOut(event.text, False))

    def _on_transcript(self, event: TranscriptReady) -> None:
        if self._outcry is not None and event.revision == self._outcry.revision:
            self._outcry.text = event.text
            self._judge()
            return
        revision = self._answer.of(event.revision)
        if revision is None:
            return
        revision.text, revision.progress_at = event.text, self._now
        revision.ledger.mark(Stage.TRANSCRIPT, self._now)
        if revision.confirmed:
            self._accept(revision)
        elif self._settings.speculate:
            request = self._admit(revision)
            if request.problem is None and request.text:
                revision.request = request.text
                self._answer.think(revision)

    def _on_transcript_failed(self, event: TranscriptFailed) -> None:
        if self._outcry is not None and event.revision == self._outcry.revision:
            self._outcry.text = ""
            self._judge()
            return
        revision = self._answer.of(event.revision)
        if revision is None:
            return
        self._tell(ErrorOut(event.code, event.message, event.hint))
        self._no_answer()

    # ---- deciding -------------------------------------------------------------------------------------------

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

    # ---- every step ends here -------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Order the next clause, send what is due, and notice that a reply is over."""
        if self._answer.pump(self._now) and self.state is State.THINKING:
            self._go(State.SPEAKING)
        reply = self._answer.reply
        if reply is not None and reply.is_over(self._now) and self.state in (State.THINKING, State.SPEAKING):
            self._tell(TextOut(reply.id, "", is_final=True))
            self._finish()

    def _finish(self) -> None:
        self._answer.complete(self._now, interrupted=False)
        self._gate.follow_up(self._audio.s, self._manners.follow_up_s)
        self._rest()

    def _on_tick(self) -> None:
        if self.state is State.PAUSE and self._now >= self._pause_over_at():
            self._confirm()
        elif self.state is State.HEARING and self._now >= (self._audio.late_at(STALL_S) or inf):
            self._pause(SpeechEnded(self._audio.s))
        elif self.state is State.JUDGING:
            self._judge()
        if self._answer.overdue(self._now):
            self._tell(ErrorOut("reply_timeout", "The answer did not come", "is the model loaded? try again"))
            if self._outcry is not None:
                self._interrupt()
            else:
                self._finish()

    def _on_config(self, event: ConfigChanged) -> None:
        old, self.config = self.config, event.config
        self._answer.config = event.config
        self._manners = Manners(event.config, self._settings)
        if old.wake != event.config.wake:
            self._gate = Gate(event.config.wake, self._audible)
            if self.state in (State.ASLEEP, State.IDLE):
                self._rest()

    # ---- small things ---------------------------------------------------------------------------------------

    def _refuse(self, request: Request, *, typed: bool) -> None:
        event = refusal(request, asked=typed or not self._manners.listening)
        if event is not None:
            self._tell(event)

    def _admit(self, revision: Revision) -> Request:
        woken = revision.turn is not None and revision.turn.woken
        return self._gate.admit(revision.text or "", woken=woken, typed=False, at_s=self._audio.s)

    def _start_revision(self, turn: Turn | None, until_s: float | None, quiet_s: float | None) -> Revision:
        """`quiet_s`: where in the audio the user fell silent; None for now."""
        fell_silent = self._now if quiet_s is None else self._audio.when(quiet_s, self._now)
        return self._answer.begin(self._number(), turn, until_s, fell_silent, self._now)

    def _drop_turn(self) -> None:
        if self._answer.revision is not None and not self._answer.revision.confirmed:
            self._answer.abandon()
        if self._turn is not None:
            self._do(StopListening(self._turn.number))
            self._turn = None

    def _rest(self) -> None:
        """Nothing is going on: listen, or sleep; speech that could not interrupt is heard now."""
        missed, self._missed_s = self._missed_s, None
        self._quiet_s = self._watched_s = None
        self._go(State.ASLEEP if self._gate.shut(self._audio.s) else State.IDLE)
        if missed is not None and self._speaking and self.state is State.IDLE and self._manners.listening:
            self._begin_turn(self._with_preroll(missed))

    def _go(self, state: State) -> None:
        before, self.state = self.state, state
        shown = SHOWN.get(state, state.value)
        if shown != SHOWN.get(before, before.value):
            self._tell(StateOut(shown))

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _with_preroll(self, at_s: float) -> float:
        """Audio from before the onset, but none of an earlier turn's."""
        return max(self._used_s, at_s - self._manners.preroll_s, 0.0)

    def _pause_over_at(self) -> float:
        """The wall clock's word on a pause, for a microphone that stopped; not while audio still comes."""
        over = self._paused_at + self._manners.silence_s - self._manners.pause_s + SLACK_S
        return max(over, self._audio.late_at(SLACK_S) or over)

    def _do(self, action: Action) -> None:
        self._answer.out.append(action)

    def _tell(self, event: ServerEvent) -> None:
        self._answer.out.append(Tell(event))
