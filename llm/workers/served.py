"""Engines that are servers of their own, run as the worker's child: vLLM, MLX-VLM.

The worker stays as their parent, because they know nothing of the lifeline: it ends them when the supervisor ends,
however that died, and when it is asked to end itself. Their exit status becomes the worker's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from llm.workers import lifeline

__all__ = ["serve"]

END_WITHIN_S = 2.5
"""Between SIGTERM and SIGKILL; the supervisor waits three seconds for us."""


def serve(argv: Sequence[str], env: Mapping[str, str] = os.environ) -> int:
    """Run it until it ends or we are to end; returns its exit status."""
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)

    def end(*_: object) -> None:
        threading.Thread(target=_end, args=(child,), daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    if env.get(lifeline.ENV) == "1":
        threading.Thread(target=_watch, args=(child, sys.stdin.fileno()), name="lifeline", daemon=True).start()
    status = child.wait()
    _signal(child, signal.SIGKILL)  # children of its own
    return status if status >= 0 else 128 - status


def _watch(child: subprocess.Popen[bytes], fd: int) -> None:
    with suppress(OSError):
        while os.read(fd, 4096) != b"":
            pass
    _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    _signal(child, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(END_WITHIN_S)
    _signal(child, signal.SIGKILL)


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    """To its whole group: such servers start processes of their own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)
