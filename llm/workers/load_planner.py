"""Which models slots can be asked for, and how each is to be loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio.to_thread
import structlog

from llm.errors import LlmError, UnknownModel
from llm.memory.cards import Cards
from llm.memory.learned import Learned
from llm.settings import LlmSettings
from llm.workers.launch import Launcher, Plan, changed_settings, plain_names, plan_for
from llm.workers.load_checks import check_options
from models.errors import ParleyError
from models.formats.port import Kind
from models.store import Installed, Store

__all__ = ["SLOT_KINDS", "LoadPlanner"]

MEMORY_SHARE = 0.6
"""Of the machine's memory a model that nobody asked for by name may take."""
SLOT_KINDS: tuple[Kind, ...] = ("llm", "embedding", "rerank", "stt", "tts")

log = structlog.get_logger(__name__)


class LoadPlanner:
    def __init__(
        self,
        settings: LlmSettings,
        store: Store,
        launchers: Mapping[Kind, Launcher],
        learned: Learned,
        engines: Sequence[Installed] = (),
    ) -> None:
        self.default: Plan | None = None
        """What slot 1 holds, and what a text request without a model gets."""
        self.problem: ParleyError | None = None
        """Why there is no default."""
        self._settings, self._store, self._launchers, self._learned = settings, store, launchers, learned
        self._engines = tuple(engines)
        self._plans: dict[str, Plan] = {}
        """The last that was made for a request, or that worked."""
        self._proven: dict[str, tuple[Installed, Mapping[str, Any]]] = {}
        """What was ordered and has answered."""

    async def choose_default(self, memory_bytes: int, cards: Cards) -> Plan | None:
        """The model of the settings, or the best that is installed; None, and `problem`, where there is none."""
        if self._settings.model == "none" or not self._settings.slots:
            return None
        try:
            model = await anyio.to_thread.run_sync(self._choose, memory_bytes)
            self.default = self._plans[model.name] = await self._plan(model, {}, memory_bytes, cards)
        except ParleyError as error:
            self.problem = error
            log.error("slot.model", code=error.code, reason=error.message)
        return self.default

    def make_default(self, plan: Plan) -> None:
        self.default, self.problem = plan, None

    async def choose_another(self, without: Collection[str], memory_bytes: int, cards: Cards) -> Plan | None:
        """The best that is installed but for these; None where the settings name the model, or no other is left."""
        if self._settings.model:
            return None
        try:
            model = await anyio.to_thread.run_sync(self._choose, memory_bytes, without)
            return await self._plan(model, {}, memory_bytes, cards)
        except ParleyError:
            return None

    async def ordered(self, name: str, options: Mapping[str, Any], memory_bytes: int, cards: Cards) -> Plan:
        """A model of the store, or of a path, with options. They change nothing for anybody until `proved`. Raises
        ModelNotFound, ModelUnreadable, BadInput.
        """
        engine = next((engine for engine in self._engines if engine.name == name), None)
        model = engine if engine is not None else await anyio.to_thread.run_sync(self._store.find, name)
        if options:
            given = plain_names(options)
            changed = changed_settings(self._settings.engine, options)
            await anyio.to_thread.run_sync(check_options, model, changed, given, self._store.folders)
        return replace(await self._plan(model, options, memory_bytes, cards), ordered=True)

    def proved(self, plan: Plan) -> None:
        """A worker with this plan answers: from now on requests for the model have it loaded so."""
        if plan.ordered:
            self._proven[plan.model.name] = (plan.model, plan.options)
        self._plans[plan.model.name] = plan

    def is_trial(self, plan: Plan) -> bool:
        """Nobody has seen the model work with these options."""
        return bool(plan.options) and self._proven.get(plan.model.name) != (plan.model, plan.options)

    async def find(self, name: str, memory_bytes: int, cards: Cards) -> Plan:
        """By name only: what a client writes shall not choose a file. Raises UnknownModel."""
        if name in self._proven:  # also from a folder that the store does not know
            return await self._request(*self._proven[name], memory_bytes, cards)
        if self.default is not None and name == self.default.model.name:
            return await self._request(self.default.model, {}, memory_bytes, cards)
        if self._settings.load_on_demand and self._settings.slots:
            for model in (*await anyio.to_thread.run_sync(self._store.installed), *self._engines):
                if model.name == name and model.kind in SLOT_KINDS:
                    return await self._request(model, {}, memory_bytes, cards)
        hint = "GET /v1/models lists the models"
        raise UnknownModel(f"the model {name[:200]!r} is in no slot", hint=hint, param="model")

    async def known(self, kinds: Iterable[Kind], loaded: Iterable[Installed]) -> list[tuple[Installed, Plan | None]]:
        """What can be asked for, the default first, then what is loaded, then what is in the store."""
        models = [self.default.model] if self.default is not None else []
        models += loaded
        models += [model for model, _ in self._proven.values()]
        if self._settings.load_on_demand and self._settings.slots:
            models += (*await anyio.to_thread.run_sync(self._store.installed), *self._engines)
        found: dict[str, Installed] = {}
        for model in models:
            if model.kind in kinds:
                found.setdefault(model.name, model)
        return [(model, self._plans.get(model.name)) for model in found.values()]

    async def _request(self, model: Installed, options: Mapping[str, Any], memory_bytes: int, cards: Cards) -> Plan:
        plan = self._plans[model.name] = await self._plan(model, options, memory_bytes, cards)
        return plan

    async def _plan(self, model: Installed, options: Mapping[str, Any], memory_bytes: int, cards: Cards) -> Plan:
        return await anyio.to_thread.run_sync(
            plan_for, model, self._settings.engine, options, self._launchers, self._learned, memory_bytes, cards
        )

    def _choose(self, memory_bytes: int, without: Collection[str] = ()) -> Installed:
        if self._settings.model:
            return self._store.find(self._settings.model, "llm")
        installed = [model for model in self._store.installed("llm") if model.name not in without]
        fitting = [model for model in installed if model.size_bytes <= MEMORY_SHARE * memory_bytes]
        for model in installed[: installed.index(fitting[0])] if fitting else installed:
            log.warning(
                "slot.model_too_large", model=model.name, size_bytes=model.size_bytes, memory_bytes=memory_bytes
            )
        if not fitting:
            raise LlmError(
                "no language model is installed" if not installed else "every installed language model is too large",
                hint="put a .gguf file into the models folder",
            )
        return fitting[0]
