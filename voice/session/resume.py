"""What a session keeps so that a client whose connection dropped can go on where it was. Pure.

While a client is away the session's time stands still: the turn machine is not told that time passes, so playout
stays at what the client had played, a pause does not end the user's turn, and work that was begun comes in. When the
client is back it says which reply it was playing and how far it had come; the audio from that sample on is sent
again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from voice.protocols.port import Draft
from voice.session.incoming import Resume
from voice.session.outgoing import AudioOut, Interrupted, ServerEvent, TextOut, ToolCallOut

__all__ = ["KEPT_AUDIO_S", "AwayTime", "Resumable", "Resumed", "SentAudio", "Unsent", "goes_on_at"]

KEPT_AUDIO_S = 30.0
"""So much of a reply's audio can be sent again: a dead network is noticed that late, and not much later."""
MAX_UNSENT = 1024
"""Messages kept for a client that is away. Text is joined, so more of them mean that something is wrong."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where things stand when a client comes back: what `ready` tells it.

    `input_samples`, `input_bytes`: how much of the client's audio has arrived in all connections of the session, as
    PCM samples at the client's own rate and as bytes of a container stream. `reply`: the one under way, "" for none;
    `played_ms`: how far the client has played it by our clock; `text`: what was told of it, without what waits to be
    told. `calls`: what the client was told to run and has not answered.
    """

    state: str
    input_samples: int
    input_bytes: int
    reply: str = ""
    played_ms: float = 0.0
    text: str = ""
    calls: tuple[ToolCallOut, ...] = ()


@runtime_checkable
class Resumable(Protocol):
    """A codec whose clients may come back."""

    def resumed(self, token: str, facts: Resumed) -> Sequence[Draft]:
        """What a client that is back is greeted with."""
        ...

    def begun_anew(self, token: str) -> Sequence[Draft]:
        """The greeting of a client that wanted to go on, where there is nothing to go on with."""
        ...


def goes_on_at(said: Resume | None, sent: str, playing: tuple[str, float, str] | None) -> float | None:
    """Where in the reply that was sent last (`sent`) the client goes on, in seconds; None: it needs nothing of it.

    `said` is its own word, `playing` the machine's on the reply under way, which may be a later one.
    """
    under_way, played_s, _ = playing or (None, 0.0, "")
    if said is None or said.reply is None:
        return played_s if under_way == sent else None
    if said.reply == sent:
        return said.ms / 1000
    return None if said.reply == under_way else 0.0


class AwayTime:
    """The session's own time: that of its clock less the time in which the client was away. Seconds."""

    __slots__ = ("_away_s", "_since")

    def __init__(self) -> None:
        self._away_s = 0.0
        self._since: float | None = None

    @property
    def away(self) -> bool:
        return self._since is not None

    def now(self, clock: float) -> float:
        """Stands still while the client is away, and never jumps."""
        return (clock if self._since is None else self._since) - self._away_s

    def leave(self, clock: float) -> None:
        if self._since is None:
            self._since = clock

    def come_back(self, clock: float) -> None:
        if self._since is not None:
            self._away_s += clock - self._since
            self._since = None


class SentAudio:
    """The end of the audio that was told of the last reply, at most KEPT_AUDIO_S of it."""

    __slots__ = ("_end", "_pieces", "reply")

    def __init__(self) -> None:
        self.reply = ""
        self._pieces: deque[tuple[int, AudioOut]] = deque()
        """With the place of the first sample in the reply."""
        self._end = 0

    def add(self, event: AudioOut) -> None:
        if event.reply != self.reply:
            self.reply, self._end = event.reply, 0
            self._pieces.clear()
        self._pieces.append((self._end, event))
        self._end += len(event.pcm)
        while self._end - self._pieces[0][0] > KEPT_AUDIO_S * event.rate_hz:
            self._pieces.popleft()

    def since(self, seconds: float) -> list[AudioOut]:
        """From the sample at `seconds` of the reply on, or the oldest there is; the first piece names its clause."""
        found: list[AudioOut] = []
        for start, event in self._pieces:
            first = max(0, round(seconds * event.rate_hz) - start)
            if first < len(event.pcm) or (event.is_last and first == len(event.pcm)):
                found.append(replace(event, pcm=event.pcm[first:], starts_clause=event.starts_clause or not found))
        return found

    def forget(self) -> None:
        self.reply, self._end = "", 0
        self._pieces.clear()


class Unsent:
    """What is to be told to a client that is away, in order. Its audio is in SentAudio."""

    __slots__ = ("_events",)

    def __init__(self) -> None:
        self._events: deque[ServerEvent] = deque()

    def add(self, event: ServerEvent) -> bool:
        """False: too much waits already."""
        if isinstance(event, AudioOut):
            return True
        last = self._events[-1] if self._events else None
        if isinstance(event, TextOut) and isinstance(last, TextOut) and last.reply == event.reply:
            self._events[-1] = TextOut(event.reply, last.text + event.text, event.is_final)
            return True
        if len(self._events) >= MAX_UNSENT:
            return False
        self._events.append(event)
        return True

    def take(self) -> list[ServerEvent]:
        events = list(self._events)
        self._events.clear()
        return events

    def calls(self) -> set[str]:
        """The ids of the tool calls that wait to be told."""
        return {event.call_id for event in self._events if isinstance(event, ToolCallOut)}

    def text(self, reply: str) -> str:
        """What waits of the reply's text."""
        return "".join(event.text for event in self._events if isinstance(event, TextOut) and event.reply == reply)

    def interrupted(self, reply: str) -> bool:
        return any(isinstance(event, Interrupted) and event.reply == reply for event in self._events)
