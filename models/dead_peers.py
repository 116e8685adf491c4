"""Connections whose other end is gone without a word: switched off, out of reach, forgotten by a router on the way.

The system by itself sends again for a quarter of an hour, and where it has nothing to send it notices nothing at all.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any, Protocol

__all__ = ["probe", "probed_socket"]

SERVER_DEAD_S = 15
"""A server whose machine acknowledges nothing for so long is gone; it may compute for as long as it likes."""


class _Socket(Protocol):
    def setsockopt(self, level: int, option: int, value: int, /) -> object: ...


def probe(sock: _Socket, dead_s: int) -> None:
    """Have the system end the connection when its other end has acknowledged nothing for about `dead_s`, however long
    that end computes. Of a listening socket: every connection that it takes.
    """
    options = {
        "TCP_KEEPIDLE": max(1, dead_s // 3),
        "TCP_KEEPALIVE": max(1, dead_s // 3),  # macOS's name for it
        "TCP_KEEPINTVL": max(1, dead_s // 3),
        "TCP_KEEPCNT": 2,
        "TCP_USER_TIMEOUT": dead_s * 1000,
    }
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            if (option := getattr(socket, name, None)) is not None:  # Linux has all of them, other systems some
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


def probed_socket(address: tuple[int, int, int, str, Any]) -> socket.socket:
    """For connections to other servers: aiohttp's `socket_factory`."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    probe(made, SERVER_DEAD_S)
    return made
