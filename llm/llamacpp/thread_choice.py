"""How many threads a step gets: tried out, because it depends on the model, the machine and who else is busy. Pure.

On a free machine two threads shorten a small step by a third; beside a busy core they double it. So now and then a
few steps of each size run with a neighbouring number of threads, and what was much faster, or faster twice, is used
from then on; unless it turns out slower after all, for a thread that shares its core does so by turns of some
milliseconds: most steps are quick, and some last fifty times as long.

Several threads add up the attention of a lone token in parts that depend on where its cells lie. A reply with a seed
would not come out the same: its steps of one token are never tried out, and a small model gets one thread for them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from math import inf
from statistics import median

__all__ = ["ThreadChoice"]

WORK_OF_A_THREAD = 3_000_000
"""Tokens x parameters of a step for every thread, at first. With less, threads wait more than they work."""
SMALL_MODEL = 15_000_000
"""Parameters; a step of one token takes it a millisecond on one thread."""
TRY_BELOW_S = 0.02
"""Longer steps get all threads: a trial would cost too much, and they wait for each other rarely."""
SLOWED = 3
"""Times the shortest that such steps took: whoever computes beside us has taken a core, and the wait for its thread
may last fifty times as long as the step."""
TRY_FIRST = 12
"""Steps of one size before the first trial, and before the next after one that was faster: others may just have begun
to compute, or ceased."""
TRY_AFTER = 50
"""Steps between two trials then; twice as many after each that was in vain."""
TRY_AFTER_MOST = 800
SHARE_OF_TRIALS = 0.03
"""Of the time: a trial that cost much is followed by a longer wait."""
TRIAL = 8
"""Steps of a trial; the first has threads to wake and to be given a core, and does not count."""
GIVE_UP = 2 * TRIAL
"""Steps whose time a trial may take, if that is more than TRY_BELOW_S: where a thread gets no core, one step may last
as long as fifty. Where it gets one, it may have to wait once, for 4 to 12 ms, until the system moves it there."""
FASTER, MUCH_FASTER = 0.95, 0.8
WINDOW, WINDOW_S = 512, 0.03
"""So many of the steps before count, or as many as took so long: some of the turns by which threads share a core."""
FEW = 7
STALL_S = 0.012
"""Longer than others by more is a step for another reason than a thread that waits for its core."""


@dataclass(slots=True)
class _Size:
    current: int
    """Index of the number of threads that is used."""
    times: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    """Of steps with it."""
    shortest: float = inf
    slowed: bool = False
    steps: int = 0
    wait: int = TRY_FIRST
    trial: int | None = None
    trial_times: list[float] = field(default_factory=list)
    wins: dict[int, int] = field(default_factory=dict)
    up: bool = True
    former: tuple[int, float] | None = None
    """The number before this one and what a step took with it, until this one has proved to be better."""
    spent_s: float = 0.0
    """Since this number is used."""
    vain_wait: int = TRY_AFTER
    """Steps until the next trial, after a number that has not proved to be better."""

    @property
    def usual_s(self) -> float:
        """What a step takes as a rule."""
        return median(islice(reversed(self.times), FEW))

    @property
    def mean_s(self) -> float:
        """What steps took lately, those included that waited for a core."""
        longest, total, count = self.usual_s + STALL_S, 0.0, 0
        for count, seconds in enumerate(reversed(self.times), 1):
            total += min(seconds, longest)
            if total >= WINDOW_S and count >= FEW:
                break
        return total / count


class ThreadChoice:
    """`most` threads at most; `parameters` of the model. `fixed`: always `most`, because somebody said so."""

    def __init__(self, most: int, parameters: int, fixed: bool = False) -> None:
        self._numbers = [1]
        while not fixed and 2 * self._numbers[-1] < most:
            self._numbers.append(2 * self._numbers[-1])
        if most > 1:
            self._numbers.append(most)
        self._fixed = most if fixed else None
        self._parameters = parameters
        self._sizes: dict[int, _Size] = {}
        self._asked: _Size | None = None

    def choose(self, tokens: int, exact: bool = False) -> int:
        """For the next step, which has so many tokens. `exact`: its reply must come out the same again."""
        self._asked = None
        if self._fixed is not None:
            return self._fixed
        if tokens == 1 and exact:
            return self._numbers[self._lone()]
        size = self._sizes.get(tokens.bit_length())
        if size is None:
            size = _Size(self._lone() if tokens == 1 else self._guess(tokens))
            self._sizes[tokens.bit_length()] = size
        self._asked = size
        return self._numbers[size.current if size.trial is None else size.trial]

    def ran(self, seconds: float) -> None:
        """How long the step took for which `choose` was asked last."""
        size = self._asked
        if size is None or len(self._numbers) == 1:
            return
        if size.trial is None:
            self._count(size, seconds)
            return
        size.trial_times.append(seconds)
        if sum(size.trial_times) > max(TRY_BELOW_S, GIVE_UP * size.usual_s):
            self._judge(size, size.trial, inf)
        elif len(size.trial_times) == TRIAL:
            self._judge(size, size.trial, sum(size.trial_times[1:]) / (TRIAL - 1))

    def _count(self, size: _Size, seconds: float) -> None:
        size.times.append(seconds)
        size.steps += 1
        size.spent_s += seconds
        if len(size.times) < 3:
            return
        if size.former is not None:
            if size.spent_s >= WINDOW_S and len(size.times) >= FEW:
                self._prove(size, *size.former)
            return
        now = size.usual_s
        slowed = now > SLOWED * size.shortest
        if slowed and not size.slowed:
            size.steps, size.wait = 0, FEW
        size.slowed = slowed
        if len(size.times) >= FEW:
            size.shortest = min(size.shortest, now)
        if size.steps >= size.wait and (now < TRY_BELOW_S or slowed):
            size.trial, size.trial_times = self._neighbour(size), []

    def try_soon(self) -> None:
        """Somebody else computes now, or no longer."""
        for size in self._sizes.values():
            size.wait, size.steps = TRY_AFTER, TRY_AFTER
            size.up = self._numbers[size.current] == 1
            size.trial = size.former = None
            size.vain_wait = TRY_AFTER
            size.times.clear()

    def _judge(self, size: _Size, trial: int, seconds: float) -> None:
        size.trial, size.steps = None, 0
        before = size.mean_s
        if seconds > FASTER * before:
            size.wins[trial] = 0
            if size.slowed:  # and not by too many threads: the steps are longer now, with more context say
                size.shortest = before
            lost = sum(size.trial_times) / before - len(size.trial_times)
            size.wait = max(TRY_AFTER, min(2 * size.wait, TRY_AFTER_MOST), int(lost / SHARE_OF_TRIALS))
            return
        size.wins[trial] = size.wins.get(trial, 0) + (1 if seconds > MUCH_FASTER * before else 2)
        size.wait = TRY_FIRST
        if size.wins[trial] > 1:
            size.former = size.current, before
            self._use(size, trial)
        else:
            size.up = not size.up  # the same neighbour again

    def _use(self, size: _Size, number: int) -> None:
        size.current, size.spent_s = number, 0.0
        size.times.clear()
        size.wins.clear()

    def _prove(self, size: _Size, former: int, before: float) -> None:
        """Whether the number that was changed to is better for longer than a trial."""
        size.former = None
        if size.mean_s <= before:
            size.vain_wait = TRY_AFTER
            return
        size.vain_wait = min(2 * size.vain_wait, TRY_AFTER_MOST)
        size.wait = max(size.vain_wait, int((size.spent_s / before - len(size.times)) / SHARE_OF_TRIALS))
        size.steps = 0
        self._use(size, former)

    def _neighbour(self, size: _Size) -> int:
        last = len(self._numbers) - 1
        up = size.current == 0 or (size.up and size.current < last)
        size.up = not up
        return size.current + 1 if up else size.current - 1

    def _lone(self) -> int:
        return 0 if self._parameters <= SMALL_MODEL else self._guess(1)

    def _guess(self, tokens: int) -> int:
        worth = tokens * self._parameters // WORK_OF_A_THREAD
        return max((at for at, number in enumerate(self._numbers) if number <= worth), default=0)
