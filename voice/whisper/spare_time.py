"""When the thread of a recogniser has time for a partial transcript. Pure.

Nobody waits for one, and while it is made a transcript that somebody does wait for stands behind it. So partial ones
take a small share of the time, and none are made on a machine that is slow.
"""

from __future__ import annotations

from math import inf

__all__ = ["SpareTime"]


class SpareTime:
    """`share` of the time at most, in runs that take `longest_s` at most, as far as the last ones show.

    How long a run takes is not known until something was transcribed: the first turn goes without.
    """

    def __init__(self, share: float, longest_s: float) -> None:
        self._share, self._longest_s = share, longest_s
        self._run_s = inf
        self._free_at = -inf

    def free(self, now: float) -> bool:
        """A run may begin."""
        return self._run_s <= self._longest_s and now >= self._free_at

    def ran(self, began_s: float, ended_s: float, *, to_its_end: bool) -> None:
        """A run that was given up counts for its time, and says nothing about how long one takes."""
        self._free_at = began_s + (ended_s - began_s) / self._share
        if to_its_end:
            self._run_s = ended_s - began_s

    def transcribed(self, run_s: float, *, alike: bool) -> None:
        """A transcript took so long. Where it was `alike`, a partial one takes as long; else that long at most."""
        self._run_s = run_s if alike else min(self._run_s, run_s)
