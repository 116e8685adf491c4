"""GNU's OpenMP, with which llama.cpp computes: how long its threads wait for each other by spinning.

A thread that waits for another of its team should spin for longer than the other takes to arrive, or both fall asleep
in turn, at each of the hundreds of operations of a step. That goes well only while every thread has a core;
compute_threads.py sees to that, and where it cannot, they spin for less.
"""

from __future__ import annotations

import ctypes
import os
from importlib.util import find_spec
from pathlib import Path

__all__ = ["openmp"]

SPINS, FEW_SPINS = "20000", "300"
"""Some 200 and 3 microseconds."""


def _load() -> ctypes.CDLL | None:
    """The one that this build of llama.cpp is going to use: prebuilt ones may bring their own. It reads its settings
    here and now, from the environment, which is then as it was before: a worker that this process starts would take
    it for somebody's wish.

    With the wait policy "active" its threads still spin some 10 microseconds while a process has more than the
    machine has cores, with "passive" not at all (libgomp's env.c).
    """
    spec = find_spec("llama_cpp")
    packages = Path(spec.origin).parent.parent if spec is not None and spec.origin is not None else Path()
    own = [str(file) for file in sorted(packages.glob("llama_cpp*/**/libgomp*.so*"))]
    if "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ:
        return None
    counted = Path("/proc/self/schedstat").exists()  # for compute_threads.py
    os.environ["OMP_WAIT_POLICY"] = "active" if counted else "passive"
    os.environ["GOMP_SPINCOUNT"] = SPINS if counted else FEW_SPINS
    try:
        library = ctypes.CDLL([*own, "libgomp.so.1"][0])
        library.GOMP_parallel.restype = None
    except (OSError, AttributeError):  # another system, or another OpenMP, which reads them later
        os.environ |= {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": FEW_SPINS}
        return None
    del os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"]
    return library


openmp = _load()
"""None where nothing can be done about it, or somebody has decided it already."""
