"""A real server on a free port of loopback, in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import anyio
from starlette.types import ASGIApp

from web.serving.server import address_of, listen, serve

__all__ = ["client_of", "serving"]


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Serve the app until the block ends; gives its address, "http://127.0.0.1:port".

    The server has a task of its own, because a fixture is entered in one task and left in another.
    """
    listener = listen("127.0.0.1", 0)
    up, over = anyio.Event(), anyio.Event()

    async def run() -> None:
        async with anyio.create_task_group() as group:
            await group.start(serve, app, listener)
            up.set()
            await over.wait()
            group.cancel_scope.cancel()

    task = asyncio.create_task(run())
    try:
        await up.wait()
        yield address_of(listener)
    finally:
        over.set()
        await task


@asynccontextmanager
async def client_of(app: ASGIApp) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client of a served app; paths are relative to it. Cookies of IP addresses are kept, too."""
    async with serving(app) as url, aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        yield client
