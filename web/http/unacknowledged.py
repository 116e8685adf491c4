"""How much of what was written to a client has not arrived there: what a stalled link holds, nobody has heard.

Told by the operating system, in the scope's extensions: our server hands the application a function for it. Linux
knows; elsewhere, and behind a server that is not ours, nobody does. Behind a proxy it is what the proxy has taken.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import Callable

from starlette.types import Scope

if sys.platform == "linux":
    import fcntl
    import termios

__all__ = ["EXTENSION", "unacknowledged", "unacknowledged_of"]

EXTENSION = "parley.unacknowledged"


def unacknowledged(transport: asyncio.Transport) -> int | None:
    """Bytes that wait in the process or in the system, or were sent and not acknowledged; None: not known."""
    if sys.platform != "linux":
        return None
    sock = transport.get_extra_info("socket")
    try:
        queued = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")  # SIOCOUTQ in tcp(7)
    except (AttributeError, OSError, ValueError):
        return None  # it is closed
    return transport.get_write_buffer_size() + int(struct.unpack("i", queued)[0])


def unacknowledged_of(scope: Scope) -> Callable[[], int | None]:
    found = (scope.get("extensions") or {}).get(EXTENSION)
    return found if callable(found) else lambda: None
