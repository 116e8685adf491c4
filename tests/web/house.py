"""The whole application in the test's own process: real parts by configuration, a real server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import anyio

from models.clock import SystemClock
from tests.ports import free_port_block
from web.app import create_app
from web.composition import open_services
from web.keys import AdminKey, KeyRing
from web.services import Services
from web.serving.server import address_of, listen, serve
from web.settings import Given, load

__all__ = ["KEY", "House", "house"]

KEY = "sk-the-key-of-the-house"


@dataclass(frozen=True, slots=True)
class House:
    url: str
    services: Services
    client: aiohttp.ClientSession
    """Sends the admin key; paths are relative to the server."""


@asynccontextmanager
async def house(home: Path, config: str) -> AsyncIterator[House]:
    """Open until the block ends. `config` is the text of parley.toml."""
    path = home / "parley.toml"
    path.write_text(config, encoding="utf-8")
    settings = load(Given(config=path), {"PARLEY_HOME": str(home), "PARLEY_SLOT_PORT_BASE": str(free_port_block())})
    listener = listen("127.0.0.1", 0)
    url = address_of(listener)
    up, over = anyio.Event(), anyio.Event()
    built: list[Services] = []

    async def run() -> None:
        keys = KeyRing(AdminKey.of(KEY), "sk-local")
        async with open_services(settings, keys, SystemClock()) as services, anyio.create_task_group() as group:
            await group.start(serve, create_app(services), listener, services.hub.shut)
            built.append(services)
            up.set()
            await over.wait()
            group.cancel_scope.cancel()

    task = asyncio.create_task(run())
    try:
        waiting = asyncio.create_task(up.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        # As `parley up` is waited for until it is healthy: the first question to the backends may still be open.
        await built[0].router.refresh()
        headers = {"Authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession(url, headers=headers) as client:
            yield House(url, built[0], client)
    finally:
        over.set()
        await task
