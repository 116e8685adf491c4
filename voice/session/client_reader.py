"""What the client says, frame by frame, becomes audio for the ears and events for the turn machine."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import anyio.lowlevel

from models.errors import ParleyError
from voice.errors import FrameTooLarge, NothingToResume
from voice.protocols.port import Codec
from voice.session import incoming
from voice.session.client_writer import ClientWriter
from voice.session.config import SessionConfig
from voice.session.connection import Connection
from voice.session.listening import Listening
from voice.session.outgoing import Pong, TranscriptOut
from voice.session.spoken_items import SpokenItems
from voice.turn import events as heard

__all__ = ["ClientReader", "position_of"]


class ClientReader:
    """Of one session, over all its connections. `hear` tells the turn machine; `reconfigure` takes a new
    configuration, `complain` an error of the client's; `typed` is called before a turn that was written; `spoken`
    takes what is asked of the conversation."""

    def __init__(
        self,
        codec: Codec,
        listening: Listening,
        writer: ClientWriter,
        idle_close_s: float,
        *,
        hear: Callable[[heard.TurnEvent], None],
        reconfigure: Callable[[SessionConfig], None],
        complain: Callable[[ParleyError], None],
        typed: Callable[[], None],
        spoken: SpokenItems,
    ) -> None:
        self._codec, self._listening, self._writer = codec, listening, writer
        self._idle_close_s = idle_close_s
        self._hear, self._reconfigure = hear, reconfigure
        self._complain, self._typed = complain, typed
        self._spoken = spoken
        self._errors = 0
        self._first = True
        """Nothing was said in this session yet."""

    async def run(self, line: Connection, frame: str | bytes | None) -> bool:
        """Hear the client, beginning with `frame`. True: it is over; raises EndOfStream when the client is gone."""
        channel = line.channel
        while True:
            if frame is None:
                with anyio.move_on_after(self._idle_close_s):
                    frame = await channel.receive()
            if frame is None:
                await channel.close(4000, "idle")
                return True
            try:
                for said in self._codec.receive(frame):
                    if isinstance(said, incoming.Close):
                        return True
                    if callable(said):
                        self._writer.send((said,))
                    else:
                        await self._client_said(said)
                self._errors = 0
            except FrameTooLarge as error:
                self._complain(error)
                await anyio.lowlevel.checkpoint()
                await channel.close(1009, error.code)
                return True
            except ParleyError as error:
                self._complain(error)
                self._errors += 1
                if self._errors == self._codec.most_errors:
                    await channel.close(1008, "too many invalid frames")
                    return True
            frame, self._first = None, False
            await line.room()

    async def _client_said(self, event: incoming.ClientEvent) -> None:
        match event:
            case incoming.RawAudio(data=data):
                await self._listening.raw(data)
            case incoming.ContainerAudio():
                if event.data:
                    await self._listening.container(event.data)
                if event.transcript:
                    self._writer.say(TranscriptOut(event.transcript, event.is_final))
            case incoming.EndTurn(transcript=text, event_id=event_id):
                incoming.check_length(text or "")
                if text and text.strip():
                    self._typed()  # not said to several devices
                    self._hear(heard.Typed(text))
                else:
                    self._hear(heard.Committed(self._listening.at_s, event_id))
            case incoming.Interrupt():
                self._hear(heard.InterruptAsked())
            case incoming.Ping():
                self._writer.say(Pong())
            case incoming.Played():
                self._hear(heard.PlayedReport(event.reply, event.ms))
            case incoming.Clear():
                self._hear(heard.Cleared(self._listening.at_s))
            case incoming.Update(fields=fields):
                self._reconfigure(self._codec.apply(fields))
            case incoming.AddMessage(message=message):
                incoming.check_length(message.content, incoming.MAX_INPUT)
                self._spoken.ask(event)
            case incoming.AddAudio():
                language = self._codec.config.voice.language
                self._spoken.add(event, self._codec.config.audio, None if language == "auto" else language)
            case incoming.Respond(options=options):
                incoming.check_length("".join(message.content for message in options.input or ()), incoming.MAX_INPUT)
                self._spoken.ask(event)
            case incoming.DeleteItem() | incoming.CancelResponse():
                self._spoken.ask(event)
            case incoming.Truncate():
                self._hear(event)
            case incoming.ToolResult(output=output):
                incoming.check_length(output, incoming.MAX_INPUT)
                self._hear(event)
            case incoming.Resume():
                hint = None if self._first else "`resume` is the first message of a connection, before any audio"
                raise NothingToResume("There is nothing to resume", hint=hint)
            case incoming.Close():
                raise AssertionError("handled by the reader")


def position_of(codec: Codec, frame: str | bytes | None) -> incoming.Resume | None:
    """Where the client stopped playing, if the frame says that."""
    try:
        said = codec.receive(frame) if frame is not None else ()
    except ParleyError:
        return None  # the reader will complain
    return next((event for event in said if isinstance(event, incoming.Resume)), None)
