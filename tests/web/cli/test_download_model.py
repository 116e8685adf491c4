"""`parley download-model` with the hub's API behind it: sets, search, and what is said where nobody can be asked."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import anyio
import pytest
from aiohttp import web

from models.errors import DownloadFailed
from models.sources import huggingface
from web.cli.fetching import offer_once


async def test_a_set_is_shown_and_not_fetched_without_a_yes(tmp_path: Path) -> None:
    environment = {**os.environ, "PARLEY_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:1"}
    command = [sys.executable, "-m", "web.main", "download-model", "--recommended", "--language", "de"]
    done = await anyio.run_process(command, env=environment, check=False)
    assert done.returncode != 0 and b"--yes" in done.stderr and b"Traceback" not in done.stderr
    assert b"thorsten" in done.stdout and b"MIT" in done.stdout
    assert not (tmp_path / "models").exists()


def test_nothing_is_offered_where_there_is_no_terminal(tmp_path: Path) -> None:
    offer_once(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_search_asks_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, str]] = []

    async def models(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        rows = [
            {"id": "a/one", "downloads": 9, "likes": 2, "tags": ["gguf", "license:mit"], "gated": False},
            {"id": "b/two", "downloads": 3, "likes": 0, "tags": [], "gated": "manual"},
        ]
        return web.Response(text=json.dumps(rows), content_type="application/json")

    app = web.Application()
    app.router.add_get("/api/models", models)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        found = await anyio.to_thread.run_sync(huggingface.search, "qwen", "gguf", 5)
    finally:
        await runner.cleanup()
    assert [(one.model, one.downloads, one.licence, one.gated) for one in found] == [
        ("a/one", 9, "mit", False),
        ("b/two", 3, "", True),
    ]
    assert asked[0]["search"] == "qwen" and asked[0]["limit"] == "5" and "gguf" in asked[0]["filter"]
    with pytest.raises(DownloadFailed):
        await anyio.to_thread.run_sync(huggingface.search, "qwen", "gguf", 5)
