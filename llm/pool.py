"""The slots: worker processes of our own, each with one model of any type. The shell around slots.py.

    lease(), load(), unload() -> events -> SlotScheduler (pure) -> effects -> workers started and ended here

Requests hold a place for as long as they run: `async with pool.lease(model) as slot`. Who waits can see where it
stands; who is gone holds nothing. Everything is called from one event loop.

Why this file is long: it is what the web and the voice ask for slots, and each of these questions is a short one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import aiohttp
import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup, TaskStatus

from llm.backends.slot import SlotBackend
from llm.errors import Overloaded, UnknownModel, WorkerDied
from llm.llamacpp.state_store import SwapFolder
from llm.local import LocalModels
from llm.memory.learned import Learned
from llm.memory.machine import Gpu, HostMemory
from llm.memory.slot_memory import SlotMemory
from llm.messages import Priority, WaitState
from llm.port import Backend, BackendConfig, ModelInfo
from llm.settings import LlmSettings
from llm.slot_errors import failure, not_started, queue_full
from llm.slot_events import (
    Ask,
    Emptied,
    Fail,
    Failed,
    Gone,
    Grant,
    LimitCacheRam,
    Load,
    Measured,
    Pin,
    Refuse,
    SlotEvent,
    SlotLimits,
    SlotView,
    Start,
    Stop,
    Unload,
    Up,
)
from llm.slots import SlotScheduler
from llm.workers.launch import Launcher, ModelType, Plan, quick_type
from llm.workers.placement import LocalProcesses, Placement
from llm.workers.plan_book import SLOT_KINDS, PlanBook
from llm.workers.process import WorkerSpec, WorkerState
from llm.workers.slot_worker import Slot, watch
from models.clock import Clock
from models.errors import BadInput, ParleyError
from models.formats.port import Kind
from models.store import Installed, Store

__all__ = ["LostOrder", "Slot", "SlotPool"]

TICK_S = 0.5
QUIET_TICK_S = 5.0
"""How often memory is measured and time moves on: while something waits or loads, and otherwise."""
FRESH_S = 1.0
"""Who looks at the slots is shown no older measurement."""
TELL_EVERY_S = 0.25

LOST_ORDERS = 16
"""Orders that were accepted and not carried out, as they are shown."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LostOrder:
    """An accepted load that came to nothing, and why."""

    order: int
    model: str
    error: ParleyError


@dataclass(slots=True)
class _Waiting:
    """A request that is not yet with its worker."""

    plan: Plan
    told: anyio.Event = field(default_factory=anyio.Event)
    slot: int = 0
    error: ParleyError | None = None


