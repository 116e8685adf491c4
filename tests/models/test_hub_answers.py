"""What a hub, or a mirror of one, may say: odd answers are typed errors, and odd rows are passed over."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from aiohttp import web

from models.errors import DownloadFailed, ModelNotFound
from models.half_file import RemoteFile
from models.sources import huggingface


@asynccontextmanager
async def _hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Any]]:
    """Answers everything with the one value of the list."""
    says: list[Any] = [None]

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=json.dumps(says[0]), content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        yield says
    finally:
        await runner.cleanup()


async def _asked(call: Callable[[], Any]) -> Any:
    return await anyio.to_thread.run_sync(call)


def _file(name: object, size: object = 5, **more: object) -> dict[str, object]:
    return {"rfilename": name, "size": size, **more}


@pytest.mark.parametrize("answer", [[], None, "x", 5], ids=["list", "null", "text", "number"])
async def test_what_is_no_answer_is_said(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    async with _hub(monkeypatch) as says:
        says[0] = answer
        with pytest.raises(DownloadFailed, match="cannot be read"):
            await _asked(lambda: huggingface.list_files("o/r"))
        if not isinstance(answer, list):
            with pytest.raises(DownloadFailed, match="cannot be read"):
                await _asked(lambda: huggingface.search("x", "any", 3))


async def test_odd_rows_of_a_repository_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = ["a.gguf", None, {"size": 5}, _file(None), _file(7), _file("a\ud800.gguf"), _file("a\0.gguf")]
    async with _hub(monkeypatch) as says:
        for siblings in (None, {"a": 1}, odd):
            says[0] = {"id": "o/r", "siblings": siblings, "createdAt": "never", "config": 5}
            with pytest.raises(ModelNotFound):
                await _asked(lambda: huggingface.list_files("o/r"))
        says[0]["siblings"] = [*odd, _file("b.gguf")]
        (found,) = await _asked(lambda: huggingface.list_files("o/r"))
        assert (found.path, found.size, found.sha256) == ("b.gguf", 5, None)


@pytest.mark.parametrize("size", ["5", -5, 5.5, [5], 10**400, None])
async def test_a_size_that_is_none_is_not_known(monkeypatch: pytest.MonkeyPatch, size: object) -> None:
    async with _hub(monkeypatch) as says:
        says[0] = {"siblings": [_file("a.gguf", size, lfs="x"), _file("b.json", lfs={"sha256": "zz"})]}
        first, second = await _asked(lambda: huggingface.list_files("o/r"))
    assert isinstance(first, RemoteFile) and (first.size, first.sha256) == (None, None)
    assert second.sha256 == "zz", "what comes will not be taken for right"


async def test_odd_rows_of_a_search_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async with _hub(monkeypatch) as says:
        says[0] = [5, {"downloads": 1}, {"id": None}, {"id": "o/r", "downloads": "many", "tags": [1, "license:mit"]}]
        (found,) = await _asked(lambda: huggingface.search("x", "any", 3))
    assert (found.model, found.downloads, found.licence, found.gated) == ("o/r", 0, "mit", False)
