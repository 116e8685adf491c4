"""How many connections the server takes at once: each is an open file, and a process may have only so many of these.

Without a free one the kernel's next connection can only be dropped, and a request that is being answered reaches no
worker and writes no file. So what is taken stays far below the limit, and the limit is raised as far as it may be:
1024 by default on Linux, which is for programs that use select(2).
"""

from __future__ import annotations

import sys
from contextlib import suppress

__all__ = ["FEW_CONNECTIONS", "MOST_CONNECTIONS", "connections_at_once", "raise_limit"]

_WANTED_FILES = (65_536, 10_240)
"""macOS says that there is no limit, and takes no more than the second."""
MOST_CONNECTIONS = 2048
FEW_CONNECTIONS = 256
"""Fewer than this are worth a warning at the start."""
_OURS = 64
"""What is open beside connections: the listener, workers, files that are being written."""
_LEAST = 8


def raise_limit() -> None:
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for files in _WANTED_FILES:
        wanted = files if hard == resource.RLIM_INFINITY else min(files, hard)
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return


def connections_at_once() -> int:
    """Each may need another one, to a worker or a backend."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(_LEAST, (files - _OURS) // 2))
