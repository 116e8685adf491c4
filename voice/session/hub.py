"""All live sessions: who may connect to which, what they asked for, what was said. Kept on disk over restarts."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio

from models.clock import Clock
from models.metrics import Metrics
from voice.errors import SessionBusy, SessionGone, VoiceError
from voice.measuring.recent_turns import RecentTurns
from voice.measuring.turn_metrics import TurnMetrics, VoiceMetrics
from voice.protocols.port import Codec
from voice.records.recordings import Recordings
from voice.session.arbitration import Claim
from voice.session.config import SessionConfig
from voice.session.connection import asks_to_resume
from voice.session.devices import Devices
from voice.session.files import LiveRecord, SessionFiles
from voice.session.outgoing import TurnComplete
from voice.session.rooms import Rooms
from voice.session.session import Channel, Session, SessionParts
from voice.session.wake_contests import WakeContests
from voice.session.watcher import Watcher
from voice.settings import VoiceSettings
from voice.turn.history import History
from voice.turn.machine_start import MachineStart

__all__ = ["Hub", "LiveRecord", "TooManySessions"]


class TooManySessions(VoiceError):
    code = "too_many_sessions"
    retryable = True
    default_hint = "end a session, or raise voice.max_sessions"


class Hub:
    """`parts` is asked for at every connection, when the engines are up; `key_id()` is another one once the admin key
    is replaced. Used from one event loop."""

    def __init__(
        self,
        settings: VoiceSettings,
        folder: Path,
        clock: Clock,
        parts: Callable[[], SessionParts],
        metrics: Metrics | None = None,
        recordings: Recordings | None = None,
        key_id: Callable[[], str] = lambda: "",
    ) -> None:
        self._recordings, self._key_id = recordings, key_id
        self._settings, self._clock, self._parts = settings, clock, parts
        self._files = SessionFiles(folder)
        metrics = Metrics() if metrics is None else metrics
        self.recent_turns = RecentTurns(clock)
        self._metrics = VoiceMetrics(metrics, self.recent_turns)
        metrics.gauge("parley_sessions_connected", "Voice sessions with a connection", lambda: self.live)
        metrics.gauge("parley_sessions_kept", "Voice sessions that may be connected to", lambda: len(self._records))
        self._records: dict[str, LiveRecord] = {}
        self._rooms = Rooms(self._listening_to)
        self._devices = Devices()

    def load(self) -> None:
        """Read what an earlier run left; expired and unreadable records are removed. Blocks."""
        for key, record in self._files.load().items():
            left_s = (record.expires_at - self._clock.wall()).total_seconds()
            record.ends_s = self._clock.now() + min(left_s, record.config.ttl_minutes * 60)
            self._records[key] = record
        self._expire()

    async def shut(self) -> None:
        """The server goes down: nobody can come back to a session that stands still."""
        for record in list(self._records.values()):
            if record.session is not None and not record.session.connected:
                await record.session.close(1012, "")

    async def end_outdated(self) -> None:
        """The admin key was replaced: who opened a session with the old one has no part in it any more."""
        for key, record in list(self._records.items()):
            if self._is_outdated(record):
                await self._end(key, record)

    async def flush(self) -> None:
        """Returns when everything that was kept until now is on the disk."""
        await self._files.flush()

    @property
    def live(self) -> int:
        """Connected sessions."""
        return sum(1 for record in self._records.values() if record.session is not None and record.session.connected)

    def create(self, owner: str, config: SessionConfig) -> tuple[str, LiveRecord]:
        """A new session: (token, record). Raises TooManySessions."""
        self._expire()
        if len(self._records) >= self._settings.max_sessions * 4 and not self._forget_an_unused(owner):
            raise TooManySessions(f"{len(self._records)} sessions are open")
        token = f"live-{secrets.token_urlsafe(24)}"
        now = self._clock.wall()
        record = LiveRecord(f"s-{secrets.token_hex(4)}", owner, config, now, now, key_id=self._key_id())
        self._prolong(record)
        self._records[_key(token)] = record
        self._save(_key(token), record)
        return token, record

    def get(self, token: str) -> LiveRecord:
        """Raises SessionGone for an unknown or expired token."""
        self._expire()
        record = self._records.get(_key(token))
        if record is None or self._is_outdated(record):
            raise SessionGone("This session does not exist or has expired")
        return record

    async def end(self, token: str) -> None:
        """Forget the session; a connection it has is closed. Raises SessionGone."""
        await self._end(_key(token), self.get(token))

    async def _end(self, key: str, record: LiveRecord) -> None:
        del self._records[key]
        self._files.remove(key)
        if record.session is not None:
            await record.session.close(4004, "session ended")

    async def connect(
        self,
        token: str,
        channel: Channel,
        codec: Callable[[SessionConfig], Codec] | None = None,
        *,
        resume: bool = False,
    ) -> None:
        """Serve one connection to its end, in the protocol of `codec` (default: live).

        It takes over from an older one, which is closed with 4001. With `resume`, or a first message that says so,
        the conversation goes on where it was; else it begins anew, with its history.
        Before it begins: SessionGone, SessionBusy (of a protocol without resuming), TooManySessions.
        """
        while True:
            record = self.get(token)  # anew: while we waited it may have ended, or got another connection
            if (session := record.session) is None:
                if not await self._make_room():
                    break
                continue
            if codec is not None:
                raise SessionBusy("This session is connected already", hint="close the other connection first")
            if not resume:
                try:
                    channel, resume = await asks_to_resume(channel)
                except anyio.EndOfStream:
                    return  # it left without a word
            if resume and await session.resume(channel):
                return
            await session.close(4001, "connected elsewhere")
            await session.released.wait()
        history = History(record.items)
        session = record.session = self._session(token, record, history, codec, anew=resume)
        try:
            await session.run(channel)
        finally:
            self._devices.learn(record.owner, record.config.turn.device, session.echo_found)
            record.session = None
            record.items = history.items
            self._save(_key(token), record)
            session.released.set()
            with anyio.CancelScope(shield=True):
                await self._files.flush()

    def _session(
        self,
        token: str,
        record: LiveRecord,
        history: History,
        codec: Callable[[SessionConfig], Codec] | None,
        *,
        anew: bool,
    ) -> Session:
        """What comes of it is kept in its record."""
        key, room = _key(token), _Room(self._rooms, self._clock, record)

        def finished(turn: TurnComplete) -> None:
            record.turns += 1
            record.tokens_in += turn.tokens_in
            record.tokens_out += turn.tokens_out
            record.items = history.items
            room.turn_over(turn)
            self._prolong(record)
            self._save(key, record)

        def grown() -> None:
            record.items = history.items
            self._save(key, record)

        def updated(config: SessionConfig) -> None:
            record.config = config
            self._save(key, record)

        def watch(start: MachineStart) -> Sequence[Watcher]:
            figures = TurnMetrics(self._metrics, record.name)
            if self._recordings is None:
                return (figures,)
            return figures, self._recordings.record(record.name, start, consent=record.config.record)

        return Session(
            record.name,
            token,
            record.owner,
            record.config,
            self._settings,
            self._parts(),
            history,
            codec=None if codec is None else codec(record.config),
            on_turn=finished,
            on_update=updated,
            on_item=grown,
            room=room,
            watch=watch,
            anew=anew,
            echo_prior=self._devices.echo_of(record.owner, record.config.turn.device),
        )

    async def _make_room(self) -> bool:
        """A client that is away makes room for one that is here. False: there was room, and nobody was waited for.
        Raises TooManySessions.
        """
        served = [record.session for record in self._records.values() if record.session is not None]
        if len(served) < self._settings.max_sessions:
            return False
        away = next((session for session in served if not session.connected), None)
        if away is None:
            raise TooManySessions(f"{len(served)} sessions are connected")
        await away.close(1001, "")
        await away.released.wait()
        return True

    def _listening_to(self, owner: str) -> list[WakeContests]:
        """The devices of `owner` that wait for a wake word to answer."""
        records = [each for each in self._records.values() if each.owner == owner and _listens(each)]
        return [each.session.wake_contests for each in records if each.session is not None]

    def _expire(self) -> None:
        now = self._clock.now()
        for key, record in list(self._records.items()):
            if (record.ends_s <= now or self._is_outdated(record)) and record.session is None:
                del self._records[key]
                self._files.remove(key)

    def _prolong(self, record: LiveRecord) -> None:
        lasts = timedelta(minutes=record.config.ttl_minutes)
        record.expires_at = self._clock.wall() + lasts
        record.ends_s = self._clock.now() + lasts.total_seconds()

    def _is_outdated(self, record: LiveRecord) -> bool:
        return record.key_id not in ("", self._key_id())  # "": an older version kept it

    def _forget_an_unused(self, owner: str) -> bool:
        """The oldest session of `owner` in which nothing was ever said makes room; somebody's page was left early."""
        for key, record in self._records.items():  # in the order of their making
            if record.owner == owner and record.session is None and not record.items:
                del self._records[key]
                self._files.remove(key)
                return True
        return False

    def _save(self, key: str, record: LiveRecord) -> None:
        if self._records.get(key) is record:  # else it was ended meanwhile
            self._files.put(key, replace(record, session=None))


