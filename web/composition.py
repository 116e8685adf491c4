"""The composition root: builds models -> llm -> voice -> web from the settings, and takes all down again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import aiohttp
import anyio
import anyio.to_thread

from llm.generate import Router
from llm.measuring.measured_backend import MeasuredBackend
from llm.measuring.statistics import Measuring
from llm.measuring.statistics_file import keep_statistics
from llm.routing.configured_backends import load_backends
from llm.routing.routing_choice import RoutingChoice, RoutingFile
from llm.servers import ServersFile, load_servers, with_servers
from llm.slots.pool import SlotPool
from llm.workers.placement import LocalProcesses
from models.clock import Clock
from models.dead_peers import probed_socket
from models.download_jobs import DownloadJobs
from models.metrics import Metrics
from models.names import NameResolver
from models.store import Store
from models.wanted import want
from voice.codecs.warm_up import warm_up
from voice.ears.ears import Ears, load_ears
from voice.parts import open_parts, wake_models
from voice.records.recordings import Recordings
from voice.session.hub import Hub
from voice.session.session import SessionParts
from voice.slot_speech import SpeechSlots, engines_as_models, speech_launchers
from voice.tools.toolbox import open_toolbox
from voice.turn_detection.load import load_scorer
from voice.turn_detection.spec import Scorer
from web.client_secrets import ClientSecrets
from web.first_model import fetch_missing
from web.keys import KeyRing
from web.response_store import ResponseStore
from web.services import Services
from web.settings import Settings
from web.signin import SignInCodes

__all__ = ["open_services"]


@asynccontextmanager
async def open_services(settings: Settings, keys: KeyRing, clock: Clock) -> AsyncIterator[Services]:
    """Everything up and working on getting ready: workers may still be loading their models when this is entered.

    At the end all tasks are cancelled and all workers ended. Raises ParleyError for parts that cannot be had at all.
    """
    store, metrics = _store(settings), Metrics()
    servers = await anyio.to_thread.run_sync(ServersFile(settings.home).read)
    settings = replace(settings, llm=await anyio.to_thread.run_sync(with_servers, settings.llm, servers, store))
    # Voice streams stay open as long as they are spoken; a limit on connections would make one wait for another.
    connector = aiohttp.TCPConnector(
        limit=0, keepalive_timeout=30.0, resolver=NameResolver(), socket_factory=probed_socket
    )
    async with (
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http,
        open_toolbox(settings.voice.tools, clock) as tools,
        anyio.create_task_group() as group,
    ):
        placement = LocalProcesses(clock, http)
        pool = SlotPool(
            settings.llm,
            store,
            clock,
            http,
            placement=placement,
            launchers=speech_launchers(),
            engines=engines_as_models(),
        )
        remote = load_backends(settings.llm.backends, http)
        measuring = Measuring()
        await group.start(keep_statistics, measuring, settings.home / "performance.json")
        measured = [MeasuredBackend(one, measuring, metrics, clock) for one in (*pool.backends, *remote)]
        llm = settings.llm
        router = Router(
            lambda: measured,
            llm.default_model,
            strategy=llm.selection_strategy,
            aliases=llm.aliases,
            spill=llm.spill,
        )
        routing = RoutingChoice(router, llm, RoutingFile(settings.home))
        await routing.restore()
        await group.start(pool.run)
        await group.start(router.run)
        downloads = DownloadJobs(store.root, clock, partial(want, trusted_hosts=settings.models.trusted_hosts))
        await group.start(downloads.run)
        group.start_soon(load_servers, pool, servers)
        group.start_soon(fetch_missing, settings.llm, store, downloads, pool)
        parts = await open_parts(settings.voice, store, http, placement, group, settings.llm.slot_port_base)
        # Loading takes a second, in which the workers load theirs.
        ears = await anyio.to_thread.run_sync(_load_ears, settings, store)
        scorer = await anyio.to_thread.run_sync(_load_scorer, settings)
        await group.start(ears.run)
        lost = "Audio that the ears could not keep up with, since the start"
        metrics.gauge("parley_ears_lost_seconds", lost, lambda: ears.statistics().lost_s)
        await anyio.to_thread.run_sync(warm_up)
        spoken = SessionParts(ears, parts.stt, router, parts.tts, router.forget, clock, tools, scorer, router.prefill)
        recordings = Recordings(settings.home / "recordings", settings.voice.record, clock)
        sessions = settings.home / "sessions"
        hub = Hub(settings.voice, sessions, clock, lambda: spoken, metrics, recordings, lambda: keys.key_id)
        await anyio.to_thread.run_sync(hub.load)
        services = Services(
            settings=settings,
            clock=clock,
            http=http,
            store=store,
            keys=keys,
            codes=SignInCodes(clock),
            client_secrets=ClientSecrets(clock, lambda: keys.key_id),
            responses=ResponseStore(),
            pool=pool,
            router=router,
            routing=routing,
            ears=ears,
            parts=parts,
            speech=SpeechSlots(pool, http),
            hub=hub,
            metrics=metrics,
            measuring=measuring,
            downloads=downloads,
        )
        try:
            yield services
        finally:
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):  # the process ends soon, and waits for no thread that still writes
                await hub.flush()
                await anyio.to_thread.run_sync(recordings.close)


def _load_ears(settings: Settings, store: Store) -> Ears:
    voice = settings.voice
    return load_ears(voice.vad, voice.wake, wake_models(voice.wake, store))


def _load_scorer(settings: Settings) -> Scorer | None:
    folders = (settings.home / "models", *(Path(folder).expanduser() for folder in settings.models.directories))
    return load_scorer(settings.voice.turn, folders)


def _store(settings: Settings) -> Store:
    return Store(settings.home, [Path(folder).expanduser() for folder in settings.models.directories])
