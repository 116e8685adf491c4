"""The entry to every language model: ask the router who may answer, walk the choices, stream the first that does.

It fails over only before the first event: after that the client has heard something, and a second voice would
contradict the first. Who is given the answer as a whole has heard nothing until it is whole.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import replace
from math import inf
from typing import Any

import anyio
import structlog
from anyio.abc import TaskStatus

from llm.convert.vectors import shows_images
from llm.errors import BackendUnreachable, ContextTooLong, LlmError, UnknownModel
from llm.local_names import NAME as LOCAL
from llm.messages import GenerateRequest, WaitState
from llm.port import Backend, ModelInfo, VectorPath
from llm.routing.abilities import Ability, is_about_media, needs_of
from llm.routing.backend_record import BackendRecord, BackendView, Problem
from llm.routing.route_trace import RouteLog, RouteTrace, refusal
from llm.routing.router import ANY, Candidate, Choice, Strategy, route
from llm.routing.silence_watch import USUAL, SilenceWatch
from llm.routing.turns import Turns
from llm.stream import StartedOver, StreamEvent
from models.errors import ParleyError

__all__ = ["Router"]

EVERY_S = 10.0
EVERY_UNWELL_S = 1.0
"""Backends are asked for their health and models this often; more often while one of them is starting or dead."""
PROBE_S = 3.0
UNWELL_S = 2.0
"""One that did not answer when it was asked last may be silent for so long, where there is another."""
DOUBT_S, HESITATE_S = 1.5, 0.5
"""One that is silent while somebody waits for it must say within this time that it is well; and after the shorter one
others are asked first.
"""
PROBES = 16
"""Backends that are asked at the same time."""
KEPT_ROUTES, KEPT_NAME = 256, 200
"""Choices that are remembered, and how long their names may be: clients make names up."""

_VECTORS: frozenset[Ability] = frozenset(("embedding",))
_IMAGE_VECTORS: frozenset[Ability] = frozenset(("embedding", "vision"))

log = structlog.get_logger(__name__)


class Router:
    """`backends` is asked for at every request: slots come and go. Made once; used from one event loop."""

    def __init__(
        self,
        backends: Callable[[], Sequence[Backend]],
        default_model: str,
        strategy: Strategy = "failover",
        aliases: Mapping[str, str] | None = None,
        spill: bool = False,
    ) -> None:
        """`spill`: what is too long for our own slots may go to another server also where no alias names that one."""
        self._backends = backends
        self._default = default_model
        self._strategy: Strategy = strategy
        self._aliases = aliases or {}
        self._spill = spill
        self._turns = Turns()
        self._log = RouteLog()
        self._records: dict[str, BackendRecord] = {}
        self._watch = SilenceWatch(self._answers)
        self._routed_at: list[object] | None = None
        self._routed: dict[tuple[str, frozenset[Ability]], tuple[Choice, ...]] = {}

    @property
    def default_model(self) -> str:
        """What a request without a model asks for; "": whoever is ready."""
        return self._default

    def follow(self, default_model: str, strategy: Strategy) -> None:
        """From the next request on. Those under way go on as they began."""
        self._default, self._strategy = default_model, strategy
        self._routed_at, self._routed = None, {}

    def choices(self, name: str = "") -> tuple[Choice, ...]:
        """Who would be asked for this name now, the first first. Raises UnknownModel."""
        return self._route(name)

    async def find(self, name: str) -> tuple[Choice, ...]:
        """The same; where nobody is known to have it, those are asked who may have got it since."""
        return await self._choices(name)

    def views(self) -> tuple[BackendView, ...]:
        """What is known of every backend, as configured. Asks nobody."""
        return tuple(self._record(backend.name).view(backend.name, backend.config) for backend in self._backends())

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        """Stream the reply of the best backend that begins one. Close the iterator to cancel.

        Raises UnknownModel; what is wrong with the request itself; or, where no backend began, the error of the
        first one asked: the others were only its stand-ins.
        """
        needs = needs_of(request)
        choices = await self._choices(request.model, needs)
        trace = RouteTrace(self._strategy)
        first_error: ParleyError | None = None
        begun = False
        for number, choice in enumerate(choices, 1):
            backend, record = self._backend(choice), self._record(choice.backend)
            if (refused := refusal(record, choice, trace)) is not None:
                first_error = first_error or refused
                continue
            if begun:
                begun = False
                yield StartedOver()
            silence_s = self._silence_s(backend, choice.model, choices[number:])
            if first_error is not None and request.on_wait is not None:
                request.on_wait(WaitState(choice.model, 0))  # another one has all its time before it
            with record.asked(choice.model) as attempt:
                try:
                    async with aclosing(self._asked(backend, request, choice.model, silence_s, trace)) as events:
                        async for event in events:
                            if not begun:
                                begun = True
                                attempt.begun()
                                trace.chosen = choice
                                self._log.tell(trace, request.on_route, anyio.current_time())
                            yield event
                    attempt.succeeded()
                    return
                except LlmError as error:
                    attempt.failed(error, guarded=backend.config.type != "slot")
                    if begun and request.relay != "whole":
                        raise
                    trace.chosen = None
                    first_error = first_error or error
                    self._log.passed_over(record, choice, trace, error, anyio.current_time())
                    if isinstance(error, ContextTooLong) and choice.backend == LOCAL and not self._spills(request):
                        first_error = error
                        break
                except ParleyError as error:  # the request itself
                    if begun:
                        raise
                    trace.passed(choice, error.code)
                    if not is_about_media(error, needs):
                        first_error = error
                        break
                    first_error = first_error or error
        assert first_error is not None  # route() gives at least one choice
        self._log.tell(trace, request.on_route, anyio.current_time())
        raise first_error

    async def vectors(
        self,
        path: VectorPath,
        body: Mapping[str, Any],
        user: str = "",
        on_route: Callable[[RouteTrace], None] | None = None,
    ) -> dict[str, Any]:
        """Embeddings or ranks, from the best backend that gives them; `body` is that of /v1/embeddings or /v1/rerank.

        A request without a model is for what is made for it in our slots; where nothing is, for the default model.
        Raises as `generate` does.
        """
        needs = _IMAGE_VECTORS if path == "embeddings" and shows_images(body) else _VECTORS
        choices = await self._vector_choices(str(body.get("model") or ""), needs)
        trace = RouteTrace(self._strategy)
        first_error: ParleyError | None = None
        for number, choice in enumerate(choices, 1):
            backend, record = self._backend(choice), self._record(choice.backend)
            if (refused := refusal(record, choice, trace)) is not None:
                first_error = first_error or refused
                continue
            with record.asked(choice.model) as attempt:
                try:
                    watched = self._silence_s(backend, choice.model, choices[number:]) > 0
                    patience = self._watch.patience(choice.backend, choice.model, inf, None)  # many texts take time
                    with patience if watched else nullcontext():
                        answer = await backend.vectors(path, {**body, "model": choice.model}, user, trace.placed)
                    attempt.succeeded()
                    trace.chosen = choice
                    self._log.tell(trace, on_route, anyio.current_time())
                    return answer
                except LlmError as error:
                    attempt.failed(error, guarded=backend.config.type != "slot")
                    first_error = first_error or error
                    self._log.passed_over(record, choice, trace, error, anyio.current_time())
                except ParleyError as error:
                    trace.passed(choice, error.code)
                    if not is_about_media(error, needs):
                        first_error = error
                        break
                    first_error = first_error or error
        assert first_error is not None
        self._log.tell(trace, on_route, anyio.current_time())
        raise first_error

    async def _vector_choices(self, name: str, needs: frozenset[Ability]) -> tuple[Choice, ...]:
        """Models that make vectors are not listed, but our slots know them all; so those are asked in any case."""
        ours = tuple(Choice(b.name, name) for b in self._backends() if b.name == LOCAL and "/" not in name)
        try:
            found = await self._choices(name, needs)
        except UnknownModel:
            if not ours:
                raise
            return ours
        return (*ours, *(choice for choice in found if choice.backend != LOCAL)) if name in ANY else found

    def _spills(self, request: GenerateRequest) -> bool:
        """Whether what our slots have no room for may leave the machine: where an alias names the others, or a
        setting says so. That a cloud is configured does not say that long documents shall go there.
        """
        name = self._default if request.model in ANY else request.model
        return self._spill or name in self._aliases

    def _silence_s(self, backend: Backend, model: str, others: Sequence[Choice]) -> float:
        """How long it may be silent before another is asked; 0: there is no other, or it is ours and has a line. One
        that let the last request wait in vain is tried for a shorter time, though longer from trial to trial: it may
        be slow and no more.
        """
        if backend.config.type == "slot":
            return 0.0
        records = [(self._record(choice.backend), choice.model) for choice in others]
        if self._record(backend.name).healthy is False and any(record.admitted(model) for record, model in records):
            return min(UNWELL_S, backend.config.first_token_timeout_s)  # it did not even list its models
        able = any(record.healthy is not False and record.admitted(model) for record, model in records)
        if not able:
            return 0.0
        record, config = self._record(backend.name), backend.config
        limit_s = min(config.first_token_timeout_s, config.timeout_s)
        if not (silences := record.breakers.silences(model)):
            return limit_s
        return min(limit_s, max(UNWELL_S, USUAL * (record.latency_s or 0.0)) * 2.0 ** min(silences - 1, 10))

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep the backends' health and models fresh, so that nobody who asks has to wait for a dead one."""
        task_status.started()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch.run)
            while True:
                await self.refresh()
                well = all(self._record(backend.name).healthy for backend in self._backends())
                await anyio.sleep(EVERY_S if well else EVERY_UNWELL_S)

    def models(self) -> tuple[ModelInfo, ...]:
        """What the backends listed when they were last asked, without those that did not answer."""
        return tuple(info for backend in self._backends() for info in self._record(backend.name).listed)

    def ready(self, name: str = "") -> bool:
        """The model of that name ("": the default one) would be answered by a backend that is healthy."""
        try:
            choices = self._route(name)
        except UnknownModel:
            return False
        return any(self._record(choice.backend).healthy for choice in choices)

    async def prefill(self, request: GenerateRequest) -> None:
        """Let the backend that would be asked first read this prompt already, if it is ours. Nothing is charged; what
        goes wrong will go wrong again with the request itself, and is told then."""
        try:
            choice = self._route(request.model, needs_of(request))[0]
            if self._record(choice.backend).healthy:
                await self._backend(choice).prefill(replace(request, model=choice.model))
        except ParleyError as error:
            log.debug("prefill.failed", code=error.code)

    async def forget(self, conversation: str) -> None:
        """Free what backends keep of a conversation."""
        for backend in self._backends():
            await backend.forget(conversation)

    async def _choices(self, name: str, needs: frozenset[Ability] = frozenset()) -> tuple[Choice, ...]:
        """Nobody who is known to be away is asked here: a request never waits for another's dead server."""
        self._turns.next(name)
        try:
            return self._route(name, needs)
        except UnknownModel:
            # Our own slots may have loaded it since; and a server that was never asked may have it.
            news = [b for b in self._backends() if b.config.type == "slot" or self._record(b.name).healthy is None]
            await self._ask_all(news)
            return self._route(name, needs)

    def _route(self, name: str, needs: frozenset[Ability] = frozenset()) -> tuple[Choice, ...]:
        """Where the strategy keeps to the settings' order the choices stay the same until some backend changes."""
        standing = None if self._strategy != "failover" else self._standing()
        if standing is None or standing != self._routed_at:
            self._routed_at, self._routed = standing, {}
        elif (name, needs) in self._routed:
            return self._routed[name, needs]
        choices = route(
            name,
            self._default,
            self._candidates(),
            strategy=self._strategy,
            turn=self._turns.of(name),
            aliases=self._aliases,
            needs=needs,
        )
        if standing is None:  # a model of a backend may be left alone, too
            choices = tuple(sorted(choices, key=lambda one: not self._record(one.backend).admitted(one.model)))
        elif len(self._routed) < KEPT_ROUTES and len(name) < KEPT_NAME:
            self._routed[name, needs] = choices
        return choices

    def _standing(self) -> list[object] | None:
        """What the choices follow from; None while a breaker is open, for then the time counts, too."""
        found: list[object] = []
        for backend in self._backends():
            record = self._record(backend.name)
            if not record.breakers.closed:
                return None
            found += (backend, record.healthy, record.listed)
        return found

    def _candidates(self) -> list[Candidate]:
        return [self._record(backend.name).candidate(backend.name, backend.config) for backend in self._backends()]

    def _record(self, name: str) -> BackendRecord:
        record = self._records.get(name)
        if record is None:
            record = self._records[name] = BackendRecord()
        return record

    def _backend(self, choice: Choice) -> Backend:
        for backend in self._backends():
            if backend.name == choice.backend:
                return backend
        raise UnknownModel(f"{choice.backend} was unloaded just now", hint="try again")

    async def refresh(self) -> None:
        """Ask all backends at once, each for a bounded time."""
        await self._ask_all(self._backends())

    async def _ask_all(self, backends: Sequence[Backend]) -> None:
        limiter = anyio.CapacityLimiter(PROBES)
        async with anyio.create_task_group() as tasks:
            for backend in backends:
                tasks.start_soon(self._ask, backend, limiter)

    async def _ask(self, backend: Backend, limiter: anyio.CapacityLimiter, within_s: float = PROBE_S) -> bool:
        """Whether it answered, be it with an error."""
        listed: tuple[ModelInfo, ...] | None = None
        problem, answered = Problem("backend_unreachable", f"no answer within {within_s:g} s"), False
        async with limiter:
            with anyio.move_on_after(within_s):
                try:
                    listed = await backend.models()
                    answered = True
                except ParleyError as error:
                    answered = not isinstance(error, BackendUnreachable)
                    problem = Problem(error.code, error.message, error.hint)
                    log.debug("backend.probe", backend=backend.name, code=error.code)
        record = self._record(backend.name)
        before = record.healthy
        record.probed(listed, None if listed is not None else problem)
        if listed is None and before is not False and backend.config.type != "slot":
            log.warning("backend.away", backend=backend.name, code=problem.code)
        elif listed is not None and before is False and backend.config.type != "slot":
            log.info("backend.back", backend=backend.name)
        return answered

    async def _answers(self, name: str) -> bool:
        """Whether a backend that somebody waits for says soon that it is there."""
        backend = next((one for one in self._backends() if one.name == name), None)
        if backend is None:
            return False
        record = self._record(name)

        async def hesitate() -> None:
            """Who comes now is sent to another, where there is one."""
            await anyio.sleep(HESITATE_S)
            record.healthy = None if record.healthy else record.healthy

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hesitate)
            answered = await self._ask(backend, anyio.CapacityLimiter(1), DOUBT_S)
            tasks.cancel_scope.cancel()
        return answered

    def _asked(
        self, backend: Backend, request: GenerateRequest, model: str, silence_s: float, trace: RouteTrace
    ) -> AsyncGenerator[StreamEvent, None]:
        """With `silence_s` also whole answers are asked for as streams: a server that writes one in one piece says as
        little as one that hangs.
        """
        changed: dict[str, Any] = {} if request.model == model else {"model": model}
        if backend.config.type == "slot":
            changed["on_slot"] = trace.placed
        if silence_s and request.relay == "whole":
            changed["relay"] = ""
        events = backend.generate(replace(request, **changed) if changed else request)
        if not silence_s:
            return events
        return self._watch.begun(events, backend.name, model, silence_s, self._record(backend.name).latency_s)
