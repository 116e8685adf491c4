"""A model that the settings name an address for is fetched at the start, while the server already answers."""

from __future__ import annotations

import time
from pathlib import Path

import aiohttp
import anyio
import pytest

from models.store import BUNDLED
from tests.models.test_download import Hub, hub
from tests.parley_process import running_parley

__all__ = ["hub"]


async def test_a_missing_model_is_fetched_and_loaded(hub: Hub, tmp_path: Path) -> None:
    source = BUNDLED / "parley-mini.gguf"
    if not source.is_file():
        pytest.skip("there is no bundled model")
    hub.data = source.read_bytes()
    hub.cut_after, hub.cuts = 1_000_000, 1
    config = f'[llm]\nmodel_url = "{hub.url}/owner/repo/resolve/main/fetched.gguf"\n'

    def serve() -> str:
        """In a thread: the hub answers in the loop of the test."""
        with running_parley(tmp_path, config=config, env={"HF_ENDPOINT": hub.url}) as server:
            return anyio.run(_until_fetched, server.base_url, server.headers)

    assert await anyio.to_thread.run_sync(serve) == "fetched"
    assert (tmp_path / "models" / "fetched" / "fetched.gguf").read_bytes() == hub.data
    assert hub.ranges[-1].startswith("bytes=")


async def _until_fetched(base_url: str, headers: dict[str, str]) -> str:
    deadline = time.monotonic() + 60
    async with aiohttp.ClientSession(base_url, headers=headers) as http:
        while time.monotonic() < deadline:
            async with http.get("/admin/api/slots") as answer:
                for slot in (await answer.json())["slots"]:
                    if slot["model"] == "fetched" and slot["status"] in ("ready", "idle", "busy", "loaded"):
                        return str(slot["model"])
            await anyio.sleep(0.1)
        async with http.get("/admin/api/slots") as answer:
            return str(await answer.json())[:600]
