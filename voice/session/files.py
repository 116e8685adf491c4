"""Live sessions on disk, so that they outlive a restart: written in a thread, in order, one file each.

A session's token is a credential, so a file is named by its hash. A file is written whole and renamed into place: a
full disk or a killed process never leaves half a record.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

import structlog

from llm.messages import Message, ToolCall
from models.whole_file import remove_half_files, write_whole
from voice.protocols.live_config import restore, store
from voice.session.config import SessionConfig
from voice.session.session import Session
from voice.turn.history import Exchange, History, Item

__all__ = ["LiveRecord", "SessionFiles"]

log = structlog.get_logger(__name__)


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
    key_id: str = ""
    """Of the admin key under which it was opened."""
    session: Session | None = field(default=None, repr=False)
    ends_s: float = 0.0
    """When it expires, in the monotonic seconds of this run: the time of day may be set meanwhile."""

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """What was said and heard."""
        return History(self.items).exchanges

    @property
    def state(self) -> str:
        """disconnected, or the state of the conversation."""
        return self.session.state if self.session is not None and self.session.connected else "disconnected"


class SessionFiles:
    """`put` and `remove` return at once. Of what waits to be written only the last counts for each session."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer = ThreadPoolExecutor(1)
        self._wanted: dict[str, LiveRecord | None] = {}
        self._lock = Lock()
        self._owed: dict[str, LiveRecord | None] = {}
        """What the disk did not take; tried again with the next that it takes, and at the end. The thread's own."""

    def load(self) -> dict[str, LiveRecord]:
        """All there are, by key. Half files and records that are none are removed; what cannot be read (another
        user's, a disk in trouble) is left where it is. Blocks.
        """
        found: dict[str, LiveRecord] = {}
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self._folder.glob("*.json"):
            try:
                found[path.stem] = _from_json(json.loads(path.read_text(encoding="utf-8")))
            except OSError as error:
                log.warning("session record cannot be read", file=path.name, error=type(error).__name__)
            except (ValueError, KeyError, TypeError) as error:
                log.warning("unreadable session record removed", file=path.name, error=type(error).__name__)
                path.unlink(missing_ok=True)
        remove_half_files(self._folder)
        return found

    def put(self, key: str, record: LiveRecord) -> None:
        """`record` is a copy that nobody changes any more."""
        self._want(key, record)

    def remove(self, key: str) -> None:
        self._want(key, None)

    async def flush(self) -> None:
        """Returns when everything that was wanted until now is done."""
        await asyncio.wrap_future(self._writer.submit(self._settle_all))

    def _want(self, key: str, record: LiveRecord | None) -> None:
        with self._lock:
            queued = key in self._wanted
            self._wanted[key] = record
        if not queued:
            self._writer.submit(self._do, key)

    def _do(self, key: str) -> None:
        with self._lock:
            record = self._wanted.pop(key)
        self._owed[key] = record
        self._settle(key)
        if key not in self._owed:  # there is room again
            self._settle_all()

    def _settle_all(self) -> None:
        for key in list(self._owed):
            self._settle(key)

    def _settle(self, key: str) -> None:
        """Put on the disk what is owed to it. In the thread."""
        record = self._owed[key]
        path = self._folder / f"{key}.json"
        try:
            if record is None:
                path.unlink(missing_ok=True)
            else:
                write_whole(path, json.dumps(_to_json(record)), durable=False)
        except OSError as error:
            # The conversation goes on; it would only be forgotten by a restart, or be there again.
            name = record.name if record is not None else ""
            log.error("session record not written", session=name, error=error.strerror or str(error))
        else:
            del self._owed[key]


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
        "key_id": record.key_id,
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
        key_id=str(data.get("key_id", "")),
    )


def _without_media(item: Item) -> Item:
    """Pictures and sounds are not kept over a restart; what was said with them is."""
    return replace(item, message=replace(item.message, parts=()))


def _item(data: dict[str, Any]) -> Item:
    message = {key: value for key, value in data["message"].items() if key != "parts"}
    calls = tuple(ToolCall(**call) for call in message.pop("tool_calls", ()))
    return Item(data["id"], Message(**message, tool_calls=calls), bool(data["interrupted"]))
