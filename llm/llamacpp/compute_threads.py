"""The threads that compute a step together, and how they wait for each other.

GNU's OpenMP lets a thread spin for as long as openmp.py says, and for next to nothing while a process has more of its
threads than the machine has cores (GOMP_SPINCOUNT in its manual). That can be had at any time: one more thread with a
team of its own, as large as the machine, that does nothing.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path

from llm.llamacpp.openmp import openmp
from llm.llamacpp.spin_choice import LOOK_S, SpinChoice
from llm.llamacpp.thread_places import ThreadPlaces

__all__ = ["ComputeThreads"]

_TASKS = Path("/proc/self/task")


class ComputeThreads:
    """Of one engine's thread. `now`: seconds of a clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._choice = SpinChoice()
        self._places = ThreadPlaces()
        self._enough: threading.Event | None = None  # there is a team that does nothing, until this is set
        self._worked_s = 0.0
        self._waited: dict[str, int] = {}
        self._watches = openmp is not None and (_TASKS / str(threading.get_native_id()) / "schedstat").exists()

    def close(self) -> None:
        self._let_spin()

    def begin(self, threads: int) -> float:
        """A step begins, in this thread, that so many compute. The time."""
        self._places.take(threads)
        return self.now()

    def worked(self, threads: int, began: float) -> tuple[float, bool]:
        """A step is over that so many threads computed. The seconds it took; and whether others have just begun to
        compute, or ceased."""
        now = self.now()
        self._places.leave()
        changed = False
        if threads > 1 and self._watches:
            self._worked_s += threads * (now - began)
            changed = self._worked_s >= threads * LOOK_S and self._look(now)
        elif self._enough is not None and self._choice.alone(now):
            self._let_spin()
            changed = True
        return now - began, changed

    def _look(self, now: float) -> bool:
        before, self._waited = self._waited, _waits_ns()
        waited = sum(waited - before[thread] for thread, waited in self._waited.items() if thread in before)
        worked_s, self._worked_s = self._worked_s, 0.0
        spun = self._choice.spins
        self._choice.looked(waited / 1e9, worked_s, now)
        if self._choice.spins:
            self._let_spin()
        else:
            self._do_not_spin()
        return spun != self._choice.spins

    def _let_spin(self) -> None:
        if self._enough is not None:
            self._enough.set()
            self._enough = None

    def _do_not_spin(self) -> None:
        if self._enough is None:
            here, self._enough = threading.Event(), threading.Event()
            arguments = (here, self._enough)
            threading.Thread(target=_hold_a_team, args=arguments, name="no spinning", daemon=True).start()
            here.wait()


def _hold_a_team(here: threading.Event, until: threading.Event) -> None:
    assert openmp is not None
    nothing = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p)  # what each thread of it calls
    openmp.GOMP_parallel(nothing, ctypes.c_char_p(b""), max(2, os.cpu_count() or 1), 0)
    here.set()
    until.wait()


def _waits_ns() -> dict[str, int]:
    """For how long each thread of this process that is not Python's, and the calling one, was ready to run and had no
    core: the second number of proc(5)'s schedstat.
    """
    mine = threading.get_native_id()
    others = {str(thread.native_id) for thread in threading.enumerate() if thread.native_id != mine}
    found: dict[str, int] = {}
    for task in os.listdir(_TASKS):
        if task not in others:
            try:
                found[task] = int((_TASKS / task / "schedstat").read_bytes().split()[1])
            except (OSError, IndexError, ValueError):  # it has just ended
                continue
    return found
