"""Recognisers and voices as models of slots: how their workers are started, and how one is spoken to.

The pair that live sessions use has its own two workers (parts.py), so that no load can take them away. Further ones
are loaded into slots like language models: by an order, or because a request names them.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import aiohttp

from llm.cores import cores
from llm.slots.pool import SlotPool
from llm.slots.slot import Slot
from llm.workers.launch import Launch, Launcher
from models.errors import ModelUnreadable
from models.formats.port import Kind
from models.registry import discover
from models.store import BUNDLED, Installed
from voice.port import Stt, Tts
from voice.stt.remote import RemoteStt
from voice.tts.remote import RemoteTts

__all__ = ["SpeechSlots", "engines_as_models", "speech_command", "speech_environment", "speech_launchers"]

SpeechKind = Literal["stt", "tts"]
ENGINE = "engine"
"""The format of a model that is no file: an engine that brings what it needs."""
PLACES = 4
"""Requests that may be with a speech worker at once; it works on one after the other."""


def speech_command(kind: SpeechKind, engine: str, model: Path | None, beside: Sequence[Path] = ()) -> tuple[str, ...]:
    """The command line of a worker; `--port` is added. `beside`: folders of further models that it may load."""
    argv = (sys.executable, "-m", "voice.worker", "--kind", kind, "--engine", engine)
    further = tuple(part for folder in beside for part in ("--beside", str(folder)))
    return (*argv, *further) if model is None else (*argv, "--model", str(model), *further)


def speech_environment() -> Mapping[str, str]:
    # The language model decodes at the same time: half of the cores each. And waiting threads that spin would take
    # the cores from it.
    threads = max(1, cores() // 2)
    return {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}


def speech_launchers() -> dict[Kind, Launcher]:
    return {"stt": _launcher("stt"), "tts": _launcher("tts")}


def engines_as_models() -> tuple[Installed, ...]:
    """Engines that need no model, as something a slot can hold."""
    kinds: tuple[SpeechKind, ...] = ("stt", "tts")
    return tuple(
        Installed(spec.name, kind, ENGINE, BUNDLED, True, 0)
        for kind in kinds
        for spec in discover(f"voice.{kind}").values()
        if not spec.needs_model
    )


def _launcher(kind: SpeechKind) -> Launcher:
    def launch(model: Installed) -> Launch:
        if model.format == ENGINE:
            return Launch(speech_command(kind, model.name, None), speech_environment(), PLACES, 1)
        for spec in discover(f"voice.{kind}").values():
            if model.format in spec.formats:
                return Launch(speech_command(kind, spec.name, model.path), speech_environment(), PLACES, 1)
        raise ModelUnreadable(f"no engine here reads {model.format} models for {kind}")

    return launch


class SpeechSlots:
    """The recognisers and voices that requests name, each for as long as it is used."""

    def __init__(self, pool: SlotPool, http: aiohttp.ClientSession, timeout_s: float = 120.0) -> None:
        self._pool = pool
        self._http = http
        self._timeout_s = timeout_s

    async def has(self, name: str, kind: SpeechKind) -> bool:
        """A model of that name could be asked. Names of other services' models ("whisper-1") are not ours."""
        return bool(name) and any(info.id == name for info in await self._pool.models((kind,)))

    @asynccontextmanager
    async def stt(self, name: str, user: str) -> AsyncGenerator[Stt, None]:
        """Raises what SlotPool.lease raises."""
        async with self._pool.lease(name, user=user) as slot:
            yield RemoteStt(self._http, _address(slot), name, streaming=False, timeout_s=self._timeout_s)

    @asynccontextmanager
    async def tts(self, name: str, user: str) -> AsyncGenerator[Tts, None]:
        """Raises what SlotPool.lease raises."""
        async with self._pool.lease(name, user=user) as slot:
            yield RemoteTts(self._http, _address(slot), name, timeout_s=self._timeout_s)


def _address(slot: Slot) -> Callable[[], Any]:
    async def address() -> str:
        return await slot.worker.ensure_ready(30.0)

    return address
