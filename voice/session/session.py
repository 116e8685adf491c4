"""The shell of one connected session: it carries events in and actions out, and decides nothing.

bytes -> codec -> audio -> ring, ears -> events -> TurnMachine.step -> actions -> recogniser, model, synthesiser
-> events -> TurnMachine.step -> actions -> codec -> bytes.

`_hear` is synchronous and is called by every task that has something to tell the machine, so events reach it in
order and at once. All tasks belong to one task group; those of a revision can be cancelled
together by its number.

Why this file is long: the connection that comes, goes and comes back, and the audio and events that must not be lost
meanwhile, are one order of things; taken apart, each half would have to know the state of the other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from math import inf

import anyio
import anyio.lowlevel
import numpy as np
import structlog

from models.errors import ParleyError
from voice.ears.ears import Ear
from voice.ears.echo_guard import EchoGuard
from voice.ears.events import AudioLost, EarEvent, EarFailed, VadFrame, WakeHeard
from voice.ears.intake import RATE_HZ, Intake
from voice.ears.ring import AudioRing
from voice.ears.segmenter import Offset, Onset, Segmenter
from voice.ears.soft_onset import SoftOnset
from voice.errors import FrameTooLarge, NothingToResume
from voice.port import Pcm
from voice.protocols.live import LiveCodec
from voice.protocols.port import Codec, Draft
from voice.session import incoming
from voice.session.config import SessionConfig
from voice.session.connection import Channel, ClientClosed, Connection
from voice.session.outgoing import (
    AudioOut,
    ErrorOut,
    Interrupted,
    ItemAdded,
    Pong,
    ServerEvent,
    StateOut,
    ToolCallOut,
    TranscriptOut,
    TurnComplete,
    WakeWordRequired,
)
from voice.session.resume import AwayTime, Resumable, Resumed, SentAudio, Unsent
from voice.session.rivals import Enter, Rivals
from voice.session.watcher import Watcher
from voice.session.work import SessionParts, Work
from voice.settings import VoiceSettings
from voice.turn import events as heard
from voice.turn.actions import Action, Contest, Tell
from voice.turn.history import History
from voice.turn.machine_start import MachineStart
from voice.turn.tool_rounds import MAX_CALLS

__all__ = ["Channel", "ClientClosed", "Session", "SessionParts"]

MAX_ERRORS = 50
"""Frames in a row that make no sense, after which the connection is closed."""
RING_SLACK_S = 10.0
FADING = 0.2
"""Over the threshold of speech: a voice that may be ending. Silero falls below this up to three frames before it
says silence; on 92 recordings the worst delay falls from 196 to 164 ms, for 0.1 more wrong guesses a request."""
RESUME_WAIT_S = 0.5
"""A client that is back says within this time where it stopped playing; else our own clock says it."""
TAKEN_OVER = 4001
"""Close code: the client has connected anew."""
LOST_S = 8.0
"""So long after another device was woken, what this one hears is the request to the other."""
SILENCE = np.zeros(0, np.int16)

log = structlog.get_logger(__name__)


class Session:
    """`run(channel)` serves one connection to its end; `history` outlives it. `token` is never logged.

    `codec` is the protocol that the client speaks; the live protocol where none is given. `on_turn` is called with
    every finished turn, `on_update` with every changed configuration, `on_item` when the conversation has
    grown; `watch` gives those who look on. `anew`: the client wanted to go on with a conversation that is over.
    """

    def __init__(
        self,
        name: str,
        token: str,
        owner: str,
        config: SessionConfig,
        settings: VoiceSettings,
        parts: SessionParts,
        history: History,
        *,
        codec: Codec | None = None,
        on_turn: Callable[[TurnComplete], None] = lambda turn: None,
        on_update: Callable[[SessionConfig], None] = lambda config: None,
        contest: Enter = lambda claim: None,
        on_item: Callable[[], None] = lambda: None,
        watch: Callable[[MachineStart], Sequence[Watcher]] = lambda start: (),
        anew: bool = False,
    ) -> None:
        self.config = config
        self._name, self._token = name, token
        self._settings, self._parts = settings, parts
        self._on_turn, self._on_update, self._on_item = on_turn, on_update, on_item
        self._anew = anew
        self._codec: Codec = LiveCodec(config) if codec is None else codec
        self._intake = Intake(config.audio)
        self._echo = EchoGuard(config.turn.echo)
        self._ring = AudioRing(settings.turn.max_turn_s + RING_SLACK_S)
        self._rivals = Rivals(name, self._ring, parts.clock, contest)
        self._segmenter, self._soft_onset = self._new_segmenter(), SoftOnset()
        start = MachineStart(
            config,
            settings.turn,
            audible=tuple(parts.ears.known_words()),
            items=history.items,
            system_prompt=settings.llm.system_prompt,
            tools=settings.tools,
            server_tools=parts.tools.schemas if parts.tools is not None else {},
            scoring=parts.scorer is not None,
        )
        self._machine = start.machine(history)
        self._watchers = watch(start)
        self.released = anyio.Event()
        """Set by whoever ran the session, when another one may be run in its place."""
        self._line: Connection | None = None
        self._next: Connection | None = None
        self._returned = anyio.Event()
        self._reader = anyio.CancelScope()
        self._over = False
        self._time, self._sent, self._unsent = AwayTime(), SentAudio(), Unsent()
        self._calls: OrderedDict[str, ToolCallOut] = OrderedDict()  # that the client was told to run
        self._input_samples = self._input_bytes = 0
        self._lost_at = -inf  # when another device was woken by what was said to both
        self._announce = False  # on a new connection the first audio says which clause it belongs to
        self._work = Work(name, owner, config, settings, parts, self._ring, self._hear)
        self._errors = 0
        self._rearm = anyio.Event()
        self._ear_events: list[EarEvent] = []  # bounded by the ears: they hold seconds of audio
        self._ear_news = anyio.Event()

    @property
    def state(self) -> str:
        return self._machine.state.value

    @property
    def connected(self) -> bool:
        return self._line is not None

    async def run(self, channel: Channel) -> None:
        """Serve until the client leaves for good. Leaves no task, stream or KV sequence behind.

        A client whose connection drops may come back through `resume` within `resume_grace_s`; so long time stands
        still for the conversation, and what was begun for it is finished.

        Raises ClientTooSlow when more waits for the client than is kept.
        """
        first = line = Connection(channel, self._name, self._leaves)
        ear: Ear | None = None
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = self._work.tasks = tasks
                ear = self._parts.ears.open(self._listened, self._wake_words(), self._settings.wake.threshold)
                self._ear = ear
                self._line = line
                self._send(self._greeting())
                self._hear(heard.EchoHeard(self._echo.state))
                tasks.start_soon(self._tick)
                tasks.start_soon(self._attend)
                while not await self._serve(line) and not self._over:
                    back = await self._wait_for_return(line)
                    if back is None:
                        break
                    line = back
                self._over = True
                tasks.cancel_scope.cancel()
        finally:
            self._over = True
            self._hear(heard.Closed())
            for left in (first, self._line, self._next):
                if left is not None:
                    left.discard()
                    left.over.set()
            if ear is not None:
                ear.close()
            for watcher in self._watchers:
                watcher.ended(self._now())
            with anyio.CancelScope(shield=True), anyio.move_on_after(2.0):
                await self._parts.forget(self._name)
        first.check()

    async def resume(self, channel: Channel) -> bool:
        """Go on over this connection, and serve it to its end; one that is open is closed with 4001.

        False: there is nothing to go on with; nothing was said on the connection. Raises ClientTooSlow.
        """
        if self._over or not isinstance(self._codec, Resumable):
            return False
        line = Connection(channel, self._name, self._leaves)
        for older in (self._next, self._line):
            if older is not None:
                older.served = True
                self._tasks.start_soon(self._close, older, TAKEN_OVER, "connected elsewhere")
        self._next = line
        self._returned.set()
        self._reader.cancel()
        await line.over.wait()
        line.discard()
        line.check()
        return line.served

    async def close(self, code: int, reason: str) -> None:
        """End the session from our side, and its connection with this code."""
        if not self._over:
            self._over = True
            if self._line is not None:
                self._tasks.start_soon(self._close, self._line, code, reason)
            self._returned.set()
            self._reader.cancel()

    async def _close(self, line: Connection, code: int, reason: str) -> None:
        with anyio.CancelScope(shield=True):
            await line.channel.close(code, reason)
        line.over.set()

    # ---- a connection ---------------------------------------------------------------------------------------

    async def _serve(self, line: Connection) -> bool:
        """True if the session is over with this connection."""
        over, line.served = False, True
        async with anyio.create_task_group() as group:
            self._reader = group.cancel_scope
            group.start_soon(line.write)
            try:
                over = await self._read(line, await self._greet(line) if self._time.away else None)
            except ClientClosed as closed:
                over = closed.final or not self._machine.busy
            except anyio.EndOfStream:
                over = False
            if over:
                await line.finish()
            group.cancel_scope.cancel()
        return over

    async def _wait_for_return(self, line: Connection) -> Connection | None:
        """Nobody is there: time stands still until the client is back (its connection), or is not (None)."""
        grace_s = self.config.resume_grace_s
        if grace_s is None:
            grace_s = self._settings.resume_grace_s
        if not isinstance(self._codec, Resumable) or (grace_s <= 0 and self._next is None):
            return None
        self._time.leave(self._parts.clock.now())
        self._line = None
        for event in line.undelivered():
            self._unsent.add(event)
        if self._next is None:
            line.over.set()
            log.info("session.away", session=self._name, state=self.state)
            with anyio.move_on_after(grace_s):
                await self._returned.wait()
        self._line, self._next, self._returned = self._next, None, anyio.Event()
        return self._line

    def _greeting(self) -> Sequence[Draft]:
        if self._anew and isinstance(self._codec, Resumable):
            return self._codec.begun_anew(self._token)
        return self._codec.opened(self._token)

    async def _greet(self, line: Connection) -> str | bytes | None:
        """Tell a client that is back where things stand, and go on. Gives its first frame if that is another one."""
        assert isinstance(self._codec, Resumable)
        reply, played_s, text = self._machine.playing(self._now()) or ("", 0.0, "")
        facts = Resumed(
            self._machine.shown,
            self._input_samples,
            self._input_bytes,
            reply,
            round(played_s * 1000, 1),
            text,
            self._open_calls(),
        )
        line.send(self._codec.resumed(self._token, facts))
        frame: str | bytes | None = None
        with anyio.move_on_after(RESUME_WAIT_S):
            frame = await line.channel.receive()
        position = _position(self._codec, frame)
        self._go_on(position)
        return frame if position is None else None

    def _open_calls(self) -> tuple[ToolCallOut, ...]:
        """Those that were told and may not have arrived."""
        waiting = self._unsent.calls()
        names = (name for name in self._machine.open_calls if name in self._calls and name not in waiting)
        return tuple(self._calls[name] for name in names)

    def _go_on(self, position: incoming.Resume | None) -> None:
        """Say what could not be said, send the audio again that the client has not played, and let time pass."""
        self._time.come_back(self._parts.clock.now())
        playing, reply = self._machine.playing(self._now()), self._sent.reply
        at_s: float | None = None
        if position is not None and position.reply is not None:
            at_s = position.ms / 1000 if position.reply == reply else 0.0
        elif playing is not None and playing[0] == reply:
            at_s = playing[1]
        if self._unsent.interrupted(reply):
            at_s = None
        pieces = self._sent.since(at_s) if at_s is not None else []
        self._announce = not pieces
        self._echo.came_back(self._parts.clock.now())
        for event in self._unsent.take():
            self._send(self._codec.tell(event), event)
        for piece in pieces:
            self._send(self._codec.tell(piece), piece)
        log.info("session.resumed", session=self._name, state=self.state)
        if at_s is not None and position is not None:
            self._hear(heard.PlayedReport(reply, at_s * 1000))
        self._rearm.set()

    # ---- ears -----------------------------------------------------------------------------------------------

    async def _read(self, line: Connection, frame: str | bytes | None) -> bool:
        """Hear the client, beginning with `frame`. True: it is over; raises EndOfStream when the client is gone."""
        channel = line.channel
        while True:
            if frame is None:
                with anyio.move_on_after(self._settings.idle_close_s):
                    frame = await channel.receive()
            if frame is None:
                await channel.close(4000, "idle")
                return True
            try:
                for said in self._codec.receive(frame):
                    if isinstance(said, incoming.Close):
                        return True
                    if callable(said):
                        self._send((said,))
                    else:
                        self._client_said(said)
                self._errors = 0
            except FrameTooLarge as error:
                self._complain(error)
                await anyio.lowlevel.checkpoint()
                await channel.close(1009, error.code)
                return True
            except ParleyError as error:
                self._complain(error)
                self._errors += 1
                if self._errors >= MAX_ERRORS:
                    await channel.close(1008, "too many invalid frames")
                    return True
            frame = None
            await line.room()

    def _client_said(self, event: incoming.ClientEvent) -> None:
        match event:
            case incoming.RawAudio(data=data):
                self._input_samples += len(data) // 2
                self._audio(self._intake.raw(data))
            case incoming.ContainerAudio():
                if event.data:
                    self._input_bytes += len(event.data)
                    self._audio(self._intake.container(event.data))
                if event.transcript:
                    self._say(TranscriptOut(event.transcript, event.is_final))
            case incoming.EndTurn(transcript=text, event_id=event_id):
                incoming.check_length(text or "")
                if text and text.strip():
                    self._lost_at = -inf  # written, and not said to both
                    self._hear(heard.Typed(text))
                else:
                    self._hear(heard.Committed(self._ring.end / RATE_HZ, event_id))
            case incoming.Interrupt():
                self._hear(heard.InterruptAsked())
            case incoming.Ping():
                self._say(Pong())
            case incoming.Played():
                self._hear(heard.PlayedReport(event.reply, event.ms))
            case incoming.Clear():
                self._hear(heard.Cleared(self._ring.end / RATE_HZ))
            case incoming.Update(fields=fields):
                self._reconfigure(self._codec.apply(fields))
            case incoming.AddMessage(message=message):
                incoming.check_length(message.content)
                self._hear(event)
            case incoming.Respond(options=options):
                incoming.check_length("".join(message.content for message in options.input or ()), incoming.MAX_INPUT)
                self._hear(event)
            case incoming.DeleteItem() | incoming.CancelResponse() | incoming.Truncate():
                self._hear(event)
            case incoming.ToolResult(output=output):
                incoming.check_length(output, incoming.MAX_INPUT)
                self._hear(event)
            case incoming.Resume():
                raise NothingToResume("There is nothing to resume")
            case incoming.Close():
                raise AssertionError("handled by the reader")

    def _audio(self, pcm: Pcm) -> None:
        if len(pcm):
            before, pcm = self._echo.finding, self._echo.hear(pcm, self._parts.clock.now())
            self._ring.rewrite(self._echo.take_past())
            if self._echo.finding != before:
                self._echo_known()
        if len(pcm):
            self._ring.append(pcm)
            for watcher in self._watchers:
                watcher.heard(pcm)
            self._ear.feed(pcm)
            self._work.audio_came()

    def _echo_known(self) -> None:
        """From here on the audio is without our voice: what was heard of it so far is over."""
        if self._echo.state == "present":
            self._segmenter = self._new_segmenter()
        self._hear(heard.EchoHeard(self._echo.state))

    def _listened(self, events: list[EarEvent]) -> None:
        """The ears' callback: it runs in the event loop, but in no task, so it only passes on."""
        self._ear_events.extend(events)
        self._ear_news.set()

    async def _attend(self) -> None:
        while True:
            await self._ear_news.wait()
            self._ear_news = anyio.Event()
            events, self._ear_events = self._ear_events, []
            self._take_in(events)

    def _take_in(self, events: list[EarEvent]) -> None:
        """What the ears made of the audio, in order."""
        for event in events:
            match event:
                case VadFrame(probability=probability, end_s=end_s, level_db=level_db):
                    self._soft_onset.hear(probability, level_db, end_s)
                    edge = self._segmenter.step(probability, end_s)
                    voiced = self._segmenter.voiced or probability >= self._threshold
                    if edge is not None:
                        self._hear(self._edge(edge))
                    fading = probability < self._threshold + FADING
                    self._hear(heard.AudioClock(end_s, voiced, fading, self._segmenter.rising))
                case WakeHeard():
                    self._woken(event)
                case AudioLost(start_s=start_s, end_s=end_s):
                    log.warning("ears fell behind", session=self._name, lost_s=round(end_s - start_s, 2))
                case EarFailed(part=part, final=final):
                    log.error("ears failed", session=self._name, part=part, final=final)
                    if final:
                        self._say(ErrorOut("ears_failed", f"The {part} engine failed", "reconnect; see the log"))

    def _edge(self, edge: Onset | Offset) -> heard.TurnEvent:
        if isinstance(edge, Onset):
            return heard.SpeechBegan(edge.at_s, self._soft_onset.begin(edge.at_s))
        return heard.SpeechEnded(edge.at_s)

    def _woken(self, event: WakeHeard) -> None:
        """Where other devices of the user listen, too, the one that heard it best is woken."""
        word = heard.WakeWord(event.word, event.score, event.start_s, event.end_s)
        verdict = self._rivals.contest(event)
        if verdict is None:
            self._hear(word)
        else:
            self._tasks.start_soon(self._await_verdict, word, verdict)

    async def _await_verdict(self, word: heard.WakeWord, verdict: Awaitable[bool]) -> None:
        if await verdict:
            self._hear(word)
            return
        self._lost_at = self._now()
        self._hear(heard.WordLost(word.word, word.start_s, word.end_s))
        self._say(StateOut(self._machine.shown))

    async def _contest_phrase(self, action: Contest) -> None:
        """The same for a word that was found in a transcript."""
        won = await self._rivals.answers(action)
        if not won:
            self._lost_at = self._now()
        self._hear(heard.ContestDecided(action.revision, won))

    # ---- turn -----------------------------------------------------------------------------------------------

    def _hear(self, event: heard.TurnEvent) -> None:
        now = self._now()
        actions = self._machine.step(event, now)
        for watcher in self._watchers:
            watcher.stepped(event, now, actions)
        for action in actions:
            self._act(action)
        self._rearm.set()

    async def _tick(self) -> None:
        """Wake the machine when it asked to be woken."""
        while True:
            self._rearm = anyio.Event()
            at, now = None if self._time.away else self._machine.wakes_at, self._now()
            with anyio.move_on_after(inf if at is None else max(0.0, at - now)):
                await self._rearm.wait()
                continue
            self._hear(heard.Tick())

    def _act(self, action: Action) -> None:
        match action:
            case Tell(event=event):
                self._say(event)
                if isinstance(event, TurnComplete):
                    self._on_turn(event)
                elif isinstance(event, ItemAdded):
                    self._on_item()
            case Contest():
                self._tasks.start_soon(self._contest_phrase, action)
            case _:
                self._work.do(action)

    # ---- out ------------------------------------------------------------------------------------------------

    def _say(self, event: ServerEvent) -> None:
        if isinstance(event, WakeWordRequired) and self._now() - self._lost_at < LOST_S:
            return  # it was said, and another device took it
        if isinstance(event, AudioOut):
            if self._announce and not self._time.away:
                self._announce = False
                event = replace(event, starts_clause=True)
            self._sent.add(event)
        elif isinstance(event, Interrupted):
            self._sent.forget()
        elif isinstance(event, ToolCallOut):
            self._calls[event.call_id] = event
            while len(self._calls) > MAX_CALLS:
                self._calls.popitem(last=False)
        if not self._time.away:
            self._send(self._codec.tell(event), event)
        elif not self._unsent.add(event):
            self._returned.set()  # without a connection: the session ends

    def _send(self, drafts: Sequence[Draft], event: ServerEvent | None = None) -> None:
        if self._line is not None and not self._line.send(drafts, event):
            self._over = True
            self._tasks.cancel_scope.cancel()

    def _leaves(self, event: ServerEvent) -> None:
        if isinstance(event, AudioOut):
            self._echo.sent(event, self._parts.clock.now())
        elif isinstance(event, Interrupted):
            self._echo.stopped(self._parts.clock.now())

    def _now(self) -> float:
        return self._time.now(self._parts.clock.now())

    # ---- configuration --------------------------------------------------------------------------------------

    def _reconfigure(self, config: SessionConfig) -> None:
        old, self.config = self.config, config
        self._codec.config = self._work.config = config
        self._intake.reconfigure(config.audio)
        if old.turn.echo != config.turn.echo:
            self._echo = EchoGuard(config.turn.echo)
            self._hear(heard.EchoHeard(self._echo.state))
        if old.wake != config.wake:
            self._ear.set_wake_words(self._wake_words())
        if old.turn_detection != config.turn_detection:
            self._segmenter = self._new_segmenter()
        self._hear(heard.ConfigChanged(config))
        self._on_update(config)
        self._send(self._codec.updated(self._token))

    def _wake_words(self) -> tuple[str, ...]:
        return self.config.wake.words if self.config.wake.enabled else ()

    @property
    def _threshold(self) -> float:
        asked = self.config.turn_detection.threshold
        return asked if asked is not None else self._settings.vad.threshold

    def _new_segmenter(self) -> Segmenter:
        turn = self._settings.turn
        pause_ms = min(turn.pause_ms, self.config.turn_detection.silence_duration_ms or turn.pause_ms)
        return Segmenter(self._threshold, pause_ms, turn.min_speech_ms)

    def _complain(self, error: ParleyError) -> None:
        for watcher in self._watchers:
            watcher.refused(error.code)
        self._send(self._codec.complain(error))


def _position(codec: Codec, frame: str | bytes | None) -> incoming.Resume | None:
    """Where the client stopped playing, if the frame says that."""
    try:
        said = codec.receive(frame) if frame is not None else ()
    except ParleyError:
        return None  # the reader will complain
    return next((event for event in said if isinstance(event, incoming.Resume)), None)
