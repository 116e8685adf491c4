"""The model that the settings name an address for: fetched at the start if it is missing, then loaded."""

from __future__ import annotations

from contextlib import aclosing

import anyio.to_thread
import structlog

from llm.settings import LlmSettings
from llm.slots.pool import SlotPool
from models.download_jobs import DownloadJobs
from models.errors import ModelNotFound, ParleyError
from models.store import Store
from models.wanted import name_of

__all__ = ["fetch_missing"]

log = structlog.get_logger(__name__)


async def fetch_missing(settings: LlmSettings, store: Store, downloads: DownloadJobs, pool: SlotPool) -> None:
    """Raises nothing: what goes wrong is in the log, and the server works with what it has."""
    if not settings.model_url or not settings.auto_download_model:
        return
    try:
        name = settings.model or name_of(settings.model_url)
        if await anyio.to_thread.run_sync(_installed, store, name):
            return
        job = downloads.start(settings.model_url)
        async with aclosing(downloads.watch(job)) as states:
            async for _ in states:
                pass
        if job.error is not None:
            raise job.error
        if job.path is None:
            return  # cancelled
        found = await anyio.to_thread.run_sync(_in_folder, store, job.path.name)
        plan = await pool.plan(found or name)
        pool.load(plan, pinned=True)
        # Until it answers, the model that was there before does.
        async with pool.lease(plan.model.name):
            pool.make_default(plan)
        log.info("model.fetched", model=plan.model.name)
    except ParleyError as error:
        log.error("model.not_fetched", code=error.code, reason=error.message, hint=error.hint)


def _installed(store: Store, name: str) -> bool:
    try:
        store.find(name, "llm")
    except ModelNotFound:
        return _in_folder(store, name) != ""
    return True


def _in_folder(store: Store, folder: str) -> str:
    """The name of the language model that lies in this folder of the store."""
    for model in store.installed("llm"):
        if not model.bundled and (store.root / folder) in (model.path, *model.path.parents):
            return model.name
    return ""
