"""How many processor cores there are for this process: those it may run on and, in a container, its CPU quota."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from llm.memory.cgroups import MEMBERSHIP, ROOT, groups_of

__all__ = ["cores"]


def cores(root: Path = ROOT, membership: Path = MEMBERSHIP) -> int:
    """At least one. A quota of half a core more counts as one more."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for group in groups_of("cpu", root, membership):
        for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):  # of cgroup 2, and of 1
            with suppress(OSError, ValueError, ZeroDivisionError):  # no such file, or no quota ("max", -1)
                quota, period = " ".join((group / name).read_text(encoding="ascii") for name in names).split()[:2]
                if int(quota) > 0:
                    found = min(found, round(int(quota) / int(period)))
    return max(1, found)
