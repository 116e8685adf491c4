"""The slots: worker processes of our own, each with one model of any type. The shell around scheduler.py.

    lease(), load(), unload() -> events -> SlotScheduler (pure) -> effects -> workers started and ended here

Requests hold a place for as long as they run: `async with pool.lease(model) as slot`. Who waits can see where it
stands; who is gone holds nothing. Everything is called from one event loop.

Why this file is long: it is what the web and the voice ask for slots, and each of these questions is a short one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup, TaskStatus

from llm.errors import Overloaded, UnknownModel, WorkerDied
from llm.llamacpp.state_store import SwapFolder
from llm.local import LocalModels
from llm.memory.learned import Learned
from llm.memory.slot_memory import SlotMemory
from llm.messages import Priority, WaitState
from llm.port import Backend, ModelInfo
from llm.settings import LlmSettings
from llm.slots.default_model import DefaultModel
from llm.slots.errors import failure, queue_full
from llm.slots.events import (
    Ask,
    Emptied,
    Fail,
    Failed,
    Gone,
    Grant,
    LimitCacheRam,
    Load,
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
from llm.slots.load_failures import LoadFailures
from llm.slots.measuring import measured
from llm.slots.open_requests import OpenRequest, OpenRequests
from llm.slots.scheduler import SlotScheduler
from llm.slots.slot import Slot, watch
from llm.slots.starting import SlotStarter, limit_cache_ram
from llm.workers.launch import Launcher, ModelType, Plan, quick_type
from llm.workers.load_planner import SLOT_KINDS, LoadPlanner
from llm.workers.placement import LocalProcesses, Placement
from llm.workers.process import WorkerState
from models.clock import Clock
from models.errors import BadInput, ParleyError
from models.formats.port import Kind
from models.store import Installed, Store

__all__ = ["Slot", "SlotPool"]

TICK_S = 0.5
QUIET_TICK_S = 5.0
"""How often memory is measured and time moves on: while something waits or loads, and otherwise."""
FRESH_S = 1.0
"""Who looks at the slots is shown no older measurement."""
TELL_EVERY_S = 0.25

log = structlog.get_logger(__name__)


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
        self._settings, self._clock = settings, clock
        self._learned = Learned(store.root.parent / "measured.json")
        self.states = SwapFolder(store.root.parent / "states", settings.engine.state_dir)
        self._starter = SlotStarter(settings, placement or LocalProcesses(clock, http), http, self.states.env)
        self._planner = LoadPlanner(settings, store, launchers or {}, self._learned, engines)
        self.memory = SlotMemory(settings.memory_floor_mib << 20)
        """As it was measured last."""
        self._measured_at = -FRESH_S
        self._scheduler = SlotScheduler(
            SlotLimits(
                slots=settings.slots,
                queue=settings.slot_queue,
                patience_s=settings.swap_patience_s,
                idle_unload_s=settings.idle_unload_s,
            )
        )
        self._occupied: dict[int, Slot] = {}
        self._requests = OpenRequests()
        self.failures = LoadFailures()
        self._default = DefaultModel(self._planner, self.memory, self._requests, self._order)
        self._tasks: TaskGroup | None = None

    @property
    def default(self) -> Plan | None:
        """What a text request without a model gets."""
        return self._planner.default

    def make_default(self, plan: Plan) -> None:
        """What a text request without a model gets from now on."""
        self._planner.make_default(plan)

    @property
    def unfit(self) -> Mapping[str, ParleyError]:
        """Better models than the default that could not be loaded, and why."""
        return self._default.unfit

    @property
    def problem(self) -> ParleyError | None:
        """Why slot 1 has no model."""
        return self._planner.problem

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
                await self._default.load_first()
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
            self._requests.came = anyio.Event()
            with anyio.move_on_after(TICK_S if loading or self._requests.any_waits else QUIET_TICK_S):
                await self._requests.came.wait()
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
        asked = self._requests.open(plan)
        try:
            pinned = self._default.pinned and plan.model.name == (self.default.model.name if self.default else "")
            self._feed(Ask(asked.number, plan.model.name, user, priority, plan.need, plan, pinned))
            if not asked.told.is_set():
                self._requests.came.set()
                await self._wait(asked, on_wait)
            if asked.error is not None:
                raise asked.error
            slot = self._occupied.get(asked.slot)
            if slot is None:
                raise WorkerDied(f"{model} was unloaded just now", hint="try again")
            yield slot
        finally:
            self._requests.close(asked)
            self._feed(Gone(asked.number))

    async def plan(self, name: str, options: Mapping[str, Any] | None = None) -> Plan:
        """How a model of the store, or of a path, is loaded with these options; it keeps them once it has answered.
        Raises ModelNotFound, ModelUnreadable, BadInput.
        """
        return await self._planner.ordered(name, options or {}, self.memory.host.total, self.memory.sizes)

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
        asked = self._requests.open(plan)
        try:
            self._order(plan, slot, pinned, asked.number, anew)
            if asked.error is not None:
                raise asked.error
        finally:
            self._requests.close(asked)
        return asked.number

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
            self._default.pinned = pinned
        self._feed(Pin(number, pinned))

    async def models(self, kinds: Iterable[Kind] = ("llm",)) -> tuple[ModelInfo, ...]:
        """What can be asked for: what is loaded, and what is in the store, the default one first."""
        known = await self._planner.known(kinds, [slot.model for slot in self.slots])
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
        for model, plan in await self._planner.known(SLOT_KINDS, ()):
            if (plan.type if plan else await anyio.to_thread.run_sync(quick_type, model)) in types:
                return model.name
        raise UnknownModel(
            f"no model of type {' or '.join(types)} is installed", hint="name one in `model`", param="model"
        )

    def _order(self, plan: Plan, slot: int | None, pinned: bool, number: int, anew: bool = False) -> None:
        trial = self._planner.is_trial(plan)
        self._requests.ordered(number, plan)
        self._feed(Load(number, plan.model.name, plan.need, slot, pinned, plan, anew, trial))
        self._requests.keep_orders(self._scheduler.open_orders)
        self._requests.came.set()

    async def _plan_of(self, model: str) -> Plan:
        """1. As it is loaded, if it has answered so. 2. As requests have it loaded. 3. As it was ordered, where only
        that order knows it.
        """
        for slot in self._occupied.values():
            if slot.model.name == model and slot.proven:
                return slot.plan  # 1
        try:
            return await self._planner.find(model, self.memory.host.total, self.memory.sizes)  # 2
        except UnknownModel:
            if isinstance(ordered := self._scheduler.ordered(model), Plan):
                return ordered  # 3
            raise

    # ---- the shell -------------------------------------------------------------------------------------------

    async def _wait(self, asked: OpenRequest, on_wait: Callable[[WaitState], None] | None) -> None:
        name = asked.plan.model.name
        with anyio.move_on_after(self._settings.start_timeout_s):
            while not asked.told.is_set():
                if on_wait is not None:
                    on_wait(self._wait_state(asked.number, name))
                with anyio.move_on_after(TELL_EVERY_S if on_wait is not None else None):
                    await asked.told.wait()
        if not asked.told.is_set():
            raise Overloaded(f"{name} had no place for this request within {self._settings.start_timeout_s:g} s")

    def _wait_state(self, number: int, name: str) -> WaitState:
        slot = next((slot for slot in self._occupied.values() if slot.model.name == name), None)
        loading = slot is None or slot.worker.state is not WorkerState.READY
        return WaitState(name, self._scheduler.position(number), loading, slot.worker.progress if slot else None)

    async def measure(self) -> None:
        """What models take now, where it was not measured just before."""
        if self._clock.now() - self._measured_at >= FRESH_S:
            await self._measure()

    async def _measure(self) -> None:
        self._measured_at = self._clock.now()
        self._feed(await measured(self._occupied, self.memory, self._learned))

    def _feed(self, event: SlotEvent) -> None:
        if isinstance(event, Up) and not (answers := self._occupied[event.slot]).proven:
            answers.proven = True
            self._planner.proved(answers.plan)
        effects = self._scheduler.step(event, self._clock.now())
        if isinstance(event, Failed) and not event.slot_fault:
            failed = self._occupied[event.slot]
            why = self.failures.by_model.get(failed.model.name)
            if not failed.proven and failed.plan == self._planner.default and why is not None:
                self._fall_back(failed.plan, event.slot, why)
        for effect in effects:
            match effect:
                case Grant(number, slot):
                    if (asked := self._requests.find(number)) is not None:
                        asked.grant(slot)
                case Refuse(number):
                    if (asked := self._requests.find(number)) is not None:
                        asked.fail(queue_full(effect))
                case Fail():
                    self._fail(effect)
                case Start(number, _, Plan() as plan, cards, cache_ram_bytes):
                    self.memory.on_cards.started(number, cards)
                    self._start(number, plan, cache_ram_bytes)
                case LimitCacheRam(number, cache_ram_bytes):
                    self._limit_cache_ram(self._occupied[number], cache_ram_bytes)
                case Stop(number, reason):
                    stopped = self._occupied[number]
                    log.info("slot.stop", slot=number, model=stopped.model.name, why=reason)
                    if reason == "failed":
                        self.failures.given_up(number, stopped.model.name)
                    stopped.scope.cancel()

    def _fail(self, effect: Fail) -> None:
        default, available = self._planner.default, self.memory.host.available
        if self._default.is_order(effect.id) and default is not None:
            problem = failure(effect, default, None, available)
            self._default.not_loaded(problem)
            self._fall_back(default, 1, problem)
        plan = self._requests.take_order(effect.id)
        if (asked := self._requests.find(effect.id)) is not None:
            name = asked.plan.model.name
            tried_on = any(view.model == name and view.phase == "down" for view in self.views())
            asked.fail(self.failures.of(effect, asked.plan, available, tried_on))
        elif plan is not None:
            self.failures.lost(effect, plan, available)

    def _fall_back(self, failed: Plan, slot: int, why: ParleyError) -> None:
        if self._tasks is not None and not self._settings.model:
            self._tasks.start_soon(self._default.fall_back, failed, slot, why)

    def _start(self, number: int, plan: Plan, cache_ram_bytes: int) -> None:
        self.failures.by_slot.pop(number, None)
        self._occupied[number] = slot = self._starter.new_slot(number, plan, cache_ram_bytes)
        log.info("slot.start", slot=number, port=slot.port, model=plan.model.name, need_bytes=plan.need.bytes)
        if self._tasks is not None:
            self._tasks.start_soon(self._live, slot)

    def _limit_cache_ram(self, slot: Slot, cache_ram_bytes: int) -> None:
        """Now, and when it is started again."""
        log.debug("slot.cache_ram", slot=slot.number, model=slot.model.name, cache_ram_bytes=cache_ram_bytes)
        limit_cache_ram(slot, cache_ram_bytes)
        if self._tasks is not None:
            self._tasks.start_soon(slot.backend.limit_cache_ram, cache_ram_bytes)

    async def _live(self, slot: Slot) -> None:
        """From Start until the worker that Stop ended has ended. What it logs is not of the request that began it."""
        structlog.contextvars.clear_contextvars()
        with slot.scope:
            async with anyio.create_task_group() as group:
                group.start_soon(slot.worker.run)
                await watch(slot, self._clock, self._feed, self._learned, self.failures.by_model)
        del self._occupied[slot.number]
        self.memory.on_cards.stopped(slot.number)
        await self._measure()
        self._feed(Emptied(slot.number))
