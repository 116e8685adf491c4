"""A client of the live protocol with a microphone that runs in real time, and notes of when everything came.

The microphone never stops: between utterances it hears a quiet room. Frame n is sent when its last sample would have
been recorded, so the delay of a frame's own length is in every figure, as it is for a person.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
import numpy as np
import numpy.typing as npt
from websockets.asyncio.client import ClientConnection, connect

from tests.bench.utterances import RATE_HZ, Utterance, quiet
from tests.parley_process import ParleyProcess

__all__ = ["OUT_HZ", "Heard", "LiveClient", "live_client"]

FRAME_S = 0.02
_FRAME = int(RATE_HZ * FRAME_S)
OUT_HZ = 24000


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of the server and when it came (time.monotonic)."""

    at_s: float
    type: str
    body: dict[str, Any]

    @property
    def pcm(self) -> npt.NDArray[np.int16]:
        return np.frombuffer(base64.b64decode(self.body.get("audio", "")), dtype="<i2")

    @property
    def audible(self) -> bool:
        """Audio in which something is to be heard, not only silence before it."""
        return self.type == "audio" and len(self.pcm) > 0 and int(np.abs(self.pcm.astype(np.int32)).max()) > 64


@dataclass(slots=True)
class LiveClient:
    socket: ClientConnection
    heard: list[Heard] = field(default_factory=list)
    _queue: npt.NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, dtype=np.int16))
    _sent: int = 0
    _started_s: float = 0.0
    _plays_until_s: float = 0.0
    _news: anyio.Event = field(default_factory=anyio.Event)

    def say(self, utterance: Utterance) -> tuple[float, float]:
        """Speak from now on; the times at which its first and last voiced sample are recorded."""
        begin = self._sent + len(self._queue)
        self._queue = np.concatenate([self._queue, utterance.pcm])
        return (
            self._started_s + (begin + utterance.first) / RATE_HZ,
            self._started_s + (begin + utterance.last) / RATE_HZ,
        )

    async def wait(self, kind: str, after_s: float, timeout_s: float = 60.0, audible: bool = False) -> Heard:
        """The first message of a type after a time. Raises TimeoutError; RuntimeError when an error message comes."""
        index = 0
        with anyio.fail_after(timeout_s):
            while True:
                while index < len(self.heard):
                    message = self.heard[index]
                    index += 1
                    if message.at_s < after_s:
                        continue
                    if message.type == kind and (not audible or message.audible):
                        return message
                    if message.type == "error":
                        raise RuntimeError(f"the server says {message.body}")
                self._news = anyio.Event()
                await self._news.wait()

    async def wait_quiet(self, pause_s: float = 0.4) -> None:
        """Until the loudspeaker would have played all that came, and a little longer."""
        while (left_s := self._plays_until_s + pause_s - time.monotonic()) > 0:
            await anyio.sleep(left_s)

    async def _microphone(self) -> None:
        room = quiet(5.0)
        self._started_s = time.monotonic()
        while True:
            frame = self._queue[:_FRAME]
            self._queue = self._queue[_FRAME:]
            if len(frame) < _FRAME:
                start = self._sent % (len(room) - _FRAME)
                frame = np.concatenate([frame, room[start : start + _FRAME - len(frame)]])
            self._sent += _FRAME
            # a sound card's samples do not wait for a busy machine: what is due is sent, however late it is
            wait_s = self._started_s + self._sent / RATE_HZ - time.monotonic()
            if wait_s > 0 or self._sent % (5 * _FRAME) == 0:
                await anyio.sleep(max(0.0, wait_s))
            await self.socket.send(self._in_the_air(frame).tobytes())

    def _in_the_air(self, frame: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """What the microphone makes of its next frame."""
        return frame

    async def _listen(self) -> None:
        async for frame in self.socket:
            now = time.monotonic()
            body = json.loads(frame)
            message = Heard(now, body["type"], body)
            self.heard.append(message)
            if message.type == "audio":
                self._plays_until_s = max(now, self._plays_until_s) + len(message.pcm) / OUT_HZ
            elif message.type == "interrupted":
                self._plays_until_s = now
            self._came(message)
            self._news.set()

    def _came(self, message: Heard) -> None:
        """For clients that do something with what they hear."""


C = TypeVar("C", bound=LiveClient)


@asynccontextmanager
async def live_client(
    server: ParleyProcess,
    config: dict[str, Any] | None = None,
    client_type: type[C] = LiveClient,  # type: ignore[assignment]
) -> AsyncIterator[C]:
    """A connected session that has said `ready`, its microphone running."""
    body = {
        "audio_config": {"input_format": "pcm", "output_format": "pcm", "sample_rate": OUT_HZ},
        "llm_config": {},
        **(config or {}),
    }
    opened = await anyio.to_thread.run_sync(server.post, "/v1/audio/live", body)
    async with connect(server.ws_url + str(opened["websocket_url"]), max_size=None) as socket:
        client = client_type(socket)
        async with anyio.create_task_group() as group:
            group.start_soon(client._listen)
            await client.wait("ready", 0.0)
            group.start_soon(client._microphone)
            await anyio.sleep(1.0)  # a second of room first, as a person would give it
            try:
                yield client
            finally:
                group.cancel_scope.cancel()
