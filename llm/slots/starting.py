"""Makes the worker of a slot and what speaks to it. Nothing runs yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import aiohttp

from llm.backends.slot import SlotBackend
from llm.port import BackendConfig
from llm.settings import LlmSettings
from llm.slots.slot import Slot
from llm.workers.launch import Plan
from llm.workers.placement import Placement
from llm.workers.process import WorkerSpec

__all__ = ["SlotStarter", "limit_cache_ram"]


class SlotStarter:
    """`environment` is that of every worker, besides its plan's own."""

    def __init__(
        self,
        settings: LlmSettings,
        placement: Placement,
        http: aiohttp.ClientSession,
        environment: Mapping[str, str],
    ) -> None:
        self._settings, self._placement, self._http, self._environment = settings, placement, http, environment

    def new_slot(self, number: int, plan: Plan, cache_ram_bytes: int) -> Slot:
        port, settings = self._settings.slot_port_base + number - 1, self._settings
        argv, env = (*plan.launch.argv, "--port", str(port)), {**plan.launch.env, **self._environment}
        if cache_ram_bytes < plan.need.cache_ram_bytes:
            argv += _cache_ram(cache_ram_bytes)
        limits = settings.start_timeout_s, settings.hang_timeout_s
        worker = self._placement.place(WorkerSpec(f"slot-{number}", argv, port, env, *limits))
        config = BackendConfig(f"slot-{number}", "slot", f"http://127.0.0.1:{port}/v1", model=plan.model.name)
        backend = SlotBackend(config, self._http, worker, settings.ready_timeout_s)
        return Slot(number, port, plan, worker, backend, cache_ram_bytes=cache_ram_bytes)


def limit_cache_ram(slot: Slot, cache_ram_bytes: int) -> None:
    """For when its worker is started again; the one that runs has to be told."""
    slot.cache_ram_bytes = cache_ram_bytes
    argv = (*slot.worker.spec.argv, *_cache_ram(cache_ram_bytes))  # the last one counts
    slot.worker.spec = replace(slot.worker.spec, argv=argv)


def _cache_ram(size_bytes: int) -> tuple[str, str]:
    return "--cache-ram-mib", str(size_bytes >> 20)
