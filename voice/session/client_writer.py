"""What a session tells its client, and what it keeps of that while the client is away. Nothing is decided here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from voice.protocols.port import Codec, Draft
from voice.session.connection import Connection
from voice.session.outgoing import AudioOut, Interrupted, ServerEvent, ToolCallOut
from voice.session.resume import AwayTime, SentAudio, Unsent
from voice.turn.events import Missing
from voice.turn.tool_rounds import MAX_CALLS

__all__ = ["ClientWriter"]


class ClientWriter:
    """Over `line`, where there is a connection. `overrun` is called when the client does not read, `stranded` when
    more waits for a client that is away than is kept."""

    def __init__(
        self, codec: Codec, time: AwayTime, overrun: Callable[[], None], stranded: Callable[[], None]
    ) -> None:
        self.line: Connection | None = None
        self._codec, self._time = codec, time
        self._overrun, self._stranded = overrun, stranded
        self._sent, self._unsent = SentAudio(), Unsent()
        self._calls: OrderedDict[str, ToolCallOut] = OrderedDict()  # that the client was told to run
        self._announce = False  # on a new connection the first audio says which clause it belongs to

    def say(self, event: ServerEvent) -> None:
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
            self.send(self._codec.tell(event), event)
        elif not self._unsent.add(event):
            self._stranded()

    def send(self, drafts: Sequence[Draft], event: ServerEvent | None = None) -> None:
        """`event`: what the drafts tell."""
        if self.line is not None and not self.line.send(drafts, event):
            self._overrun()

    def missing(self) -> Sequence[Missing]:
        """News of what has not arrived of the audio."""
        news = self.line.missing() if self.line is not None else None
        return () if news is None else (news,)

    # ---- a client that comes back ---------------------------------------------------------------------------

    def keep(self, events: Sequence[ServerEvent]) -> None:
        """They did not leave."""
        for event in events:
            self._unsent.add(event)

    def waiting_calls(self, open_calls: Sequence[str]) -> tuple[ToolCallOut, ...]:
        """Of these, those that were told and may not have arrived."""
        waiting = self._unsent.calls()
        names = (name for name in open_calls if name in self._calls and name not in waiting)
        return tuple(self._calls[name] for name in names)

    def told(self, reply: str, text: str) -> str:
        """Of the reply's `text`, what does not wait to be told."""
        return text.removesuffix(self._unsent.text(reply))

    def go_on(self, at_s: float | None) -> None:
        """Say what could not be said, and the audio of the reply again from `at_s` on; None: none of it."""
        pieces = self._sent.since(at_s) if at_s is not None else []
        self._announce = not pieces
        for event in self._unsent.take():
            self.send(self._codec.tell(event), event)
        for piece in pieces:
            self.send(self._codec.tell(piece), piece)

    @property
    def reply(self) -> str:
        """The one whose audio was told last, "" if it was interrupted."""
        return self._sent.reply

    def was_interrupted(self, reply: str) -> bool:
        """The client does not know it yet."""
        return self._unsent.interrupted(reply)
