"""Backends that begin to hang between two probes: one that keeps somebody waiting for a first event is asked for its
health, and is given up where it does not say that either. One that answers is slow and waited for, as long as its
settings say: a long prompt takes minutes on a CPU. When that time is over for one, and nobody has heard a word of
that model meanwhile, it is over for all who wait for it.

One task looks at all requests that wait; a request itself costs an entry in a table.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from math import inf
from types import TracebackType

import anyio

from llm.errors import BackendUnreachable
from llm.stream import StreamEvent

__all__ = ["Patience", "SilenceWatch"]

HUSH_S = 2.0
"""So long a request waits before anybody doubts its backend, and between two questions."""
USUAL = 4.0
"""Or so many times the backend's usual time to its first token, where that is longer."""
TICK_S = 0.25
KEPT = 1024


class SilenceWatch:
    """`answers(name)` asks a backend for its health: False where there was no answer within a short time.

    `run` looks after the requests until it is cancelled; where it does not run they wait as long as they may.
    """

    def __init__(self, answers: Callable[[str], Awaitable[bool]]) -> None:
        self._answers = answers
        self._waiting: dict[str, dict[Patience, float]] = {}
        """By backend: until when nobody doubts."""
        self._spoke_s: dict[tuple[str, str], float] = {}
        """When a backend's model was last heard by somebody who waited."""
        self._doubted: set[str] = set()
        self._asleep: anyio.Event | None = None

    def patience(self, name: str, model: str, limit_s: float, usual_s: float | None) -> Patience:
        """To be entered around the wait for `model` of `name`; it ends with BackendUnreachable after `limit_s`, or
        before, where the backend does not say that it is well.
        """
        return Patience(self, name, model, limit_s, max(HUSH_S, USUAL * (usual_s or 0.0)))

    async def begun(
        self,
        events: AsyncGenerator[StreamEvent, None],
        name: str,
        model: str,
        limit_s: float,
        usual_s: float | None,
    ) -> AsyncGenerator[StreamEvent, None]:
        """The same events. Raises BackendUnreachable where the first takes too long."""
        async with aclosing(events):
            with self.patience(name, model, limit_s, usual_s):
                first = await anext(events, None)
            if first is not None:
                yield first
            async for event in events:
                yield event

    async def run(self) -> None:
        async with anyio.create_task_group() as doubts:
            while True:
                if not any(self._waiting.values()):
                    self._asleep = anyio.Event()
                    await self._asleep.wait()
                    self._asleep = None
                await anyio.sleep(TICK_S)
                now_s = anyio.current_time()
                for name, waiting in self._waiting.items():
                    if name not in self._doubted and any(due_s <= now_s for due_s in waiting.values()):
                        self._doubted.add(name)
                        doubts.start_soon(self._doubt, name)

    async def _doubt(self, name: str) -> None:
        try:
            well = await self._answers(name)
        finally:
            self._doubted.discard(name)
        waiting, now_s = self._waiting[name], anyio.current_time()
        for patience, due_s in tuple(waiting.items()):
            if not well:  # whoever asked it meanwhile waits for the same
                patience.give_up()
            elif due_s <= now_s:
                waiting[patience] = now_s + HUSH_S

    def enter(self, name: str, patience: Patience, due_s: float) -> None:
        waiting = self._waiting.get(name)
        if waiting is None:
            waiting = self._waiting[name] = {}
        waiting[patience] = due_s
        if self._asleep is not None:
            self._asleep.set()

    def leave(self, name: str, patience: Patience) -> None:
        del self._waiting[name][patience]

    def spoke(self, name: str, model: str) -> None:
        if len(self._spoke_s) >= KEPT and (name, model) not in self._spoke_s:
            self._spoke_s.clear()  # clients make names up; what is forgotten costs somebody his whole time
        self._spoke_s[name, model] = anyio.current_time()

    def over(self, name: str, model: str, since_s: float) -> None:
        """Somebody has waited in vain since then."""
        if self._spoke_s.get((name, model), 0.0) <= since_s:
            for patience in tuple(self._waiting[name]):
                if patience.model == model and patience.bounded:
                    patience.give_up(silent=True)


class Patience:
    """One wait. A `with` block of its own."""

    __slots__ = ("_doubt_s", "_limit_s", "_name", "_scope", "_silent", "_since_s", "_watch", "model")

    def __init__(self, watch: SilenceWatch, name: str, model: str, limit_s: float, doubt_s: float) -> None:
        self._watch, self._name, self._limit_s, self._doubt_s = watch, name, limit_s, doubt_s
        self.model = model
        self._scope = anyio.CancelScope()
        self._since_s = 0.0
        self._silent = False

    @property
    def bounded(self) -> bool:
        return self._limit_s < inf

    def give_up(self, *, silent: bool = False) -> None:
        """`silent`: the server says that it is well."""
        self._silent = silent
        self._scope.cancel()

    def __enter__(self) -> None:
        self._since_s = now_s = anyio.current_time()
        self._scope.deadline = now_s + self._limit_s
        self._scope.__enter__()
        self._watch.enter(self._name, self, now_s + self._doubt_s)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._watch.leave(self._name, self)
        now_s = anyio.current_time()
        late = now_s >= self._scope.deadline
        swallowed = self._scope.__exit__(kind, error, trace)
        if not self._scope.cancelled_caught:
            if kind is None:
                self._watch.spoke(self._name, self.model)
            return swallowed
        if late:
            self._watch.over(self._name, self.model, self._since_s)
        if late or self._silent:
            raise BackendUnreachable(
                f"{self._name} said nothing for {now_s - self._since_s:.3g} s",
                hint="see first_token_timeout_s of this backend",
                silent=True,
            ) from None
        raise BackendUnreachable(
            f"{self._name} was silent, and does not say that it is well",
            hint="is it hanging? one that cannot answer while it works: first_token_timeout_s = 0",
        ) from None
