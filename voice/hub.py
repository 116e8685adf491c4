"""All live sessions: who may connect to which, what they asked for, what was said. Kept on disk over restarts.

A session's token is a credential, so the disk holds its hash; a record is one file, written whole and renamed
into place, so that a full disk or a killed process never leaves half a record.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import structlog

from llm.messages import Message, ToolCall
from models.clock import Clock
from models.metrics import Metrics
from voice.arbitration import Arbiter, Claim
from voice.errors import SessionBusy, SessionGone, VoiceError
from voice.history import Exchange, History, Item
from voice.outgoing import TurnComplete
from voice.protocols.live_config import restore, store
from voice.protocols.port import Codec
from voice.session import Channel, Session, SessionParts
from voice.session_config import SessionConfig
from voice.settings import VoiceSettings
from voice.turn_metrics import TurnMetrics, VoiceMetrics

__all__ = ["Hub", "LiveRecord", "TooManySessions"]

log = structlog.get_logger(__name__)


class TooManySessions(VoiceError):
    code = "too_many_sessions"
    retryable = True
    default_hint = "end a session, or raise voice.max_sessions"


@dataclass(slots=True)
class LiveRecord:
    """A session as it outlives connections. `name` identifies it in logs; `token` is known only until restart."""

    name: str
    owner: str
    config: SessionConfig
    created_at: datetime
    expires_at: datetime
    items: tuple[Item, ...] = ()
    turns: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    session: Session | None = field(default=None, repr=False)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """What was said and heard."""
        return History(self.items).exchanges

    @property
    def state(self) -> str:
        """disconnected, or the state of the conversation."""
        return self.session.state if self.session is not None else "disconnected"


class Hub:
    """`parts` is asked for at every connection, when the engines are up. Used from one event loop."""

    def __init__(
        self,
        settings: VoiceSettings,
        folder: Path,
        clock: Clock,
        parts: Callable[[], SessionParts],
        metrics: Metrics | None = None,
    ) -> None:
        self._settings, self._folder, self._clock, self._parts = settings, folder, clock, parts
        metrics = Metrics() if metrics is None else metrics
        self._metrics = VoiceMetrics(metrics)
        metrics.gauge("parley_sessions_connected", "Voice sessions with a connection", lambda: self.live)
        metrics.gauge("parley_sessions_kept", "Voice sessions that may be connected to", lambda: len(self._records))
        self._records: dict[str, LiveRecord] = {}
        self._arbiter = Arbiter()

    def load(self) -> None:
        """Read what an earlier run left; expired and unreadable records are removed."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self._folder.glob("*.json"):
            try:
                record = _from_json(json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("unreadable session record removed", file=path.name, error=type(error).__name__)
                path.unlink(missing_ok=True)
                continue
            self._records[path.stem] = record
        for path in self._folder.glob("*.part"):
            path.unlink(missing_ok=True)
        self._expire()

    @property
    def live(self) -> int:
        """Connected sessions."""
        return sum(1 for record in self._records.values() if record.session is not None)

    def create(self, owner: str, config: SessionConfig) -> tuple[str, LiveRecord]:
        """A new session: (token, record). Raises TooManySessions."""
        self._expire()
        if len(self._records) >= self._settings.max_sessions * 4:
            raise TooManySessions(f"{len(self._records)} sessions are open")
        token = f"live-{secrets.token_urlsafe(24)}"
        now = self._clock.wall()
        record = LiveRecord(
            f"s-{secrets.token_hex(4)}", owner, config, now, now + timedelta(minutes=config.ttl_minutes)
        )
        self._records[_key(token)] = record
        self._save(_key(token), record)
        return token, record

    def get(self, token: str) -> LiveRecord:
        """Raises SessionGone for an unknown or expired token."""
        self._expire()
        record = self._records.get(_key(token))
        if record is None:
            raise SessionGone("This session does not exist or has expired")
        return record

    async def end(self, token: str) -> None:
        """Forget the session; a connection it has is closed. Raises SessionGone."""
        record = self.get(token)
        del self._records[_key(token)]
        (self._folder / f"{_key(token)}.json").unlink(missing_ok=True)
        if record.session is not None:
            await record.session.close(4004, "session ended")

    async def connect(
        self, token: str, channel: Channel, codec: Callable[[SessionConfig], Codec] | None = None
    ) -> None:
        """Serve one connection to its end, in the protocol of `codec` (default: live).

        Before it begins: SessionGone, SessionBusy, TooManySessions.
        """
        record, key = self.get(token), _key(token)
        if record.session is not None:
            raise SessionBusy("This session is connected already", hint="close the other connection first")
        if self.live >= self._settings.max_sessions:
            raise TooManySessions(f"{self.live} sessions are connected")

        def finished(turn: TurnComplete) -> None:
            record.turns += 1
            record.tokens_in += turn.tokens_in
            record.tokens_out += turn.tokens_out
            record.items = history.items
            record.expires_at = self._clock.wall() + timedelta(minutes=record.config.ttl_minutes)
            self._save(key, record)

        def updated(config: SessionConfig) -> None:
            record.config = config
            self._save(key, record)

        history = History(record.items)
        record.session = Session(
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
            contest=partial(self._contest, record),
            watchers=(TurnMetrics(self._metrics, record.name),),
        )
        try:
            await record.session.run(channel)
        finally:
            record.session = None
            record.items = history.items
            self._save(key, record)

    def _contest(self, record: LiveRecord, claim: Claim) -> Awaitable[bool] | None:
        """Has this session won the wake word? None: no other device of its user listens for one."""
        rivals = [each for each in self._records.values() if each.owner == record.owner and _listens(each)]
        if len(rivals) < 2:
            return None
        return self._verdict(record.owner, claim, self._arbiter.claim(record.owner, claim, self._clock.now()))

    async def _verdict(self, owner: str, claim: Claim, decided_at: float) -> bool:
        await anyio.sleep(max(0.0, decided_at - self._clock.now()))
        return self._arbiter.won(owner, claim.device, claim.word)

    def _expire(self) -> None:
        now = self._clock.wall()
        for key, record in list(self._records.items()):
            if record.expires_at <= now and record.session is None:
                del self._records[key]
                (self._folder / f"{key}.json").unlink(missing_ok=True)

    def _save(self, key: str, record: LiveRecord) -> None:
        if self._records.get(key) is not record:
            return  # ended meanwhile
        path = self._folder / f"{key}.json"
        part = path.with_suffix(".part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(_to_json(record), file)
            part.replace(path)
        except OSError as error:
            # the conversation goes on; it would only be forgotten by a restart
            log.error("session record not written", session=record.name, error=str(error))
            part.unlink(missing_ok=True)


def _listens(record: LiveRecord) -> bool:
    """It is connected, and waits for a wake word."""
    return record.session is not None and record.config.wake.enabled


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _to_json(record: LiveRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "owner": record.owner,
        "config": store(record.config),
        "created_at": record.created_at.isoformat(),
        "expires_at": record.expires_at.isoformat(),
        "items": [asdict(_without_media(item)) for item in record.items],
        "turns": record.turns,
        "tokens_in": record.tokens_in,
        "tokens_out": record.tokens_out,
    }


def _from_json(data: dict[str, Any]) -> LiveRecord:
    fresh = LiveRecord(
        str(data["name"]),
        str(data["owner"]),
        restore(data["config"]),
        datetime.fromisoformat(data["created_at"]),
        datetime.fromisoformat(data["expires_at"]),
    )
    return replace(
        fresh,
        items=tuple(_item(item) for item in data["items"]),
        turns=int(data["turns"]),
        tokens_in=int(data["tokens_in"]),
        tokens_out=int(data["tokens_out"]),
    )


def _without_media(item: Item) -> Item:
    """Pictures and sounds are not kept over a restart; what was said with them is."""
    return replace(item, message=replace(item.message, parts=()))


def _item(data: dict[str, Any]) -> Item:
    message = {key: value for key, value in data["message"].items() if key != "parts"}
    calls = tuple(ToolCall(**call) for call in message.pop("tool_calls", ()))
    return Item(data["id"], Message(**message, tool_calls=calls), bool(data["interrupted"]))
