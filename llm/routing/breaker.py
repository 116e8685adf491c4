"""When a backend, or a model of it, is left alone for a while. Pure: the time is an argument.

closed     everything passes; failures in a row are counted
open       nothing passes until a time: after THRESHOLD failures in a row, longer each time; after one where it cost
           somebody a long silence; or as long as the server itself asked for (Retry-After)
half open  that time is over: one request tries, and the others go elsewhere until its answer begins. It decides
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["Breaker", "admits", "failed", "probed", "released", "state", "succeeded", "tried", "waits"]

THRESHOLD = 3
FIRST_S = 2.0
LONGEST_S = 30.0
SILENT_FIRST_S, SILENT_LONGEST_S = 10.0, 300.0
"""The same for one that lets requests wait in vain: each trial keeps somebody waiting."""
TRIAL_S = 30.0
"""A trial that has not ended after this long keeps nobody else away."""


@dataclass(frozen=True, slots=True)
class Breaker:
    failures: int = 0
    open_until_s: float | None = None
    trial_until_s: float | None = None
    unreachable: bool = False
    """The last failure was that nobody answered: then a probe that is answered is news."""
    cooling: bool = False
    """It is not broken: it asked for a pause."""
    silences: int = 0
    """So many of the last failures in a row were long silences."""


def state(breaker: Breaker, now_s: float) -> Literal["closed", "open", "half_open"]:
    if breaker.open_until_s is None:
        return "closed"
    return "open" if now_s < breaker.open_until_s else "half_open"


def admits(breaker: Breaker, now_s: float) -> bool:
    """Whether a request may be sent now."""
    match state(breaker, now_s):
        case "closed":
            return True
        case "open":
            return False
        case "half_open":
            return breaker.trial_until_s is None or now_s >= breaker.trial_until_s


def waits(breaker: Breaker, now_s: float) -> float:
    """Seconds until a request may be sent; 0 where it may be now."""
    if admits(breaker, now_s):
        return 0.0
    until_s = breaker.open_until_s if state(breaker, now_s) == "open" else breaker.trial_until_s
    return max(0.0, (until_s or now_s) - now_s)


def tried(breaker: Breaker, now_s: float) -> Breaker:
    """A request is being sent."""
    return replace(breaker, trial_until_s=now_s + TRIAL_S) if breaker.open_until_s is not None else breaker


def released(breaker: Breaker) -> Breaker:
    """The trial has said what it can, and keeps nobody else away: its answer has begun, or its client has left."""
    return breaker if breaker.trial_until_s is None else replace(breaker, trial_until_s=None)


def succeeded(breaker: Breaker) -> Breaker:
    return _WELL


_WELL = Breaker()


def failed(
    breaker: Breaker,
    now_s: float,
    *,
    unreachable: bool = False,
    silent: bool = False,
    retry_after_s: float | None = None,
) -> Breaker:
    """`retry_after_s`: the server is well and said when to come again. `silent`: a request waited for long, and in
    vain; several that waited together are one failure.
    """
    if retry_after_s is not None:
        return replace(
            breaker, open_until_s=now_s + retry_after_s, trial_until_s=None, unreachable=False, cooling=True
        )
    if silent:
        if breaker.silences and state(breaker, now_s) == "open":
            return breaker
        silences = breaker.silences + 1
        pause_s = min(SILENT_LONGEST_S, SILENT_FIRST_S * 2.0 ** min(silences - 1, 10))
        return Breaker(max(THRESHOLD, breaker.failures + 1), now_s + pause_s, silences=silences)
    failures = breaker.failures + 1
    if failures < THRESHOLD:
        return Breaker(failures, unreachable=unreachable)
    pause_s = min(LONGEST_S, FIRST_S * 2.0 ** min(failures - THRESHOLD, 10))
    return Breaker(failures, now_s + pause_s, unreachable=unreachable)


def probed(breaker: Breaker, now_s: float) -> Breaker:
    """It answered a question about itself: a server that was away is back, and may be tried at once."""
    if breaker.unreachable and breaker.open_until_s is not None:
        return replace(breaker, open_until_s=min(breaker.open_until_s, now_s))
    return breaker
