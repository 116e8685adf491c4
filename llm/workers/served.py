"""Engines that are servers of their own, run as the worker's child: vLLM, MLX-VLM.

The worker stays as their parent, because they know nothing of the lifeline: it ends them when the supervisor ends,
however that died, and when it is asked to end itself. Their exit status becomes the worker's. They stay in the
worker's process group, which the supervisor kills after the worker: so nothing is left when the worker is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

import psutil  # type: ignore[import-untyped]

from llm.workers import lifeline

__all__ = ["serve"]

END_WITHIN_S = 2.5
"""Between SIGTERM and SIGKILL; the supervisor waits three seconds for us."""
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def serve(argv: Sequence[str], env: Mapping[str, str] = os.environ) -> int:
    """Run it until it ends or we are to end; returns its exit status."""
    leads = (
        hasattr(os, "getpgrp") and os.getpgrp() == os.getpid()
    )  # not so when started by hand: our group is the shell's then
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=not leads)
    group = os.getpid() if leads else child.pid

    def end(*_: object) -> None:
        threading.Thread(target=_end, args=(child, group), daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    if env.get(lifeline.ENV) == "1":
        threading.Thread(target=_watch, args=(child, group, sys.stdin.fileno()), name="lifeline", daemon=True).start()
    status = child.wait()
    _signal(group, _KILL)  # children of its own
    return status if status >= 0 else 128 - status


def _watch(child: subprocess.Popen[bytes], group: int, fd: int) -> None:
    with suppress(OSError):
        while os.read(fd, 4096) != b"":
            pass
    _end(child, group)


def _end(child: subprocess.Popen[bytes], group: int) -> None:
    _signal(group, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(END_WITHIN_S)
    _signal(group, _KILL)


def _signal(group: int, number: int) -> None:
    """To the whole group but us: such servers start processes of their own."""
    if not hasattr(os, "getpgid"):  # Windows
        with suppress(ProcessLookupError, PermissionError):
            os.kill(group, number)
        return
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            if pid != os.getpid() and os.getpgid(pid) == group:
                os.kill(pid, number)
