"""Fixtures of the browser tests. Where there is no Chromium they are skipped, and say so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium, find_chromium, running_chromium
from tests.parley_process import ParleyProcess

PageOpener = Callable[..., AbstractAsyncContextManager[Chromium]]


@pytest.fixture(autouse=True)
def _chromium() -> None:
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium)")


@pytest.fixture
def live_page() -> PageOpener:
    """`async with live_page(server, microphone)`: the live page, opened signed in by a one-time link.

    `port`, `name`: where the browser finds the server, if not where it is.
    """

    @asynccontextmanager
    async def opener(
        server: ParleyProcess,
        microphone: Path | None = None,
        *,
        allow: bool = True,
        port: int | None = None,
        name: str = "",
    ) -> AsyncIterator[Chromium]:
        async with running_chromium(microphone, allow=allow, name=name) as page:
            await page.size(1280, 800)
            link = server.post("/admin/api/signin-links", {})["path"]
            await page.goto(f"http://{name or server.host}:{port or server.port}{link}")
            await page.wait_for("location.pathname === '/live' && window.parley", "the live page")
            yield page

    return opener
