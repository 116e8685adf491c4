"""What every slot and backend did, measured where requests pass: speed, waiting, errors. Pure; seconds are arguments.

One `Measuring` hears of each request through `begin` and the `Measured` it gives. Per backend and model it keeps sums
over its whole life and the latest requests for medians, all bounded; `rows` and `restore` carry it over a restart.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from statistics import median

__all__ = [
    "KEPT_LATEST",
    "LONGEST_NAME",
    "SHORTEST_S",
    "Figures",
    "Measured",
    "Measuring",
    "Sample",
    "Totals",
    "quantile",
]

KEPT_NAMES = 200
"""Pairs of backend and model; the ones used longest ago are forgotten."""
KEPT_LATEST = 256
"""Requests for medians, of each pair."""
SHORTEST_S = 0.02
"""What is written in less time tells no speed: it comes in one or two packets, whenever it was made."""
LONGEST_NAME = 200
"""Longer names are cut."""


@dataclass(slots=True)
class Totals:
    """Since it was first used, over restarts."""

    requests: int = 0
    errors: int = 0
    cancelled: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    busy_s: float = 0.0
    """Seconds of writing, first token to last, of all replies together; of answers that come whole, all of it."""


_COUNTS = ("requests", "errors", "cancelled", "prompt_tokens", "cached_tokens", "completion_tokens")


@dataclass(frozen=True, slots=True)
class Sample:
    first_s: float
    """0 where the answer came whole: nobody saw the first token."""
    queue_s: float
    tokens_per_s: float
    """0 where a reply was too short to tell."""


@dataclass(slots=True)
class Figures:
    totals: Totals = field(default_factory=Totals)
    latest: deque[Sample] = field(default_factory=lambda: deque(maxlen=KEPT_LATEST))
    running: int = 0
    last_error: str = ""

    def summary(self) -> dict[str, object]:
        """For an endpoint: totals, medians and 95th percentiles of the latest requests, in seconds."""
        firsts = [one.first_s for one in self.latest if one.first_s]
        queues = [one.queue_s for one in self.latest]
        speeds = [one.tokens_per_s for one in self.latest if one.tokens_per_s]
        return {
            **asdict(self.totals),
            "running": self.running,
            "last_error": self.last_error or None,
            "time_to_first_token_s": _spread(firsts),
            "queue_wait_s": _spread(queues),
            "tokens_per_s": _spread(speeds),
            "measured": len(self.latest),
        }


class Measured:
    """One request under way. Told of waiting, of every piece, then of one of the ends."""

    def __init__(self, figures: Figures, now: float) -> None:
        self._figures = figures
        self._begun_s = now
        self._waited_s = 0.0
        self._first_s: float | None = None
        self._pieces = self._first_pieces = 0
        self._over = False
        figures.totals.requests += 1
        figures.running += 1

    def waits(self, now: float) -> None:
        """It still waits for a place or a load; told again and again while it does."""
        self._waited_s = now - self._begun_s

    def piece(self, now: float, count: int = 1) -> None:
        """Something of the reply came; `count` pieces of it at once."""
        if self._first_s is None:
            self._first_s, self._first_pieces = now, count
        self._pieces += count

    def finished(self, now: float, prompt: int, completion: int, cached: int) -> None:
        """`completion` 0: the server does not count; then pieces stand for tokens."""
        if not self._close():
            return
        totals = self._figures.totals
        tokens = completion or self._pieces
        totals.prompt_tokens += prompt
        totals.cached_tokens += cached
        totals.completion_tokens += tokens
        if self._first_s is None:
            return
        first_s, writing_s = self._first_s - self._begun_s, now - self._first_s
        written = tokens * (1 - self._first_pieces / self._pieces)  # since the first came
        if self._pieces == self._first_pieces and tokens > 2:  # it came whole
            first_s, writing_s, written = 0.0, now - self._begun_s - self._waited_s, tokens
        totals.busy_s += writing_s
        speed = written / writing_s if tokens > 2 and writing_s >= SHORTEST_S else 0.0
        self._figures.latest.append(Sample(first_s, self._waited_s, speed))

    def failed(self, code: str) -> None:
        if self._close():
            self._figures.totals.errors += 1
            self._figures.last_error = code

    def cancelled(self) -> None:
        """The client went away, or another backend took it over. No effect after another end."""
        if self._close():
            self._figures.totals.cancelled += 1

    def _close(self) -> bool:
        if self._over:
            return False
        self._over = True
        self._figures.running -= 1
        return True


class Measuring:
    def __init__(self) -> None:
        self.changed = False
        """Set by every request; whoever keeps the figures sets it back."""
        self._figures: OrderedDict[tuple[str, str], Figures] = OrderedDict()

    def begin(self, backend: str, model: str, now: float) -> Measured:
        self.changed = True
        key = (backend[:LONGEST_NAME], model[:LONGEST_NAME])
        figures = self._figures.get(key)
        if figures is None:
            figures = self._figures[key] = Figures()
        self._figures.move_to_end(key)
        while len(self._figures) > KEPT_NAMES:
            idle = next((name for name, one in self._figures.items() if not one.running), None)
            if idle is None or idle == key:
                break
            del self._figures[idle]
        return Measured(figures, now)

    def all(self) -> Iterable[tuple[str, str, Figures]]:
        """(backend, model, figures), the latest used last."""
        return [(backend, model, figures) for (backend, model), figures in self._figures.items()]

    def rows(self) -> list[dict[str, object]]:
        """For a file."""
        return [
            {
                "backend": backend,
                "model": model,
                **asdict(figures.totals),
                "latest": [[one.first_s, one.queue_s, one.tokens_per_s] for one in figures.latest],
            }
            for backend, model, figures in self.all()
        ]

    def restore(self, rows: object) -> None:
        """What `rows` gave; what is damaged or from another version counts for nothing."""
        for row in rows if isinstance(rows, list) else ():
            with suppress(TypeError, KeyError, ValueError, AttributeError):
                totals = Totals(**{name: max(0, int(row[name])) for name in _COUNTS})
                totals.busy_s = float(row["busy_s"])
                figures = Figures(totals)
                for first_s, queue_s, speed in row["latest"][-KEPT_LATEST:]:
                    figures.latest.append(Sample(float(first_s), float(queue_s), float(speed)))
                self._figures[str(row["backend"]), str(row["model"])] = figures
        while len(self._figures) > KEPT_NAMES:
            self._figures.popitem(last=False)


def quantile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _spread(values: list[float]) -> Mapping[str, float] | None:
    if not values:
        return None
    return {"median": round(median(values), 4), "p95": round(quantile(values, 0.95), 4)}
