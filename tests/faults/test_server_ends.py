"""A server that ends while it answers: whoever waits is told so, and its log holds no fault."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import aiohttp
import anyio

from tests.parley_process import running_parley
from tests.scripted.process import ScriptedProcess

QUESTION = {"model": "scripted/scripted-llm", "messages": [{"role": "user", "content": "hi"}]}


async def test_answers_that_are_under_way_end_with_an_error(
    tmp_path: Path, scripted_service: ScriptedProcess
) -> None:
    scripted_service.reset()
    scripted_service.script(first_token_ms=10, tokens_per_s=20, replies=["word " * 10_000])
    config = scripted_service.parley_config('[llm]\nmodel = "none"\n')
    with running_parley(tmp_path, config=config) as server:
        async with aiohttp.ClientSession(server.base_url, headers=server.headers) as http:
            begun = anyio.Event()
            stream = b""
            status, whole = 0, ""

            async def read_stream() -> None:
                nonlocal stream
                async with http.post("/v1/chat/completions", json=QUESTION | {"stream": True}) as response:
                    async for piece in response.content.iter_any():
                        stream += piece
                        begun.set()

            async def read_whole() -> None:
                nonlocal status, whole
                async with http.post("/v1/chat/completions", json=QUESTION) as response:
                    status, whole = response.status, await response.text()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read_whole)
                with anyio.fail_after(60):
                    while len(scripted_service.requests("llm")) < 1:
                        await anyio.sleep(0.02)
                    tasks.start_soon(read_stream)
                    await begun.wait()
                os.kill(server.pid, signal.SIGTERM)
    assert status == 503 and '"not_ready"' in whole and "is ending" in whole, whole
    words, _, error = stream.rstrip().rpartition(b"\n\n")
    assert b"word" in words and error.startswith(b'data: {"error"') and b"is ending" in error, stream[-300:]
    assert "Traceback" not in server.log()
