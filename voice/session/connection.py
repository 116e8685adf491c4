"""One client connection of a session: what waits to leave on it, in order, and the task that writes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Protocol

import anyio
import structlog

from voice.errors import ClientTooSlow
from voice.protocols.port import Draft
from voice.session.in_flight import InFlight
from voice.session.outgoing import AudioOut, ServerEvent
from voice.turn.events import Missing

__all__ = ["Channel", "ClientClosed", "Connection", "asks_to_resume"]

OUTBOX_DRAFTS = 1024
"""Audio is paced, so this many waiting messages mean a client that does not read: it is disconnected."""
CROWDED_DRAFTS = OUTBOX_DRAFTS // 2
"""A client with so many answers before it is not heard until it has taken some."""
FIRST_WORD_S = 0.25
"""A client that connects to a session that stands still says within this time that it wants to go on with it."""
FAREWELL_S = 0.5
"""What was said gets this long to leave when the connection ends."""

log = structlog.get_logger(__name__)


class ClientClosed(anyio.EndOfStream):
    """The connection was closed properly, and not cut. `final`: there is nothing to come back to."""

    def __init__(self, *, final: bool = False) -> None:
        super().__init__()
        self.final = final


class Channel(Protocol):
    """One client connection, of whatever transport."""

    @property
    def written(self) -> int:
        """Bytes that `send` has handed over so far."""
        ...

    def arrived(self) -> int | None:
        """How many of them the client's system has for certain; None where nobody can tell."""
        ...

    async def receive(self) -> str | bytes:
        """The next frame. Raises anyio.EndOfStream when the client is gone, ClientClosed if it said goodbye."""
        ...

    async def send(self, frame: str | bytes) -> None:
        """Raises anyio.BrokenResourceError when the client is gone."""
        ...

    async def close(self, code: int, reason: str) -> None: ...


class Connection:
    """`over` is set when the session has done with it; `served` is false if it never took it.

    `leaves` is called with each event as it leaves. On a busy machine that is much later than `send`. `now` is the
    time of the session; audio that has not arrived after `late_s` is late.
    """

    def __init__(
        self,
        channel: Channel,
        name: str,
        leaves: Callable[[ServerEvent], None],
        now: Callable[[], float],
        late_s: float,
    ) -> None:
        self.channel = channel
        self._leaves, self._now = leaves, now
        self._in_flight = None if channel.arrived() is None else InFlight(late_s)
        self.over = anyio.Event()
        self.served = False
        self._name = name
        self._outbox, self._outlet = anyio.create_memory_object_stream[tuple[ServerEvent | None, Draft]](
            OUTBOX_DRAFTS
        )
        self._written = anyio.Event()
        self._has_room = anyio.Event()
        self._overrun = False
        self._in_hand: ServerEvent | None = None

    def send(self, drafts: Sequence[Draft], event: ServerEvent | None = None) -> bool:
        """Say it when its turn comes; `event` is what the drafts tell. False: the client does not read."""
        if self._in_flight is not None and isinstance(event, AudioOut) and drafts:
            self._in_flight.said(event, self._now())
        try:
            for draft in drafts:
                self._outbox.send_nowait((event, draft))
        except anyio.WouldBlock:
            if not self._overrun:
                log.warning("client does not read", session=self._name, waiting=OUTBOX_DRAFTS)
            self._overrun = True
            return False
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            log.debug("client is gone", session=self._name)
        return True

    def check(self) -> None:
        """Raises ClientTooSlow if more had to be said than could wait."""
        if self._overrun:
            raise ClientTooSlow(f"{OUTBOX_DRAFTS} messages are not read")

    async def room(self) -> None:
        """Returns when there is room for answers, or nobody writes any more.

        Whoever asks faster than it reads is thereby heard more slowly: its connection fills, and nothing is lost.
        """
        while self._crowded and not self._written.is_set():
            self._has_room = anyio.Event()
            await self._has_room.wait()

    @property
    def _crowded(self) -> bool:
        return self._outbox.statistics().current_buffer_used > CROWDED_DRAFTS

    async def write(self) -> None:
        """Until `finish`, or the client is gone."""
        left: ServerEvent | None = None
        try:
            async for event, draft in self._outlet:
                if event is not None and event is not left:  # the first draft of it
                    self._leaves(event)
                self._in_hand = left = event
                for frame in draft():
                    await self.channel.send(frame)
                self._in_hand = None
                if self._in_flight is not None and isinstance(event, AudioOut):
                    self._in_flight.written(event, self.channel.written)
                if not self._crowded:
                    self._has_room.set()
        except anyio.BrokenResourceError:
            log.debug("client is gone", session=self._name)  # the reader notices, too
        finally:
            self._written.set()
            self._has_room.set()

    def missing(self) -> Missing | None:
        """Of the audio that was said, what has not arrived; None: there is nothing new, or nobody can tell."""
        if self._in_flight is None or self._in_flight.idle:
            return None
        arrived = self.channel.arrived()
        if arrived is not None:
            self._in_flight.arrived(arrived)
        return self._in_flight.news(self._now())

    async def finish(self) -> None:
        """Take nothing more, and give what waits a moment to leave."""
        self._outbox.close()
        with anyio.move_on_after(FAREWELL_S):
            await self._written.wait()

    def undelivered(self) -> list[ServerEvent]:
        """What did not leave, in order, once nobody writes any more."""
        found = [] if self._in_hand is None else [self._in_hand]
        while True:
            try:
                event, _ = self._outlet.receive_nowait()
            except (anyio.WouldBlock, anyio.EndOfStream, anyio.ClosedResourceError):
                break
            if event is not None and (not found or found[-1] is not event):
                found.append(event)
        self.discard()
        return found

    def discard(self) -> None:
        """Nothing more leaves. May be called again."""
        self._outbox.close()
        self._outlet.close()


class _Peeked:
    """A channel of which the first frame was read ahead."""

    def __init__(self, channel: Channel, first: str | bytes) -> None:
        self._channel = channel
        self._first: str | bytes | None = first

    async def receive(self) -> str | bytes:
        first, self._first = self._first, None
        return first if first is not None else await self._channel.receive()

    @property
    def written(self) -> int:
        return self._channel.written

    def arrived(self) -> int | None:
        return self._channel.arrived()

    async def send(self, frame: str | bytes) -> None:
        await self._channel.send(frame)

    async def close(self, code: int, reason: str) -> None:
        await self._channel.close(code, reason)


async def asks_to_resume(channel: Channel) -> tuple[Channel, bool]:
    """Whether the client's first message is `resume`, and the channel with that message still to be received."""
    first: str | bytes | None = None
    with anyio.move_on_after(FIRST_WORD_S):
        first = await channel.receive()
    if first is None:
        return channel, False
    try:
        message = json.loads(first) if isinstance(first, str) and len(first) < 1000 else None
    except ValueError:
        message = None
    return _Peeked(channel, first), isinstance(message, dict) and message.get("type") == "resume"
