"""Names of hosts, looked up in threads of their own: one that no name service answers for keeps no other one waiting.

The loop's own look-ups share a few threads (uvloop's two), and each may hang for half a minute.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any, cast

import aiohttp
import anyio
import anyio.to_thread

__all__ = ["AT_ONCE", "NameResolver"]

AT_ONCE = 64


class NameResolver(aiohttp.ThreadedResolver):
    """For aiohttp's connector, which looks the same name up once at a time. `limiter`: of those that share it."""

    def __init__(self, limiter: anyio.CapacityLimiter | None = None) -> None:
        looking_up = _LookingUp(limiter or anyio.CapacityLimiter(AT_ONCE))
        super().__init__(cast(asyncio.AbstractEventLoop, looking_up))


class _LookingUp:
    """What aiohttp asks a loop for."""

    def __init__(self, limiter: anyio.CapacityLimiter) -> None:
        self._limiter = limiter

    async def getaddrinfo(self, *asked: Any, **more: Any) -> Any:
        look_up = partial(socket.getaddrinfo, *asked, **more)
        return await anyio.to_thread.run_sync(look_up, abandon_on_cancel=True, limiter=self._limiter)

    async def getnameinfo(self, address: Any, flags: int) -> tuple[str, str]:
        return socket.getnameinfo(address, flags)  # numbers, which nobody is asked for
