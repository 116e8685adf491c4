"""The shell of one connected session: it carries events in and actions out, and decides nothing.

bytes -> codec -> audio -> listening.py -> events -> TurnMachine.step -> actions -> work.py: recogniser, model,
synthesiser -> events -> TurnMachine.step -> actions -> client_writer.py -> codec -> bytes.

`_hear` is synchronous and is called by every task that has something to tell the machine, so events reach it in
order and at once. All tasks belong to one task group; those of a revision can be cancelled
together by its number.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from math import inf

import anyio
import structlog

from models.errors import ParleyError
from voice.ears.echo_prior import EchoPrior
from voice.ears.events import WakeHeard
from voice.ears.ring import AudioRing
from voice.protocols.live import LiveCodec
from voice.protocols.port import Codec, Draft
from voice.session import incoming
from voice.session.client_reader import ClientReader, position_of
from voice.session.client_writer import ClientWriter
from voice.session.config import SessionConfig
from voice.session.connection import Channel, ClientClosed, Connection
from voice.session.listening import Listening
from voice.session.outgoing import (
    ItemAdded,
    ServerEvent,
    StateOut,
    TurnComplete,
    WakeWordRequired,
)
from voice.session.resume import AwayTime, Resumable, Resumed, goes_on_at
from voice.session.spoken_items import SpokenItems
from voice.session.wake_contests import Alone, Room, WakeContests
from voice.session.watcher import Watcher
from voice.session.work import SessionParts, Work
from voice.settings import VoiceSettings
from voice.turn import events as heard
from voice.turn.actions import Action, Contest, Offer, PassOn, Tell
from voice.turn.history import History
from voice.turn.machine_start import MachineStart

__all__ = ["Channel", "ClientClosed", "Session", "SessionParts"]

RING_SLACK_S = 10.0
RESUME_WAIT_S = 2.0
"""A client that is back says so soon where it stopped playing, even over a slow network; else our own clock does."""
TAKEN_OVER = 4001
"""Close code: the client has connected anew."""

log = structlog.get_logger(__name__)


class Session:
    """`run(channel)` serves one connection to its end; `history` outlives it. `token` is never logged.

    `codec` is the protocol that the client speaks; the live protocol where none is given. `on_turn` is called with
    every finished turn, `on_update` with every changed configuration, `on_item` when the conversation has
    grown; `watch` gives those who look on. `anew`: the client wanted to go on with a conversation that is over.
    `echo_prior`: what an earlier session found out of the device.
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
        room: Room | None = None,
        on_item: Callable[[], None] = lambda: None,
        watch: Callable[[MachineStart], Sequence[Watcher]] = lambda start: (),
        anew: bool = False,
        echo_prior: EchoPrior | None = None,
    ) -> None:
        self.config = config
        self._name, self._token = name, token
        self._settings, self._parts = settings, parts
        self._on_turn, self._on_update, self._on_item = on_turn, on_update, on_item
        self._anew = anew
        self._codec: Codec = LiveCodec(config) if codec is None else codec
        self._ring = AudioRing(settings.turn.max_turn_s + RING_SLACK_S)
        self._work = Work(name, owner, config, settings, parts, self._ring, self._hear)
        self._listening = Listening(
            name,
            config,
            settings,
            parts.clock,
            self._ring,
            hear=self._hear,
            woken=self._woken,
            failed=self._say,
            came=self._work.audio_came,
            prior=echo_prior,
        )
        start = MachineStart(
            config,
            settings.turn,
            audible=tuple(parts.ears.known_words()),
            items=history.items,
            system_prompt=settings.llm.system_prompt,
            tools=settings.tools,
            server_tools=parts.tools.schemas if parts.tools is not None else {},
            scoring=parts.scorer is not None,
            language=settings.tts.language,
        )
        self._machine = start.machine(history)
        origin, room = self._listening.origin, Alone() if room is None else room
        self.wake_contests = WakeContests(
            name, self._ring, parts.clock, room, origin, self._machine, self._hear, lambda: self.connected
        )
        self._watchers = self._listening.watchers = watch(start)
        self.released = anyio.Event()
        """Set by whoever ran the session, when another one may be run in its place."""
        self._next: Connection | None = None
        self._returned, self._reading_scope = anyio.Event(), anyio.CancelScope()
        self._over = False
        self._time = AwayTime()
        self._client_writer = ClientWriter(self._codec, self._time, self._stop, self._give_up)
        self._client_reader = ClientReader(
            self._codec,
            self._listening,
            self._client_writer,
            settings.idle_close_s,
            hear=self._hear,
            reconfigure=self._reconfigure,
            complain=self._complain,
            typed=self.wake_contests.forget,
            spoken=SpokenItems(parts.stt, self._hear, self._say, lambda work: self._tasks.start_soon(work)),
        )
        self._rearm = anyio.Event()

    @property
    def state(self) -> str:
        return self._machine.state.value

    @property
    def echo_found(self) -> EchoPrior | None:
        """How this client's microphone hears us."""
        return self._listening.echo_found

    @property
    def connected(self) -> bool:
        return self._client_writer.line is not None

    async def run(self, channel: Channel) -> None:
        """Serve until the client leaves for good. Leaves no task, stream or KV sequence behind.

        A client whose connection drops may come back through `resume` within `resume_grace_s`; so long time stands
        still for the conversation, and what was begun for it is finished.

        Raises ClientTooSlow when more waits for the client than is kept.
        """
        first = line = self._connection(channel)
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = self._work.tasks = tasks
                self._listening.open(self._parts.ears)
                self._client_writer.line = line
                self._client_writer.send(self._greeting())
                self._hear(heard.EchoHeard(self._listening.echo))
                tasks.start_soon(self._tick)
                tasks.start_soon(self._listening.run)
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
            for left in (first, self._client_writer.line, self._next):
                if left is not None:
                    left.discard()
                    left.over.set()
            self._listening.close()
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
        line = self._connection(channel)
        for older in (self._next, self._client_writer.line):
            if older is not None:
                older.served = True
                self._tasks.start_soon(self._close, older, TAKEN_OVER, "connected elsewhere")
        self._next = line
        self._returned.set()
        self._reading_scope.cancel()
        await line.over.wait()
        line.discard()
        line.check()
        return line.served

    async def close(self, code: int, reason: str) -> None:
        """End the session from our side, and its connection with this code."""
        if not self._over:
            self._over = True
            if self._client_writer.line is not None:
                self._tasks.start_soon(self._close, self._client_writer.line, code, reason)
            self._returned.set()
            self._reading_scope.cancel()

    async def _close(self, line: Connection, code: int, reason: str) -> None:
        with anyio.CancelScope(shield=True):
            await line.channel.close(code, reason)
        line.over.set()

    # ---- a connection ---------------------------------------------------------------------------------------

    def _connection(self, channel: Channel) -> Connection:
        late_s = self._settings.turn.unsure_ms / 1000
        return Connection(channel, self._name, self._listening.leaves, self._now, late_s)

    async def _serve(self, line: Connection) -> bool:
        """True if the session is over with this connection."""
        over, line.served = False, True
        async with anyio.create_task_group() as group:
            self._reading_scope = group.cancel_scope
            group.start_soon(line.write)
            try:
                over = await self._client_reader.run(line, await self._greet(line) if self._time.away else None)
            except ClientClosed as closed:
                over = closed.final or not self._machine.busy
            except anyio.EndOfStream:
                over = False
            if self._next is None:
                self.wake_contests.left()
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
        self._client_writer.line = None
        self._client_writer.keep(line.undelivered())
        if self._next is None:
            line.over.set()
            log.info("session.away", session=self._name, state=self.state)
            with anyio.move_on_after(grace_s):
                await self._returned.wait()
        self._client_writer.line, self._next, self._returned = self._next, None, anyio.Event()
        return self._client_writer.line

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
            self._listening.samples,
            self._listening.bytes,
            reply,
            round(played_s * 1000, 1),
            self._client_writer.told(reply, text),
            self._client_writer.waiting_calls(self._machine.open_calls),
        )
        line.send(self._codec.resumed(self._token, facts))
        frame: str | bytes | None = None
        with anyio.move_on_after(RESUME_WAIT_S):
            frame = await line.channel.receive()
        position = position_of(self._codec, frame)
        self._go_on(position)
        return frame if position is None else None

    def _go_on(self, position: incoming.Resume | None) -> None:
        """Say what could not be said, send the audio again that the client has not played, and let time pass."""
        self._time.come_back(self._parts.clock.now())
        playing, reply = self._machine.playing(self._now()), self._client_writer.reply
        at_s = goes_on_at(position, reply, playing)
        if self._client_writer.was_interrupted(reply):
            at_s = None
        self._listening.came_back()
        self._client_writer.go_on(at_s)
        log.info("session.resumed", session=self._name, state=self.state)
        self._hear(heard.Missing(reply, 0.0))  # it was sent again
        if at_s is not None and position is not None:
            self._hear(heard.PlayedReport(reply, at_s * 1000))
        self._rearm.set()

    # ---- ears -----------------------------------------------------------------------------------------------

    def _woken(self, event: WakeHeard) -> None:
        """Where other devices of the user listen, too, the one that heard it best is woken."""
        verdict = self.wake_contests.contest(event)
        if verdict is None:
            self.wake_contests.decided(event, True)
        else:
            self._tasks.start_soon(self._await_verdict, event, verdict)

    async def _await_verdict(self, event: WakeHeard, verdict: Awaitable[bool]) -> None:
        won = await verdict
        self.wake_contests.decided(event, won)
        if not won:
            self._say(StateOut(self._machine.shown))

    # ---- turn -----------------------------------------------------------------------------------------------

    def _hear(self, event: heard.TurnEvent) -> None:
        now = self._now()
        for each in (*self._client_writer.missing(), event):
            actions = self._machine.step(each, now)
            for watcher in self._watchers:
                watcher.stepped(each, now, actions)
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
                self._tasks.start_soon(self.wake_contests.decide, action)
            case Offer() | PassOn():
                self._tasks.start_soon(self.wake_contests.tell, action)
            case _:
                self._work.do(action)

    # ---- out ------------------------------------------------------------------------------------------------

    def _say(self, event: ServerEvent) -> None:
        if isinstance(event, WakeWordRequired) and self.wake_contests.took_it:
            return  # it was said, and another device took it
        self._client_writer.say(event)

    def _stop(self) -> None:
        self._over = True
        self._tasks.cancel_scope.cancel()

    def _give_up(self) -> None:
        """There is no connection: the session ends without one."""
        self._returned.set()

    def _now(self) -> float:
        return self._time.now(self._parts.clock.now())

    # ---- configuration --------------------------------------------------------------------------------------

    def _reconfigure(self, config: SessionConfig) -> None:
        self.config = self._codec.config = self._work.config = config
        self._listening.reconfigure(config)
        self._hear(heard.ConfigChanged(config))
        self._on_update(config)
        self._client_writer.send(self._codec.updated(self._token))

    def _complain(self, error: ParleyError) -> None:
        for watcher in self._watchers:
            watcher.refused(error.code)
        self._client_writer.send(self._codec.complain(error))
