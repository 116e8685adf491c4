"""What is written in one turn of the event loop goes out in one packet.

uvicorn writes the head of an answer, each piece of its body and its end one by one. Each is a system call, and each
wakes the client: for a short answer they cost more than all else that is done for it.
"""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["GatheredWrites"]

AT_ONCE_BYTES = 64 * 1024
"""More is not held back, so that the transport can say when it is too much."""


class GatheredWrites(asyncio.Transport):
    """Stands before a transport; `flush` writes at once what is held. All else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0
        self._due = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._held.append(bytes(data))
        self._size += len(data)
        if self._size > AT_ONCE_BYTES:
            self.flush()
        elif not self._due:
            self._due = True
            self._loop.call_soon(self._turn_ends)

    def flush(self) -> None:
        if self._held:
            held, self._held, self._size = self._held, [], 0
            if not self.transport.is_closing():
                self.transport.write(held[0] if len(held) == 1 else b"".join(held))

    def _turn_ends(self) -> None:
        self._due = False
        self.flush()

    def close(self) -> None:
        self.flush()
        self.transport.close()

    def abort(self) -> None:
        self._held.clear()
        self.transport.abort()

    def is_closing(self) -> bool:
        return self.transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        self.transport.resume_reading()