class SlotPool:
    """`run` starts the slots and supervises them until it is cancelled. A crash stays in its slot."""

    def __init__(
        self,
        settings: LlmSettings,
        store: Store,
        clock: Clock,
        http: aiohttp.ClientSession,
        *,
        placement: Placement | None = None,
        launchers: Mapping[Kind, Launcher] | None = None,
        engines: Sequence[Installed] = (),
    ) -> None:
        """`launchers`: how models that are no language models are started, by kind. `engines` need no file and can be
        loaded by their name.
        """
        self.store = store
        self.local = LocalModels(self, http)
        self._settings, self._clock, self._http = settings, clock, http
        self._placement = placement or LocalProcesses(clock, http)
        self._learned = Learned(store.root.parent / "measured.json")
        self.states = SwapFolder(store.root.parent / "states", settings.engine.state_dir)
        self._book = PlanBook(settings, store, launchers or {}, self._learned, engines)
        self._memory = SlotMemory(settings.memory_floor_mib << 20)
        self._scheduler = SlotScheduler(
            SlotLimits(
                slots=settings.slots,
                queue=settings.slot_queue,
                patience_s=settings.swap_patience_s,
                idle_unload_s=settings.idle_unload_s,
            )
        )
        self._measured_at = -FRESH_S
        self._first_order = 0
        self._occupied: dict[int, Slot] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._ordered: dict[int, Plan] = {}  # those that are open
        self._pins_default = True
        self._errors: dict[str, ParleyError] = {}
        self.lost_orders: deque[LostOrder] = deque(maxlen=LOST_ORDERS)
        """Accepted loads that were not carried out, the last of them."""
        self.unfit: dict[str, ParleyError] = {}
        """Better models than the default that could not be loaded, and why."""
        self.failures: dict[int, tuple[str, ParleyError]] = {}  # by slot: what could not be loaded into it, and why
        self._ids = count(1)
        self._tasks: TaskGroup | None = None
        self._stirred = anyio.Event()

    @property
    def default(self) -> Plan | None:
        """What a text request without a model gets."""
        return self._book.default

    def make_default(self, plan: Plan) -> None:
        """What a text request without a model gets from now on."""
        self._book.default, self._book.problem = plan, None

    @property
    def problem(self) -> ParleyError | None:
        """Why slot 1 has no model."""
        return self._book.problem

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Those with a model, by number."""
        return tuple(self._occupied[number] for number in sorted(self._occupied))

    @property
    def backends(self) -> tuple[Backend, ...]:
        return (self.local,)

    @property
    def settings(self) -> LlmSettings:
        return self._settings

    @property
    def host(self) -> HostMemory:
        """As it was measured last."""
        return self._memory.host

    def gpu_used(self, number: int) -> int | None:
        """Bytes of the GPUs that the slot's model was measured to take; None where that is not known."""
        return self._memory.on_cards.known(number)

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        return self._memory.gpus

    def views(self) -> tuple[SlotView, ...]:
        """All slots, the empty ones too."""
        return self._scheduler.views(self._clock.now())

    def occupant(self, number: int) -> Slot | None:
        return self._occupied.get(number)

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return self._scheduler.waiting

    def ready(self, model: str = "") -> bool:
        """The model ("": the default one) is loaded and answers."""
        name = model or (self.default.model.name if self.default else "")
        return any(s.model.name == name and s.worker.state is WorkerState.READY for s in self._occupied.values())

    # ---- life ------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """`started` is reported when the workers are being started, not when their models are loaded."""
        async with self.states.lives(), anyio.create_task_group() as self._tasks:
            try:
                await self._measure()
                if (plan := await self._book.choose_default(self._memory.host.total, self._memory.sizes)) is not None:
                    self._first_order = next(self._ids)
                    self._order(plan, 1, True, self._first_order)
                task_status.started()
                for name in self._settings.preload:
                    await self._preload(name)
                await self._watch_time()
            finally:
                self.states.close()
                self._tasks = None

    async def _preload(self, name: str) -> None:
        try:
            self.load(await self.plan(name))
        except ParleyError as error:
            log.error("slot.preload", model=name, code=error.code, reason=error.message)

    async def _watch_time(self) -> None:
        while True:
            loading = any(slot.worker.state is not WorkerState.READY for slot in self._occupied.values())
            self._stirred = anyio.Event()
            in_line = any(not waiting.told.is_set() for waiting in self._waiting.values())
            with anyio.move_on_after(TICK_S if loading or in_line else QUIET_TICK_S):
                await self._stirred.wait()
                await anyio.sleep(TICK_S)
            await self._measure()
            await anyio.to_thread.run_sync(self._learned.save)

    async def ensure_ready(self, timeout_s: float) -> None:
        """Wait until every slot answers. Raises the problem of the first that does not."""
        if self.problem is not None:
            raise self.problem
        for slot in self.slots:
            await slot.worker.ensure_ready(timeout_s)

    # ---- what others ask for ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def lease(
        self,
        model: str,
        *,
        user: str = "",
        priority: Priority = Priority.INTERACTIVE,
        on_wait: Callable[[WaitState], None] | None = None,
    ) -> AsyncGenerator[Slot, None]:
        """A place in the slot of a model, which is loaded if it has to be, for as long as the block runs.

        `model` is a name of the store, never a path. Raises UnknownModel, Overloaded when the queue is full,
        ModelTooLarge, and what is wrong with the worker. Cancel-safe: a request that waits is taken out of the line
        at once, and a load that nobody else waits for is broken off.
        """
        plan = await self._plan_of(model)
        number = next(self._ids)
        waiting = self._waiting[number] = _Waiting(plan)
        try:
            pinned = self._pins_default and plan.model.name == (self.default.model.name if self.default else "")
            self._feed(Ask(number, plan.model.name, user, priority, plan.need, plan, pinned))
            if not waiting.told.is_set():
                self._stirred.set()
                await self._wait(number, waiting, on_wait)
            if waiting.error is not None:
                raise waiting.error
            slot = self._occupied.get(waiting.slot)
            if slot is None:
                raise WorkerDied(f"{model} was unloaded just now", hint="try again")
            yield slot
        finally:
            del self._waiting[number]
            self._feed(Gone(number))

    async def plan(self, name: str, options: Mapping[str, Any] | None = None) -> Plan:
        """How a model of the store, or of a path, is loaded with these options; it keeps them once it has answered.
        Raises ModelNotFound, ModelUnreadable, BadInput.
        """
        return await self._book.ordered(name, options or {}, self._memory.host.total, self._memory.sizes)

    def load(self, plan: Plan, *, slot: int | None = None, pinned: bool = False, anew: bool = False) -> int:
        """Begin to load it into that slot or any; `views()` says how far it is, and `lost_orders` if it came to
        nothing, by the number that is returned.

        1. It is there with the same options: nothing happens, but for the pin; `anew` starts it again. 2. With other
        ones: it is loaded again with these when its requests have ended. 3. An order that waits for the same slot is
        taken back: the latest counts.

        Raises BadInput, ModelTooLarge, Overloaded where every slot is pinned.
        """
        if slot is not None and not 1 <= slot <= self._settings.slots:
            raise BadInput(f"there is no slot {slot}", param="slot", hint=f"1 to {self._settings.slots}")
        number = next(self._ids)
        waiting = self._waiting[number] = _Waiting(plan)
        try:
            self._order(plan, slot, pinned, number, anew)
            if waiting.error is not None:
                raise waiting.error
        finally:
            del self._waiting[number]
        return number

    def slot_of(self, plan: Plan, wanted: int | None = None) -> int | None:
        """Where it is, or where an order for it waits to be; None: not known yet. `wanted`: the slot of the order."""
        if wanted is not None:
            return wanted
        there = [slot for slot in self.slots if slot.model.name == plan.model.name]
        same = [slot.number for slot in there if slot.plan == plan]
        return next(iter([*same, *(slot.number for slot in there)]), None)

    def unload(self, number: int, *, at_once: bool = False) -> None:
        """When its requests have ended; `at_once` ends them. Raises BadInput for a slot that is empty."""
        if number not in self._occupied:
            raise BadInput(f"slot {number} holds no model", param="slot")
        self._feed(Unload(number, at_once))

    def pin(self, number: int, pinned: bool) -> None:
        if number not in self._occupied:
            raise BadInput(f"slot {number} holds no model", param="slot")
        if self.default is not None and self._occupied[number].model == self.default.model:
            self._pins_default = pinned
        self._feed(Pin(number, pinned))

    async def models(self, kinds: Iterable[Kind] = ("llm",)) -> tuple[ModelInfo, ...]:
        """What can be asked for: what is loaded, and what is in the store, the default one first."""
        known = await self._book.known(kinds, [slot.model for slot in self.slots])
        return tuple(
            ModelInfo(model.name, self.local.name, plan.context if plan else None, able=plan.able if plan else {})
            for model, plan in known
        )

    async def of_type(self, types: Collection[ModelType]) -> str:
        """The name of a model of one of these types: one that is loaded before one that is not. Raises
        UnknownModel.
        """
        for slot in self.slots:
            if slot.plan.type in types:
                return slot.model.name
        for model, plan in await self._book.known(SLOT_KINDS, ()):
            if (plan.type if plan else await anyio.to_thread.run_sync(quick_type, model)) in types:
                return model.name
        raise UnknownModel(
            f"no model of type {' or '.join(types)} is installed", hint="name one in `model`", param="model"
        )

    def _order(self, plan: Plan, slot: int | None, pinned: bool, number: int, anew: bool = False) -> None:
        trial = self._book.is_trial(plan)
        self._ordered[number] = plan
        self._feed(Load(number, plan.model.name, plan.need, slot, pinned, plan, anew, trial))
        still = self._scheduler.open_orders
        self._ordered = {number: plan for number, plan in self._ordered.items() if number in still}
        self._stirred.set()

    async def _plan_of(self, model: str) -> Plan:
        """1. As it is loaded, if it has answered so. 2. As requests have it loaded. 3. As it was ordered, where only
        that order knows it.
        """
        for slot in self._occupied.values():
            if slot.model.name == model and slot.proven:
                return slot.plan  # 1
        try:
            return await self._book.find(model, self._memory.host.total, self._memory.sizes)  # 2
        except UnknownModel:
            if isinstance(ordered := self._scheduler.ordered(model), Plan):
                return ordered  # 3
            raise

    # ---- the shell -------------------------------------------------------------------------------------------

    async def _wait(self, number: int, waiting: _Waiting, on_wait: Callable[[WaitState], None] | None) -> None:
        name = waiting.plan.model.name
        with anyio.move_on_after(self._settings.start_timeout_s):
            while not waiting.told.is_set():
                if on_wait is not None:
                    on_wait(self._state(number, name))
                with anyio.move_on_after(TELL_EVERY_S if on_wait is not None else None):
                    await waiting.told.wait()
        if not waiting.told.is_set():
            raise Overloaded(f"{name} had no place for this request within {self._settings.start_timeout_s:g} s")

    def _state(self, number: int, name: str) -> WaitState:
        slot = next((slot for slot in self._occupied.values() if slot.model.name == name), None)
        loading = slot is None or slot.worker.state is not WorkerState.READY
        return WaitState(name, self._scheduler.position(number), loading, slot.worker.progress if slot else None)

    async def measure(self) -> None:
        """What models take now, where it was not measured just before."""
        if self._clock.now() - self._measured_at >= FRESH_S:
            await self._measure()

    async def _measure(self) -> None:
        self._measured_at = self._clock.now()
        pids = {slot.number: slot.worker.pid for slot in self._occupied.values()}
        # What is measured while a model loads is not what it takes.
        whole = {number for number, slot in self._occupied.items() if slot.worker.state is WorkerState.READY}
        used = await anyio.to_thread.run_sync(self._memory.measure, pids)
        same = {number for number, slot in self._occupied.items() if slot.worker.pid == pids.get(number)}
        told = {number: usage for number, usage in used.items() if number in same}
        self._memory.account(told, frozenset(whole & same))
        committed = 0
        for slot in self._occupied.values():
            if slot.number in same:
                slot.used = used.get(slot.number, slot.used)
                if slot.number in whole and slot.used.resident:
                    on_gpu = self._memory.on_cards.known(slot.number) or 0
                    predicted = slot.plan.predicted_bytes, slot.plan.predicted_gpu_bytes
                    taken = slot.used.resident - slot.worker.cache_ram_bytes
                    self._learned.used(slot.plan.key, predicted[0], taken, predicted[1], on_gpu)
            committed += max(slot.plan.need.bytes + slot.cache_ram_bytes, slot.used.resident) - slot.used.private
        resident = {number: usage.resident for number, usage in used.items()}
        on_cards = {number: cards for number in self._occupied if (cards := self._memory.on_cards.used(number))}
        headroom = self._memory.headroom - committed
        self._feed(Measured(headroom, resident, self._memory.card_headroom, on_cards))

    def _feed(self, event: SlotEvent) -> None:
        if isinstance(event, Up) and not (answers := self._occupied[event.slot]).proven:
            answers.proven = True
            self._book.proved(answers.plan)
        effects = self._scheduler.step(event, self._clock.now())
        if isinstance(event, Failed) and not event.slot_fault:
            failed = self._occupied[event.slot]
            if not failed.proven and failed.plan == self._book.default and failed.model.name in self._errors:
                self._fall_back(failed.plan, event.slot, self._errors[failed.model.name])
        for effect in effects:
            match effect:
                case Grant(number, slot):
                    self._waiting[number].slot = slot
                    self._waiting[number].told.set()
                case Refuse():
                    self._tell(effect.id, queue_full(effect))
                case Fail():
                    self._fail(effect)
                case Start(number, _, Plan() as plan, cards, cache_ram_bytes):
                    self._memory.on_cards.started(number, cards)
                    self._start(number, plan, cache_ram_bytes)
                case LimitCacheRam(number, cache_ram_bytes):
                    self._limit_cache_ram(self._occupied[number], cache_ram_bytes)
                case Stop(slot, why):
                    log.info("slot.stop", slot=slot, model=(name := self._occupied[slot].model.name), why=why)
                    if why == "failed" and name in self._errors:
                        self.failures[slot] = name, not_started(self._errors[name])
                    self._occupied[slot].scope.cancel()

    def _fail(self, effect: Fail) -> None:
        waiting, default = self._waiting.get(effect.id), self._book.default
        available = self._memory.host.available
        if effect.id == self._first_order and default is not None:  # tried again when somebody asks for it
            self._book.problem = failure(effect, default, None, available)
            log.error("slot.model", code=self._book.problem.code, reason=self._book.problem.message)
            self._fall_back(default, 1, self._book.problem)
        plan = self._ordered.pop(effect.id, None)
        if waiting is not None:
            known = self._errors.get(waiting.plan.model.name)
            tried_on = any(view.model == waiting.plan.model.name and view.phase == "down" for view in self.views())
            self._tell(effect.id, failure(effect, waiting.plan, known, available, tried_on))
        elif plan is not None:
            error = failure(effect, plan, self._errors.get(plan.model.name), available)
            self.lost_orders.append(LostOrder(effect.id, plan.model.name, error))
            log.warning("slot.order_lost", order=effect.id, model=plan.model.name, why=effect.why)

    def _fall_back(self, failed: Plan, slot: int, why: ParleyError) -> None:
        """The best model that is installed cannot be loaded: the next best answers, where nobody chose that one."""
        if self._settings.model or self._tasks is None:
            return
        self.unfit[failed.model.name] = why
        self._tasks.start_soon(self._next_default, failed, slot)

    async def _next_default(self, failed: Plan, slot: int) -> None:
        plan = await self._book.choose_another(self.unfit, self._memory.host.total, self._memory.sizes)
        if plan is None or self._book.default != failed:
            return
        why = self.unfit[failed.model.name]
        log.warning(
            "slot.model_replaced", model=failed.model.name, by=plan.model.name, reason=why.message, hint=why.hint
        )
        self.make_default(plan)
        self._first_order = next(self._ids)
        self._order(plan, slot, True, self._first_order)

    def _tell(self, number: int, error: ParleyError) -> None:
        if (waiting := self._waiting.get(number)) is not None:
            waiting.error = error
            waiting.told.set()

    def _start(self, number: int, plan: Plan, cache_ram_bytes: int) -> None:
        port = self._settings.slot_port_base + number - 1
        argv, env = (*plan.launch.argv, "--port", str(port)), {**plan.launch.env, **self.states.env}
        if cache_ram_bytes < plan.need.cache_ram_bytes:
            argv += ("--cache-ram-mib", str(cache_ram_bytes >> 20))
        limits = self._settings.start_timeout_s, self._settings.hang_timeout_s
        spec = WorkerSpec(f"slot-{number}", argv, port, env, *limits)
        worker = self._placement.place(spec)
        config = BackendConfig(f"slot-{number}", "slot", f"http://127.0.0.1:{port}/v1", model=plan.model.name)
        backend = SlotBackend(config, self._http, worker, self._settings.ready_timeout_s)
        self.failures.pop(number, None)
        self._occupied[number] = slot = Slot(number, port, plan, worker, backend, cache_ram_bytes=cache_ram_bytes)
        log.info("slot.start", slot=number, port=port, model=plan.model.name, need_bytes=plan.need.bytes)
        if self._tasks is not None:
            self._tasks.start_soon(self._live, slot)

    def _limit_cache_ram(self, slot: Slot, cache_ram_bytes: int) -> None:
        """Now, and when it is started again."""
        log.debug("slot.cache_ram", slot=slot.number, model=slot.model.name, cache_ram_bytes=cache_ram_bytes)
        slot.cache_ram_bytes = cache_ram_bytes
        argv = (*slot.worker.spec.argv, "--cache-ram-mib", str(cache_ram_bytes >> 20))  # the last one counts
        slot.worker.spec = replace(slot.worker.spec, argv=argv)
        if self._tasks is not None:
            self._tasks.start_soon(slot.backend.limit_cache_ram, cache_ram_bytes)

    async def _live(self, slot: Slot) -> None:
        """From Start until the worker that Stop ended has ended. What it logs is not of the request that began it."""
        structlog.contextvars.clear_contextvars()
        with slot.scope:
            async with anyio.create_task_group() as group:
                group.start_soon(slot.worker.run)
                await watch(slot, self._clock, self._feed, self._learned, self._errors)
        del self._occupied[slot.number]
        self._memory.on_cards.stopped(slot.number)
        await self._measure()
        self._feed(Emptied(slot.number))
