"""A core for each thread that computes a step together with others, while there are as many of them as cores.

The system puts a thread that wakes onto the core of the one that woke it when the other cores have something to do at
that moment, be it for some microseconds (the socket that the request came from). Then two threads that wait for each
other at every operation share a core until the system looks again: 4 to 15 ms late where they spin, for a third of a
second where they fall asleep in turn, at 74 ms a step instead of 0.4 (stories260K, eight replies, two cores).

So each is bound to a core of its own: the one that calls for the step while that is computed, for it does other
things, too, and what it starts inherits where it may run; the others for good, for they do nothing else.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import suppress

from llm.llamacpp.openmp import openmp

__all__ = ["ThreadPlaces"]

_TEAM = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class ThreadPlaces:
    """Used by one thread at a time: OpenMP keeps a team for each thread that calls."""

    def __init__(self) -> None:
        self._cores = os.sched_getaffinity(0) if _possible() else set()
        self._caller = 0
        self._team: dict[int, int] = {}
        """The others, by the core that each is bound to."""
        self._taken = False

    def take(self, threads: int) -> None:
        """Before a step of so many threads, in the thread that calls for it."""
        if threads < 2 or not self._cores:
            return
        if self._caller != threading.get_native_id():
            self._caller, self._team = threading.get_native_id(), {}
        try:
            if threads == len(self._cores):
                self._bind(_core())
            elif self._team:
                self._team = {}
                for thread in _team(threads):  # a smaller team has some of the same threads
                    os.sched_setaffinity(thread, self._cores)
        except (OSError, ValueError):  # other cores are allowed now, or another library counts its threads otherwise
            self._cores, self._team = set(), {}

    def leave(self) -> None:
        """After the step."""
        if self._taken:
            self._taken = False
            with suppress(OSError):
                os.sched_setaffinity(0, self._cores)

    def _bind(self, here: int) -> None:
        if not self._team:
            self._team = dict(zip(self._cores - {here}, _team(len(self._cores)), strict=True))
            for core, thread in self._team.items():
                os.sched_setaffinity(thread, {core})
        elif here in self._team:  # the caller has moved to the core of another: that one is quicker to move
            free = next(iter(self._cores - self._team.keys()))
            self._team[free] = self._team.pop(here)
            os.sched_setaffinity(self._team[free], {free})
        os.sched_setaffinity(0, {here})
        self._taken = True


def _team(threads: int) -> list[int]:
    """The system's numbers of the threads that compute with this one."""
    found: set[int] = set()
    call = _TEAM(lambda _: found.add(threading.get_native_id()))
    assert openmp is not None
    openmp.GOMP_parallel(call, None, threads, 0)
    return sorted(found - {threading.get_native_id()})


def _core() -> int:
    """The one that this thread runs on."""
    assert _libc is not None
    found: int = _libc.sched_getcpu()
    return found


def _possible() -> bool:
    chosen = "OMP_PROC_BIND" in os.environ or "GOMP_CPU_AFFINITY" in os.environ
    return openmp is not None and not chosen and hasattr(os, "sched_setaffinity") and hasattr(_libc, "sched_getcpu")


_libc = ctypes.CDLL(None) if sys.platform != "win32" else None