class _Room:
    """Where the session of `record` and the other devices of its user are."""

    def __init__(self, rooms: Rooms, clock: Clock, record: LiveRecord) -> None:
        self._rooms, self._clock, self._record = rooms, clock, record
        self._owner, self._name = record.owner, record.name

    def enter(self, claim: Claim) -> Awaitable[bool] | None:
        """None also where the session is not there to answer: one that only writes down goes on doing so, and takes
        nothing from the others."""
        if not self._record.config.answers:
            return None
        decided_at = self._rooms.enter(self._owner, claim, self._clock.now())
        return None if decided_at is None else self._verdict(claim, decided_at)

    async def _verdict(self, claim: Claim, decided_at: float) -> bool:
        await anyio.sleep(max(0.0, decided_at - self._clock.now()))
        return self._rooms.won(self._owner, claim)

    def passes_on(self) -> None:
        self._rooms.passes_on(self._owner, self._name)

    def offers(self, until: float) -> None:
        self._rooms.offers(self._owner, self._name, until)

    def turn_over(self, turn: TurnComplete) -> None:
        if self._record.session is not None:
            self._rooms.turn_over(self._owner, self._record.session.wake_contests, turn)

    def left(self) -> None:
        if self._record.session is not None and _listens(self._record):
            self._rooms.left(self._owner, self._record.session.wake_contests)


def _listens(record: LiveRecord) -> bool:
    """It waits for a wake word to answer."""
    return record.config.wake.enabled and record.config.answers


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
