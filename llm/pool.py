"""The slots: worker processes of our own, each with one model, started and kept up here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import anyio
import psutil  # type: ignore[import-untyped]
import structlog
from anyio.abc import TaskStatus

from llm.backends.slot import SlotBackend
from llm.errors import LlmError
from llm.port import Backend, BackendConfig
from llm.process import WorkerProcess, WorkerSpec
from llm.settings import EngineSettings, LlmSettings
from models.clock import Clock
from models.errors import ParleyError
from models.registry import discover
from models.store import Installed, Store

__all__ = ["Slot", "SlotPool", "engine_arguments", "load_backends"]

MEMORY_SHARE = 0.6
"""Of the machine's memory a model that nobody asked for by name may take."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Slot:
    """One place for a model."""

    number: int
    port: int
    model: Installed
    worker: WorkerProcess
    backend: SlotBackend


class SlotPool:
    """`run` starts the slots and supervises them until it is cancelled. A crash stays in its slot."""

    def __init__(self, settings: LlmSettings, store: Store, clock: Clock, http: aiohttp.ClientSession) -> None:
        self.slots: tuple[Slot, ...] = ()
        self.problem: ParleyError | None = None
        """Why no model could be chosen for slot 1."""
        self._settings, self._store, self._clock, self._http = settings, store, clock, http

    @property
    def backends(self) -> tuple[SlotBackend, ...]:
        return tuple(slot.backend for slot in self.slots)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """`started` is reported when the workers are being started, not when their models are loaded."""
        model = await anyio.to_thread.run_sync(self._choose)
        if model is not None:
            self.slots = (self._slot(1, model),)
        async with anyio.create_task_group() as tasks:
            for slot in self.slots:
                log.info("slot.start", slot=slot.number, port=slot.port, model=slot.model.name)
                await tasks.start(slot.worker.run)
            task_status.started()
            await anyio.sleep_forever()

    async def ensure_ready(self, timeout_s: float) -> None:
        """Wait until every slot answers. Raises the problem of the first that does not."""
        if self.problem is not None:
            raise self.problem
        for slot in self.slots:
            await slot.worker.ensure_ready(timeout_s)

    def _choose(self) -> Installed | None:
        if self._settings.model == "none":
            return None
        try:
            if self._settings.model:
                return self._store.find(self._settings.model, "llm")
            installed = self._store.installed("llm")
        except ParleyError as error:
            self.problem = error
            log.error("slot.model", code=error.code, reason=error.message)
            return None
        memory = psutil.virtual_memory().total
        fitting = [model for model in installed if model.size_bytes <= MEMORY_SHARE * memory]
        for model in installed[: installed.index(fitting[0])] if fitting else installed:
            log.warning("slot.model_too_large", model=model.name, size_bytes=model.size_bytes, memory_bytes=memory)
        if not fitting:
            self.problem = LlmError(
                "no language model is installed" if not installed else "every installed language model is too large",
                hint="put a .gguf file into the models folder",
            )
        return fitting[0] if fitting else None

    def _slot(self, number: int, model: Installed) -> Slot:
        port = self._settings.slot_port_base + number - 1
        argv = (sys.executable, "-m", "llm.worker", "--model", str(model.path), "--name", model.name)
        spec = WorkerSpec(
            name=f"slot-{number}",
            argv=(*argv, "--port", str(port), *engine_arguments(self._settings.engine)),
            port=port,
            start_timeout_s=self._settings.start_timeout_s,
        )
        worker = WorkerProcess(spec, self._clock, self._http)
        config = BackendConfig(f"slot-{number}", "slot", f"http://127.0.0.1:{port}/v1", model=model.name)
        backend = SlotBackend(config, self._http, worker, self._settings.ready_timeout_s)
        return Slot(number, port, model, worker, backend)


def engine_arguments(engine: EngineSettings) -> tuple[str, ...]:
    """The command line of a worker for what differs from the defaults: --ctx-size 4096 --mlock true ..."""
    plain = EngineSettings()
    arguments: list[str] = []
    for name in EngineSettings.__dataclass_fields__:
        value = getattr(engine, name)
        if value != getattr(plain, name):
            arguments += [
                f"--{name.replace('_', '-')}",
                str(value).lower() if isinstance(value, bool) else str(value),
            ]
    return tuple(arguments)


def load_backends(configs: Sequence[BackendConfig], http: aiohttp.ClientSession) -> tuple[Backend, ...]:
    """The configured backends. Raises LlmError for a type that does not exist."""
    specs = discover("llm.backends")
    backends = []
    for config in configs:
        if config.type not in specs:
            raise LlmError(
                f"backend {config.name!r} has the unknown type {config.type!r}", hint=f"there are: {', '.join(specs)}"
            )
        if config.enabled:
            backends.append(specs[config.type].load(config, http))
    return tuple(backends)
