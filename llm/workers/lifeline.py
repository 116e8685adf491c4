"""A worker's end of the lifeline: it ends when the process that started it is gone, however that died.

The supervisor keeps the write end of the worker's standard input open and never writes. When the supervisor
ends, even by SIGKILL, the kernel closes that end and the read here returns. This needs no Linux call and no
polling, and cannot mistake a reused process id for the parent. A worker that is stopped, or hangs in native code and
lets no thread run, reads nothing: on Linux the kernel ends it, too (prctl(2), PR_SET_PDEATHSIG), with the thread that
started it, which is that of the supervisor's event loop.

`parley talk` holds a server that it started for itself by the same line, and that one ends in order.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Mapping

__all__ = ["ENV", "hold"]

ENV = "PARLEY_WORKER_LIFELINE"
"""Set to 1 by the supervisor. Without it a worker started by hand from a terminal runs until it is stopped."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def hold(env: Mapping[str, str] = os.environ, *, in_order: bool = False) -> bool:
    """Start the watching thread if a supervisor holds the other end; returns whether it does.

    At end of file on stdin the process then ends at once (status 0, no clean-up: nobody is left to care), or with
    `in_order` by a SIGTERM to itself.
    """
    if env.get(ENV) != "1":
        return False
    if sys.platform == "linux" and not in_order:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(sys.stdin.fileno(), in_order), name="lifeline", daemon=True).start()
    return True


def _watch(fd: int, in_order: bool) -> None:
    while True:
        try:
            if os.read(fd, 4096) == b"":
                break
        except OSError:
            break
    if in_order:
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        os._exit(0)
