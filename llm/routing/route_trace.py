"""How a request found its backend, for the log and for a response header."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import structlog

from llm.errors import LlmError, Overloaded
from llm.routing.backend_record import BackendRecord
from llm.routing.repeats import Repeats
from llm.routing.router import Choice

__all__ = ["RouteLog", "RouteTrace", "refusal"]

log = structlog.get_logger(__name__)

_UNSAFE = re.compile(r"[^A-Za-z0-9._:/@+-]")


@dataclass(slots=True, repr=False)
class RouteTrace:
    """`reasons` are (backend, code of why it was passed over), in the order they were asked."""

    strategy: str
    chosen: Choice | None = None
    reasons: list[tuple[str, str]] = field(default_factory=list)
    model: str = ""
    """Of our own slots: what the name stood for."""
    slot: int | None = None

    def placed(self, model: str, slot: int) -> None:
        self.model, self.slot = model, slot

    def passed(self, choice: Choice, code: str) -> None:
        self.reasons.append((choice.backend, code))

    def __repr__(self) -> str:
        return self.line()

    def line(self) -> str:
        """ "local/qwen3; slot=1; strategy=failover; passed=gpu:backend_unreachable"; ASCII, at most 500 letters."""
        chosen = f"{self.chosen.backend}/{self.model or self.chosen.model}" if self.chosen else "none"
        parts = [chosen, f"strategy={self.strategy}"]
        if self.chosen and self.slot is not None:
            parts.insert(1, f"slot={self.slot}")
        if self.reasons:
            parts.append("passed=" + ",".join(f"{backend}:{code}" for backend, code in self.reasons))
        return "; ".join(f"{_clean(part)}" for part in parts)[:500]


@lru_cache(maxsize=256)
def _clean(text: str) -> str:
    name, equals, rest = text.partition("=")
    if not equals:
        return _UNSAFE.sub("_", text)
    return f"{name}={','.join(_UNSAFE.sub('_', part) for part in rest.split(','))}"


def refusal(record: BackendRecord, choice: Choice, trace: RouteTrace) -> LlmError | None:
    """Why nothing is sent to it now, if so."""
    if record.admitted(choice.model):
        return None
    error = record.refusal(choice.backend, choice.model)
    trace.passed(choice, "cooling" if isinstance(error, Overloaded) else "breaker_open")
    return error


class RouteLog:
    """What the log is told of the routes. Plain decisions are its at debug: at a thousand requests a second a line of
    each would cost more than the request; and so is what was just said of another request (repeats.py).
    """

    def __init__(self) -> None:
        self._repeats = Repeats()

    def passed_over(
        self, record: BackendRecord, choice: Choice, trace: RouteTrace, error: LlmError, now_s: float
    ) -> None:
        trace.passed(choice, error.code)
        if times := self._repeats.due(("passed_over", choice.backend, error.code), now_s):
            log.warning("backend.passed_over", backend=choice.backend, code=error.code, **_more(times))
        if not record.admitted(choice.model):
            log.warning("backend.left_alone", backend=choice.backend, model=choice.model)

    def tell(self, trace: RouteTrace, on_route: Callable[[RouteTrace], None] | None, now_s: float) -> None:
        if trace.reasons and (times := self._repeats.due(_way(trace), now_s)):
            log.info("backend.chosen", route=trace, **_more(times))
        else:
            log.debug("backend.chosen", route=trace)
        if on_route is not None:
            on_route(trace)


def _way(trace: RouteTrace) -> tuple[object, ...]:
    return trace.chosen and trace.chosen.backend, tuple(trace.reasons)


def _more(times: int) -> dict[str, int]:
    return {"times": times} if times > 1 else {}
