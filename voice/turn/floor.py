"""The floor of a conversation: whose turn it is, and the small moves that every rule makes. Pure.

`TurnMachine` (machine.py) is made of layers, one subject each; a layer knows those below it:

    machine.py   events in, work that came back, time
    ahead.py     what is done with words before they are known for sure
    requests.py  what the client asks for
    waking.py    wake words
    judging.py   a sound over the answer
    weighing.py  what such a sound is judged by
    deciding.py  when the user has finished, and what happens to the answer then
    noting.py    turns that are written down and not answered
    pieces.py    turns that are too long for one transcript
    floor.py     the state they share
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from voice.ears.audio_time import AudioTime
from voice.session.config import SessionConfig
from voice.session.incoming import Respond
from voice.session.outgoing import ServerEvent, SpeechStarted, SpeechStopped, StateOut
from voice.settings import ToolSettings, TurnSettings
from voice.turn.actions import Abandon, Action, Listen, StopListening, Tell
from voice.turn.answer import Answer
from voice.turn.bargein import LONGEST_STOP_MS, is_phrase, known_stops
from voice.turn.bracing import Brace
from voice.turn.endpointing import ECHO_S, POST_PATIENCE_S, SLACK_S, TurnPolicy
from voice.turn.events import AudioClock
from voice.turn.foresight import Foresight
from voice.turn.gate import Gate, Request, refusal
from voice.turn.history import History
from voice.turn.lost_request import LostRequest
from voice.turn.missed_speech import MissedSpeech
from voice.turn.nearness import Nearness
from voice.turn.out_of_band import OutOfBandReplies
from voice.turn.own_voice import OwnVoice
from voice.turn.revision import Overlap, Revision, Turn
from voice.turn.states import SHOWN, State
from voice.turn_detection.habits import Habits
from voice.turn_detection.spec import Pause

__all__ = ["Floor"]


class Floor:
    """The state of a session's conversation. `audible` are the wake words that the ears can hear, `server_tools` the
    schemas of the tools that the server runs."""

    def __init__(
        self,
        config: SessionConfig,
        settings: TurnSettings,
        *,
        audible: frozenset[str] = frozenset(),
        history: History | None = None,
        system_prompt: str = "",
        tools: ToolSettings | None = None,
        server_tools: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        scoring: bool = False,
        language: str = "auto",
    ) -> None:
        """`scoring`: the session can answer ScoreTurn; `language`: as in MachineStart."""
        self.config = config
        self._settings = settings
        kept = history if history is not None else History()
        self._answer = Answer(config, settings, kept, system_prompt, tools, server_tools, language)
        self._out_of_band = OutOfBandReplies(self._answer)
        self._audible = audible
        self._gate = Gate(config.wake, audible)
        self._habits = Habits()
        self._foresight = Foresight()
        self._own = OwnVoice("present" if config.turn.echo == "speaker" else "absent")
        self._near = Nearness(settings.far_voice_db)
        self._scoring = scoring
        self._policy = TurnPolicy(config, settings, self._habits, scoring=scoring)
        self.state = State.ASLEEP if self._gate.shut(0.0) else State.IDLE
        self._shown = self.state.value
        self._turn: Turn | None = None
        self._overlap: Overlap | None = None
        self._overheard_sound: Overlap | None = None
        """A sound over a reply that only a stop word may end: with a wake word, nothing is held for it."""
        self._let_go: Overlap | None = None
        """A murmur that the reply went on after, before the silence after it was a pause."""
        self._doubted: Overlap | None = None
        """A short sound that the reply went on after, before its words were known."""
        self._stops = known_stops(settings.stop_words)
        self._brace = Brace()
        self._notes: dict[int, Revision] = {}  # turns that are over and will not be answered, by revision
        self._heads: dict[int, str | None] = {}  # pieces of a long turn that is not committed yet, see pieces.py
        self._wish: Respond | None = None  # a reply that the client asked for and that has to wait
        self._early: list[Respond] = []  # replies about items whose words are awaited
        self._watched_s: float | None = None  # onset of the utterance that is only watched
        self._quiet_s: float | None = None  # end of the last speech, while nothing followed
        self._paused_at = 0.0
        self._audio = AudioTime()
        self._used_s = 0.0  # audio before this belongs to earlier turns
        self._missed = MissedSpeech()
        self._lost: LostRequest | None = None
        self._word = ""  # the wake word that was ours last
        self._speaking = False
        self._numbers = 0
        self._closed = False
        self._now = 0.0

    @property
    def history(self) -> History:
        return self._answer.history

    @property
    def busy(self) -> bool:
        """Somebody speaks, or is about to."""
        return self.state not in (State.IDLE, State.ASLEEP)

    def playing(self, now: float) -> tuple[str, float, str] | None:
        """The reply that is being told: its name, seconds of it played by `now`, its text so far."""
        revision, reply = self._answer.revision, self._answer.reply
        if revision is None or reply is None or not revision.answering:
            return None
        return reply.id, reply.playout.position(now), reply.text

    @property
    def open_calls(self) -> tuple[str, ...]:
        """The ids of the tool calls that a reply waits for."""
        revision = self._answer.revision
        waits = revision is not None and revision.rounds.begun_at is not None
        return tuple(call.id for call in revision.rounds.open) if revision is not None and waits else ()

    def _begin_turn(self, from_s: float, *, woken: bool = False, called: bool = False) -> None:
        self._turn = turn = self._new_turn(from_s, woken)
        turn.called = called
        self._gate.waiting = False
        self._missed.forget()
        self._do(Listen(turn.number, turn.from_s))
        if not self._gate.enabled or woken or not self._gate.acoustic:
            turn.told = True
            self._tell(SpeechStarted(turn.from_s, turn.item))
        self._read_ahead(turn, "")
        self._go(State.HEARING)

    def _read_ahead(self, turn: Turn, words: str) -> None:
        """Let the model read what is known of its next prompt, if it is one: nobody pays for what is overheard."""
        if self._settings.speculate and self._policy.answers and (turn.told or turn.woken):
            turn.read, turn.read_at = words, self._now
            self._answer.read_ahead(words)

    def _new_turn(self, from_s: float, woken: bool) -> Turn:
        turn = Turn(self._number(), from_s, self.history.new_id(), woken)
        for level_db in self._near.lately(self._audio.s):
            turn.loudness.hear(level_db)
        return turn

    def _start_revision(
        self, turn: Turn | None, until_s: float | None, quiet_s: float | None, *, committed: bool = False
    ) -> Revision:
        """`quiet_s`: where in the audio the user fell silent; None for now. `committed`: by the client, which means
        all that it sent."""
        fell_silent = self._now if quiet_s is None else self._audio.when(quiet_s, self._now)
        heard_s = None if committed else self._audio.s
        self._answer.abandon()
        revision = self._answer.write_down(self._number(), turn, until_s, fell_silent, self._now, heard_s)
        self._answer.revision = revision
        revision.quiet_s = quiet_s
        return revision

    def _drop_turn(self) -> None:
        if self._answer.revision is not None and not self._answer.revision.confirmed:
            self._answer.abandon()
        turn, self._turn = self._turn, None
        if turn is not None:
            self._do(StopListening(turn.number))
            if turn.told:  # whoever was told that speech started is told that it is over
                self._tell(SpeechStopped(self._audio.s if self._quiet_s is None else self._quiet_s, turn.item))

    def _drop_prepared(self, revision: Revision) -> None:
        """The answer that is not heard yet; the words of the turn stay."""
        if revision.reply is not None:
            for number in revision.numbers:
                self._do(Abandon(number))
            revision.drop_answer(self._number())

    def _rest(self) -> None:
        """Nothing is going on: listen, or sleep."""
        self._stop_overhearing()
        self._drop_doubted()
        self._quiet_s = None
        self._watched_s = self._watched_s if self._speaking else None
        self._go(self._at_rest)

    def _stop_overhearing(self) -> None:
        sound, self._overheard_sound = self._overheard_sound, None
        if sound is not None:
            if sound.revision:
                self._do(Abandon(sound.revision))
            self._do(StopListening(sound.turn.number))

    def _drop_doubted(self) -> None:
        sound, self._doubted = self._doubted, None
        if sound is not None:
            self._do(Abandon(sound.revision))
            self._do(StopListening(sound.turn.number))

    def _go(self, state: State) -> None:
        self.state = state
        self._show()

    def _show(self) -> None:
        """Tell the state, if it is another one for the client."""
        before, self._shown = self._shown, self.shown
        if self._shown != before:
            self._tell(StateOut(self._shown))

    @property
    def shown(self) -> str:
        """What a client is told of the state. Nobody thinks about a stop: we listen again as soon as it was said."""
        revision = self._answer.revision
        if self.state in (State.PAUSE, State.THINKING) and revision is not None and self._is_stop(revision):
            return self._at_rest.value
        if self.state is State.JUDGING and self._overlap is not None and self._overlap.spoken_over:
            return State.SPEAKING.value
        return SHOWN.get(self.state, self.state.value)

    @property
    def _at_rest(self) -> State:
        return State.ASLEEP if self._gate.shut(self._audio.s) else State.IDLE

    def _is_stop(self, revision: Revision) -> bool:
        """It ended a reply and is a stop word and nothing else, by the transcript or, for so short a turn, by what
        was spotted."""
        turn, stops, words = revision.turn, self._stops, (revision.text or "").split()
        if turn is None or not turn.over_reply or revision.answering:
            return False
        if revision.text is None and is_phrase(turn.partial, stops):
            return True  # for now
        short_s = (revision.quiet_s or self._audio.s) - turn.from_s - self._policy.preroll_s
        short = short_s * 1000 <= LONGEST_STOP_MS and len(words) <= len(turn.spotted.split()) + 1
        return is_phrase(revision.text or "", stops) or (short and is_phrase(turn.spotted, stops))

    # ---- small things ---------------------------------------------------------------------------------------

    def _refuse(self, request: Request, *, typed: bool) -> None:
        event = refusal(request, asked=typed or not self._policy.listening)
        if event is not None:
            self._tell(event)

    def _admit(self, revision: Revision) -> Request:
        woken = revision.turn is not None and revision.turn.woken
        return self._gate.admit(revision.text or "", woken=woken, typed=False, at_s=self._audio.s)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _with_preroll(self, at_s: float) -> float:
        """Audio from before the onset, but none of an earlier turn's."""
        return max(self._used_s, at_s - self._policy.preroll_s, 0.0)

    def _pause_over_at(self) -> float:
        """The wall clock's word on a pause, for a microphone that stopped; not while audio still comes."""
        over = self._paused_at + self._patience_s() - self._policy.pause_s + SLACK_S
        return max(over, self._audio.late_at(SLACK_S) or over)

    # ---- our own voice --------------------------------------------------------------------------------------

    def _remember_said(self) -> None:
        reply = self._answer.reply
        if reply is not None and reply.playout.sent_s > 0:
            self._own.remember(reply.said(0.0), self._audio.s)

    def _may_be_us(self, from_s: float, after_s: float = ECHO_S) -> bool:
        """Sound from `from_s` on may be our own voice."""
        speaking = self.state in (State.SPEAKING, State.BRACED, State.JUDGING)
        return self._own.may_be(from_s, speaking=speaking, after_s=after_s)

    @property
    def _echo_learning(self) -> bool:
        return self._own.learning(self._audio.s)

    # ---- voices that are far --------------------------------------------------------------------------------

    def _hear_level(self, event: AudioClock) -> None:
        """How loud it is, for whoever is listened to."""
        if event.level_db is None or not event.voiced:
            return
        ours = self._may_be_us(event.at_s) and (not self._own.cancelled or self._echo_learning)
        self._near.hear(event.level_db, event.at_s, echo=self._own.cancelled, sure=not ours)
        sound = self._overlap or self._overheard_sound
        turn = self._turn if sound is None else sound.turn
        if turn is not None:
            turn.loudness.hear(event.level_db)
            if self._near.is_near(event.level_db, event.at_s, echo=self._own.cancelled):
                turn.near_s = event.at_s

    def _is_far(self, sound: Turn) -> bool:
        return self._near.is_far(sound.loudness, self._audio.s, echo=self._own.cancelled)

    def _far_voice_now(self, at_s: float) -> bool:
        """There has been a far voice, and what speaks now is no nearer."""
        return self._near.expects(at_s) and self._near.far_now(at_s, echo=self._own.cancelled)

    def _near_voice_now(self, at_s: float) -> bool:
        """Somebody near begins to speak while a far voice goes on, so that no detector sees a beginning."""
        return self._speaking and self._near.near_now(at_s, echo=self._own.cancelled)

    def _patience_s(self) -> float:
        """How much silence ends the open turn, by what is known of the pause so far."""
        revision = self._answer.revision
        if revision is None:
            return self._policy.silence_s
        silence_s = self._policy.detector.silence_s(Pause(revision.text, revision.over))
        if self._gate.closes and (revision.text is None or self._admit(revision).problem == "wake_word_required"):
            silence_s = max(silence_s, POST_PATIENCE_S)
        return min(silence_s, self._policy.deadline_s)

    def _do(self, action: Action) -> None:
        self._answer.out.append(action)

    def _tell(self, event: ServerEvent) -> None:
        self._answer.out.append(Tell(event))
