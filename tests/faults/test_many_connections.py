"""More connections than the system lets a process have, and connections on which nothing is asked."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import anyio
import pytest
from starlette.types import Receive, Scope, Send

import web.serving.server
from tests.parley_process import running_parley
from tests.scripted.process import ScriptedProcess
from tests.web.served_here import serving
from web.serving.open_files import connections_at_once, raise_limit

OPEN_FILES = 256
IDLE = 150


def connections_of(files: int) -> int:
    return (files - 64) // 2


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process before it starts")
async def test_beyond_the_limit_is_refused_in_words_and_who_was_there_goes_on(
    tmp_path: Path, scripted_service: ScriptedProcess
) -> None:
    scripted_service.reset()
    config = scripted_service.parley_config('[llm]\nmodel = "none"\n')
    question = {"messages": [{"role": "user", "content": "hi"}], "model": "scripted/scripted-llm"}
    with running_parley(tmp_path, config=config, open_files=OPEN_FILES) as server:
        async with AsyncExitStack() as stack:

            async def client() -> aiohttp.ClientSession:
                return await stack.enter_async_context(aiohttp.ClientSession(server.base_url, headers=server.headers))

            async def ask(http: aiohttp.ClientSession) -> tuple[int, dict[str, object]]:
                async with http.post("/v1/chat/completions", json=question) as response:
                    return response.status, await response.json()

            before = await client()
            assert (await ask(before))[0] == 200
            idle = [await asyncio.open_connection(server.host, server.port) for _ in range(IDLE)]
            status, body = await ask(await client())
            error = body["error"]
            assert status == 503 and isinstance(error, dict) and error["code"] == "overloaded" and error["hint"], body
            assert (await ask(before))[0] == 200
            with anyio.fail_after(60):  # what asks nothing makes room, so that files and workers can be reached
                while sum(reader.at_eof() for reader, _ in idle) < IDLE - connections_of(OPEN_FILES):
                    await asyncio.sleep(0.05)
            assert "server.full" in server.log() and "open files" in server.log()
            for _, writer in idle:
                writer.close()
            with anyio.fail_after(60):
                while (await ask(await client()))[0] != 200:
                    await asyncio.sleep(0.05)


async def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await asyncio.sleep(0.6)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    monkeypatch.setattr(web.serving.server, "HEAD_WITHIN_S", 0.2)
    async with serving(app) as url:
        port = int(url.rpartition(":")[2])
        for sent, answered in (
            (b"", b""),
            (b"GET / HTTP/1.1\r\nHo", b"HTTP/1.1 408"),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT", b"HTTP/1.1 200"),
            (b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT", b"HTTP/1.1 200"),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            with anyio.fail_after(60):
                said = await reader.read()
            writer.close()
            assert said.startswith(answered) and (b"408" in said) == sent.endswith((b"Ho", b"HT")), said


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
@pytest.mark.parametrize(
    ("soft", "hard", "taken", "wanted"),
    [(256, -1, 10_240, 10_240), (1024, 524_288, 524_288, 65_536), (1024, 4096, 4096, 4096), (256, -1, 0, None)],
)
def test_the_limit_is_raised_as_far_as_the_system_takes_it(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, taken: int, wanted: int | None
) -> None:
    """macOS and others: what they say, and the most that they take."""
    import resource

    limits: list[int] = []

    def set_limit(which: int, pair: tuple[int, int]) -> None:
        if pair[0] > taken:
            raise ValueError("current limit exceeds maximum limit")
        limits.append(pair[0])

    monkeypatch.setattr(resource, "RLIM_INFINITY", -1)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    raise_limit()
    assert limits == ([] if wanted is None else [wanted])


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
@pytest.mark.parametrize(("files", "connections"), [(64, 8), (256, 96), (1024, 480), (65_536, 2048)])
def test_half_of_the_files_are_for_connections(monkeypatch: pytest.MonkeyPatch, files: int, connections: int) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda which: (files, files))
    assert connections_at_once() == connections
