"""`parley bench` against the scripted OpenAI-compatible service, as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import anyio
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from models.clock import SystemClock
from tests.ports import free_port
from tests.scripted.process import ScriptedProcess
from web.bench.chart import bars, svg
from web.bench.load import Stage, Work, run_stage


@pytest.fixture
def service(scripted_service: ScriptedProcess) -> ScriptedProcess:
    scripted_service.reset()
    return scripted_service


def command(service: ScriptedProcess, *more: str) -> list[str]:
    base = service.base_url
    return [sys.executable, "-m", "web.main", "bench", "--base-url", base, "--model", "m", *more]


async def test_figures_as_json_and_a_picture(service: ScriptedProcess, tmp_path: Path) -> None:
    service.script(replies=["one two three four five six seven eight"])
    picture = tmp_path / "bench.svg"
    more = ("--clients", "1,3", "--requests", "2", "--json", "--svg", str(picture))
    done = await anyio.run_process(command(service, *more), check=False)
    assert done.returncode == 0, done.stderr.decode()
    stages = json.loads(done.stdout)["stages"]
    assert [(stage["clients"], stage["requests"], stage["errors"]) for stage in stages] == [(1, 2, 0), (3, 6, 0)]
    assert all(stage["tokens_per_s"] > 0 and stage["first_median_s"] > 0 for stage in stages)
    assert picture.read_text().startswith("<svg") and len(service.requests("llm")) == 1 + 2 + 6


async def test_a_server_that_fails_is_told(service: ScriptedProcess) -> None:
    service.script(llm_fault={"kind": "error", "status": 500})
    done = await anyio.run_process(command(service, "--clients", "1"), check=False)
    assert done.returncode == 2 and b"500" in done.stderr and b"Traceback" not in done.stderr
    assert b"check --base-url" in done.stderr and not done.stdout


async def test_ctrl_c_prints_what_was_measured(service: ScriptedProcess) -> None:
    service.script(tokens_per_s=20, replies=["a b c d"])
    more = ("--clients", "1", "--requests", "10000", "--json")
    async with await anyio.open_process(command(service, *more), stdout=subprocess.PIPE) as process:
        with anyio.fail_after(60):
            while len(service.requests("llm")) < 3:
                await anyio.sleep(0.05)
            os.kill(process.pid, signal.SIGINT)
            assert await process.wait() == 130
        assert process.stdout is not None
        assert "stages" in json.loads(await process.stdout.receive())


async def test_wrong_numbers_are_told(service: ScriptedProcess) -> None:
    done = await anyio.run_process(command(service, "--clients", "0"), check=False)
    assert done.returncode == 2 and b"1 to 1024" in done.stderr


def test_bars_are_as_long_as_their_values() -> None:
    def stage(clients: int, rate: float) -> Stage:
        return Stage(clients, 1, 0, 1.0, rate, rate, 0.1 * clients, 0.1 * clients, 10)

    lines = bars([stage(1, 50.0), stage(2, 100.0), stage(4, 0.0)], 40)
    assert [line.count("█") for line in lines] == [20, 10, 40, 20, 0, 40]
    assert "<script" not in svg([stage(1, 0.0)], "<script>")


async def test_a_server_that_is_not_there_is_told(service: ScriptedProcess) -> None:
    dead = f"http://127.0.0.1:{free_port()}/v1"
    argv = [sys.executable, "-m", "web.main", "bench", "--base-url", dead, "--clients", "1"]
    done = await anyio.run_process(argv, check=False)
    told = " ".join(done.stderr.decode().split())
    assert done.returncode == 2 and f"nothing answers at {dead}" in told and not done.stdout


@pytest.mark.parametrize(
    ("status", "body", "key", "base", "told"),
    [
        (
            401,
            '{"error": {"message": "a key is needed"}}',
            "",
            "/v1",
            "401: a key is needed; give its key with --key",
        ),
        (401, '{"error": "no"}', "k", "/v1", "401: no; is --key the right one?"),
        (404, "<h1>Not\nFound</h1>", "", "", "404: <h1>Not Found</h1>; such addresses mostly end with /v1"),
        (
            404,
            '{"error": {"message": "no model x", "hint": "parley models"}}',
            "",
            "/v1",
            "404: no model x; parley models",
        ),
        (500, "[]", "", "/v1", "500: []"),
        (502, "", "", "/v1", "502: no reason given"),
    ],
)
async def test_a_refusal_is_told_in_words(status: int, body: str, key: str, base: str, told: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        work = Work(f"http://127.0.0.1:{server.port}{base}", "x", key)
        stage = await run_stage(http, work, 1, 1, 10.0, SystemClock())
    assert stage.error == told


async def test_no_prompt_is_sent_twice(service: ScriptedProcess) -> None:
    service.script(replies=["a b c d e f g h i j"])
    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            stage = await run_stage(http, Work(service.base_url, "m"), 2, 4, 30.0, SystemClock())
            assert stage.errors == 0
    prompts = [json.dumps(asked["request"]["messages"]) for asked in service.requests("llm")]
    assert len(prompts) == len(set(prompts)) == 8


@pytest.mark.parametrize(
    ("body", "tokens", "told"),
    [
        ('data:{"choices":[{"delta":{"content":"a"}}],"usage":null}\r\n\r\ndata:[DONE]\r\n\r\n', 1, ""),
        ('{"choices":[{"message":{"content":"a b"}}],"usage":{"completion_tokens":2}}', 2, ""),
        ('data: {"choices":["a",null,{"delta":{"content":"a"}}],"usage":"12"}\n\ndata: [DONE]\n\n', 1, ""),
        ('data: {"choices":[{"delta":{"content":"a"}}]}\n\n', 0, "the answer broke off"),
        ('data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"error":"gone"}\n\n', 0, "gone"),
        ('{"error":{"message":"no such model"}}', 0, "no such model"),
        ("<html>Sign in</html>", 0, "a web page, and no answer of a model"),
        ("", 0, "no whole answer within 1 s"),
    ],
)
async def test_odd_answers_are_counted_or_told(body: str, tokens: int, told: str) -> None:
    """The last one is a server that says nothing at all."""

    async def answer(_: web.Request) -> web.Response:
        if not body:
            await anyio.sleep_forever()
        kind = {"{": "application/json", "<": "text/html"}.get(body[0], "text/event-stream")
        return web.Response(text=body, content_type=kind)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    async with TestServer(app, shutdown_timeout=0.0) as server, aiohttp.ClientSession() as http:
        work = Work(f"http://127.0.0.1:{server.port}/v1", "x")
        stage = await run_stage(http, work, 1, 1, 0.5, SystemClock())
    assert (stage.error, stage.requests, stage.errors) == (told, 1, bool(told))
    assert round(stage.tokens_per_s * stage.seconds) == pytest.approx(tokens, rel=0.2)
