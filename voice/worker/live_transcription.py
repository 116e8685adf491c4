"""`WS /v1/audio/transcriptions/stream`: audio up as it is spoken, transcripts down when they are asked for.

Up: binary frames, 16 kHz mono PCM16 little-endian, any length; text frames {"type":"partial","id":n},
{"type":"transcribe","id":n} and, for recognisers that can, {"type":"spot","id":n,"phrases":[...]}. Down, in the order
of the requests: {"type":"partial","id","text"} (text null where the engine has none),
{"type":"final","id","text","confidence","language","words"}, {"type":"spotted","id","phrase"} ("" for none of them),
{"type":"superseded","id"} (the same kind was asked for again before this one was begun; or it was a partial
transcript, and something else was asked for meanwhile),
{"type":"error","id","code","message","hint"}.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import anyio
import numpy as np
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.websockets import WebSocket, WebSocketDisconnect

from models.errors import ParleyError
from voice.errors import AudioError, ProtocolError
from voice.port import SpottingEngineStream, SttEngineStream
from voice.worker.engine import Recogniser, spoken_language
from voice.worker.transcript_json import to_json

__all__ = ["LiveTranscription"]

WAITING_FRAMES = 1024
"""20 s of 20 ms frames. When a stream's queue is full its socket is not read, so its client waits in TCP."""

MAX_PHRASES, MAX_PHRASE = 256, 64
"""Phrases to spot, and characters of one."""


Kind = Literal["partial", "transcribe", "spot"]


@dataclass(frozen=True, slots=True)
class _Ask:
    kind: Kind
    id: int
    phrases: tuple[str, ...] = ()


_Item = bytes | _Ask | ParleyError


@dataclass(slots=True)
class _Live:
    """One stream. `awaited`: so many answers somebody waits for. `partial`: of the partial transcript that is asked
    for just now, which waits for whatever the engine does; it is not worth it when a transcript is wanted. `looked`:
    there was one, and no audio since. A transcript may follow at once, so time is not given away before it is known
    that none does."""

    socket: WebSocket
    stream: SttEngineStream
    awaited: int = 0
    partial: anyio.CancelScope | None = None
    looked: bool = False


class LiveTranscription:
    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser

    async def serve(self, socket: WebSocket) -> None:
        """One stream from accept to disconnect. The engine's stream is freed whatever happens."""
        await socket.accept()
        try:
            stream = await self._recogniser.open(spoken_language(socket.query_params.get("language")))
        except ParleyError as error:
            await socket.send_json(_error(error, None))
            await socket.close(1011, error.code)
            return
        items_in, items_out = anyio.create_memory_object_stream[_Item](WAITING_FRAMES)
        live = _Live(socket, stream)
        try:
            async with items_in, items_out, anyio.create_task_group() as tasks:
                tasks.start_soon(self._answer, live, items_out, tasks)
                await self._receive(live, items_in)
                tasks.cancel_scope.cancel()  # nobody is left to hear an answer
        finally:
            self._await(live, -live.awaited)
            self._recogniser.release(stream)

    async def _receive(self, live: _Live, items: MemoryObjectSendStream[_Item]) -> None:
        """Returns when the client has gone."""
        while True:
            message = await live.socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            item = _parse(message)
            if isinstance(item, _Ask) and item.kind != "partial":
                self._await(live, 1)
                if live.partial is not None:
                    live.partial.cancel()
            await items.send(item)

    async def _answer(self, live: _Live, items: MemoryObjectReceiveStream[_Item], tasks: TaskGroup) -> None:
        try:
            while True:
                for item in _merged([await items.receive(), *_waiting(items)]):
                    await self._do(live, item)
                    if isinstance(item, _Ask | _Superseded) and item.kind != "partial":
                        self._await(live, -1)
                    elif isinstance(item, bytes) and live.looked:
                        live.looked = False
                        tasks.start_soon(self._recogniser.use_spare_time)
        except WebSocketDisconnect:
            pass  # _receive sees it as well and ends the stream

    def _await(self, live: _Live, more: int) -> None:
        live.awaited += more
        self._recogniser.awaited += more

    async def _do(self, live: _Live, item: _Item | _Superseded) -> None:
        stream = live.stream
        answer: dict[str, Any] | None = None
        ask_id = item.id if isinstance(item, _Ask) else None
        try:
            match item:
                case bytes():
                    await self._recogniser.feed(stream, np.frombuffer(item, "<i2").astype(np.int16, copy=False))
                case ParleyError():
                    answer = _error(item, None)
                case _Superseded():
                    answer = {"type": "superseded", "id": item.id}
                case _Ask(kind="partial"):
                    answer = {"type": "superseded", "id": item.id}
                    if not live.awaited:
                        with anyio.CancelScope() as live.partial:
                            text = await self._recogniser.run(stream.partial)
                            answer = {"type": "partial", "id": item.id, "text": text}
                        live.partial, live.looked = None, True
                case _Ask(kind="spot"):
                    if not isinstance(stream, SpottingEngineStream):
                        raise ProtocolError("this recogniser does not spot phrases", hint="ask for the transcript")
                    phrase = await self._recogniser.run(partial(stream.spot, item.phrases))
                    answer = {"type": "spotted", "id": item.id, "phrase": phrase}
                case _Ask(kind="transcribe"):
                    transcript = await self._recogniser.transcribe(stream)
                    answer = {"type": "final", "id": item.id} | to_json(transcript)
        except ParleyError as error:
            answer = _error(error, ask_id)
        if answer is not None:
            await live.socket.send_json(answer)


@dataclass(frozen=True, slots=True)
class _Superseded:
    kind: Kind
    id: int


def _waiting(items: MemoryObjectReceiveStream[_Item]) -> list[_Item]:
    """Everything that can be had without waiting."""
    found: list[_Item] = []
    while True:
        try:
            found.append(items.receive_nowait())
        except (anyio.WouldBlock, anyio.EndOfStream):
            return found


def _merged(items: list[_Item]) -> list[_Item | _Superseded]:
    """Join neighbouring audio into one job; of several requests of one kind only the last is worth answering."""
    last = {item.kind: item.id for item in items if isinstance(item, _Ask)}
    found: list[_Item | _Superseded] = []
    for item in items:
        if isinstance(item, bytes) and found and isinstance(found[-1], bytes):
            found[-1] += item
        elif isinstance(item, _Ask) and last[item.kind] != item.id:
            found.append(_Superseded(item.kind, item.id))
        else:
            found.append(item)
    return found


def _parse(message: Any) -> _Item:
    if (data := message.get("bytes")) is not None:
        if len(data) % 2:
            return AudioError("a binary frame holds half a sample", hint="send 16-bit little-endian PCM")
        return bytes(data)
    try:
        body = json.loads(message.get("text") or "")
        kind, ask_id = body["type"], body.get("id", 0)
        if kind not in ("partial", "transcribe", "spot") or not isinstance(ask_id, int):
            raise ValueError("unknown request")
        phrases = body.get("phrases", [])
        if not isinstance(phrases, list) or len(phrases) > MAX_PHRASES or not all(map(_is_phrase, phrases)):
            raise ValueError("these are not phrases")
        return _Ask(kind, ask_id, tuple(phrases))
    except (ValueError, KeyError, TypeError):
        return ProtocolError(
            "a text frame that is not a request", hint='send {"type":"partial"} or {"type":"transcribe"}'
        )


def _is_phrase(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_PHRASE


def _error(error: ParleyError, ask_id: int | None) -> dict[str, Any]:
    return {"type": "error", "id": ask_id, "code": error.code, "message": error.message, "hint": error.hint}
