"""Many live sessions from one process whose microphones hear a quiet room.

Frames are masked and packed once, and the very bytes are written again and again, so that the load generator costs
little beside the server that is measured. RFC 6455 lets a client choose its masking key; ours is constant.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from tests.bench.utterances import RATE_HZ, quiet
from tests.parley_process import ParleyProcess

__all__ = ["Crowd", "crowd"]

_FRAME_S = 0.02


@dataclass(slots=True)
class Crowd:
    server: ParleyProcess
    config: Mapping[str, Any]
    group: anyio.abc.TaskGroup
    sockets: list[ClientConnection] = field(default_factory=list)
    late_s: float = 0.0
    """How late the load generator itself was at the worst; figures with much of it are worth nothing."""
    gone: int = 0

    async def grow(self, count: int) -> None:
        """Open sessions until there are `count`. Raises urllib.error.HTTPError when the server has no room."""
        while len(self.sockets) < count:
            body = {"audio_config": {"input_format": "pcm", "output_format": "pcm"}, "llm_config": {}, **self.config}
            opened = await anyio.to_thread.run_sync(self.server.post, "/v1/audio/live", body)
            socket = await connect(self.server.ws_url + str(opened["websocket_url"]), ping_interval=None)
            assert json.loads(await socket.recv())["type"] == "ready"
            self.sockets.append(socket)
            self.group.start_soon(self._drain, socket)

    async def _drain(self, socket: ClientConnection) -> None:
        async for _ in socket:
            pass
        self.gone += 1

    async def _speak(self) -> None:
        frames = _frames()
        started, sent = time.monotonic(), 0
        while True:
            sent += 1
            due = started + sent * _FRAME_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.late_s = max(self.late_s, time.monotonic() - due)
            frame = frames[sent % len(frames)]
            for socket in self.sockets:
                socket.transport.write(frame)


@asynccontextmanager
async def crowd(server: ParleyProcess, config: Mapping[str, Any]) -> AsyncIterator[Crowd]:
    """No sessions at first; `grow` opens them, and all of them send audio in real time until the block ends."""
    async with anyio.create_task_group() as group:
        people = Crowd(server, config, group)
        group.start_soon(people._speak)
        try:
            yield people
        finally:
            group.cancel_scope.cancel()
            for socket in people.sockets:
                socket.transport.abort()


def _frames(count: int = 64, mask: bytes = b"\x12\x34\x56\x78") -> list[bytes]:
    """Masked binary WebSocket frames of 20 ms of quiet room."""
    size = int(RATE_HZ * _FRAME_S)
    room = quiet(count * _FRAME_S)
    key = np.frombuffer((mask * (size * 2 // 4 + 1))[: size * 2], dtype=np.uint8)
    head = bytes([0x82, 0x80 | 126]) + (size * 2).to_bytes(2, "big") + mask
    return [
        head + (np.frombuffer(room[at * size : (at + 1) * size].tobytes(), dtype=np.uint8) ^ key).tobytes()
        for at in range(count)
    ]
