"""A language-model worker that is killed: who was being answered is told, it comes back, the next request works."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import anyio
import psutil
import pytest

from llm.backends.slot import SlotBackend
from llm.errors import PortTaken, WorkerDied
from llm.generate import Router
from llm.local_vectors import ask_worker
from llm.messages import GenerateRequest, Message, Sampling
from llm.port import BackendConfig
from llm.routing.route_trace import RouteTrace
from llm.settings import LlmSettings
from llm.slots.pool import SlotPool
from llm.stream import Finish, TextDelta
from llm.workers.process import WorkerProcess, WorkerSpec
from models.clock import SystemClock
from models.store import Store
from tests.llm.worker_process import model_path
from tests.ports import free_port_block

HELLO = GenerateRequest((Message("user", "hello"),), sampling=Sampling(temperature=0.0, max_tokens=8))
ENDLESS = GenerateRequest(
    (Message("user", "tell me everything"),),
    sampling=Sampling(temperature=0.0, logit_bias={token: -100.0 for token in range(8)}),
    conversation="c",
)


@pytest.fixture
def settings() -> Iterator[LlmSettings]:
    yield LlmSettings(slot_port_base=free_port_block(4), model=str(model_path()), ready_timeout_s=90.0)


@asynccontextmanager
async def running(settings: LlmSettings, tmp_path: Path) -> AsyncIterator[tuple[SlotPool, Router]]:
    async with aiohttp.ClientSession() as http, anyio.create_task_group() as group:
        pool = SlotPool(settings, Store(tmp_path), SystemClock(), http)
        router = Router(lambda: pool.backends, "")
        await group.start(pool.run)
        yield pool, router
        group.cancel_scope.cancel()


def worker_of(pool: SlotPool) -> WorkerProcess:
    return pool.slots[0].worker


def kill(worker: WorkerProcess) -> None:
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)


async def reply(router: Router, request: GenerateRequest = HELLO) -> str:
    text = ""
    async with aclosing(router.generate(request)) as events:
        async for event in events:
            text += event.text if isinstance(event, TextDelta) else ""
    assert isinstance(event, Finish) and event.usage is not None
    return text


async def test_killed_in_the_middle_of_a_reply(settings: LlmSettings, tmp_path: Path) -> None:
    async with running(settings, tmp_path) as (pool, router):
        before = await reply(router)
        heard = 0
        with pytest.raises(WorkerDied) as caught:
            async with aclosing(router.generate(ENDLESS)) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        heard += 1
                        if heard == 3:
                            kill(worker_of(pool))
        assert heard >= 3
        assert caught.value.retryable
        assert await reply(router) == before  # waits for the new one
        assert worker_of(pool).restarts == 1
        pid = worker_of(pool).pid
    assert pid is not None and not psutil.pid_exists(pid)


async def test_killed_while_idle_costs_the_next_request_only_time(settings: LlmSettings, tmp_path: Path) -> None:
    async with running(settings, tmp_path) as (pool, router):
        before = await reply(router)
        for _ in range(2):
            kill(worker_of(pool))
            assert await reply(router) == before
        assert worker_of(pool).restarts == 2


async def test_killed_while_idle_costs_vectors_only_time_too(settings: LlmSettings, tmp_path: Path) -> None:
    async with running(settings, tmp_path) as (pool, router):
        told: list[RouteTrace] = []
        before = await router.vectors("embeddings", {"input": "a"}, on_route=told.append)
        kill(worker_of(pool))
        assert (await router.vectors("embeddings", {"input": "a"}))["data"] == before["data"]
        assert told[0].line() == f"local/{pool.slots[0].model.name}; slot=1; strategy=failover"
        requests: list[RouteTrace] = []
        await reply(router, replace(HELLO, on_route=requests.append))
        assert requests[0].line() == told[0].line()


async def test_killed_with_many_in_flight_nobody_is_left_hanging(settings: LlmSettings, tmp_path: Path) -> None:
    """Who heard something is told; who was still waiting for a place is answered by the next worker."""
    async with running(settings, tmp_path) as (pool, router):
        await reply(router)
        pid = worker_of(pool).pid
        assert pid is not None
        told: list[WorkerDied] = []
        answered = 0
        begun: set[int] = set()
        long = replace(ENDLESS, sampling=replace(ENDLESS.sampling, max_tokens=400))

        async def one(number: int) -> None:
            nonlocal answered
            try:
                async with aclosing(router.generate(long)) as events:
                    async for event in events:
                        answered += isinstance(event, Finish)
                        if number not in begun:
                            begun.add(number)
                            if len(begun) == 3:
                                os.kill(pid, signal.SIGKILL)
            except WorkerDied as error:
                told.append(error)

        with anyio.fail_after(90):
            async with anyio.create_task_group() as group:
                for number in range(14):
                    group.start_soon(one, number)
        assert len(told) + answered == 14 and told and answered >= 4
        assert worker_of(pool).restarts == 1


DEADLY = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Deadly(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        print("asked", flush=True); os._exit(1)
    def log_message(self, *_): pass
HTTPServer(("127.0.0.1", int(sys.argv[1])), Deadly).serve_forever()
"""


async def test_a_request_that_kills_every_worker_is_asked_twice_and_not_for_ever(free_port: int) -> None:
    async with aiohttp.ClientSession() as http, anyio.create_task_group() as group:
        spec = WorkerSpec("deadly", (sys.executable, "-c", DEADLY, str(free_port)), free_port)
        worker = WorkerProcess(spec, SystemClock(), http)
        await group.start(worker.run)
        config = BackendConfig("slot-1", "slot", f"http://127.0.0.1:{free_port}/v1")
        with pytest.raises(WorkerDied):
            async with aclosing(SlotBackend(config, http, worker).generate(HELLO)) as events:
                async for _ in events:
                    pass
        group.cancel_scope.cancel()
    assert worker.log_tail().count("asked") == 2


async def test_vectors_that_kill_every_worker_are_asked_for_twice_and_not_for_ever(free_port: int) -> None:
    async with aiohttp.ClientSession() as http, anyio.create_task_group() as group:
        spec = WorkerSpec("deadly", (sys.executable, "-c", DEADLY, str(free_port)), free_port)
        worker = WorkerProcess(spec, SystemClock(), http)
        await group.start(worker.run)
        with pytest.raises(WorkerDied):
            await ask_worker(worker, http, "m", "embeddings", {"input": "a"}, 30.0)
        group.cancel_scope.cancel()
    assert worker.log_tail().count("asked") == 2


async def test_requests_wait_for_a_worker_that_is_still_loading(settings: LlmSettings, tmp_path: Path) -> None:
    async with running(settings, tmp_path) as (pool, router):
        assert not pool.ready()
        assert await reply(router)
        assert pool.ready()
        await router.refresh()
        assert router.ready()


async def test_a_closed_stream_leaves_the_worker_idle(settings: LlmSettings, tmp_path: Path) -> None:
    async with running(settings, tmp_path) as (pool, router), aiohttp.ClientSession() as http:
        async with aclosing(router.generate(ENDLESS)) as events:
            async for _ in events:
                break

        async def rows() -> list[dict[str, object]]:
            async with http.get(f"{worker_of(pool).base_url}/slots") as answer:
                slots: list[dict[str, object]] = await answer.json()
            return slots

        with anyio.fail_after(60):
            while any(row["is_processing"] for row in await rows()):
                await anyio.sleep(0.01)
        assert any(row["conversation"] for row in await rows())
        await router.forget("c")
        assert not any(row["conversation"] or row["is_processing"] for row in await rows())


async def test_a_model_that_cannot_be_loaded_is_said_and_not_waited_for(
    settings: LlmSettings, tmp_path: Path
) -> None:
    whole = model_path().read_bytes()
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(whole.replace(b"blk.0.attn_q.weight", b"blk.0.attn_z.weight"))
    changed = LlmSettings(slot_port_base=settings.slot_port_base, model=str(damaged), ready_timeout_s=90.0)
    async with running(changed, tmp_path) as (pool, router):
        with pytest.raises(WorkerDied) as caught:
            await reply(router)
        assert "damaged.gguf" in caught.value.hint or "attn_q" in caught.value.hint
        with pytest.raises(WorkerDied):
            await pool.ensure_ready(30.0)


async def test_a_taken_port_is_named(settings: LlmSettings, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.slot_port_base))
        other.listen()
        alone = replace(settings, slots=1)
        async with running(alone, tmp_path) as (_, router):
            with pytest.raises(PortTaken, match=str(settings.slot_port_base)) as caught:
                await reply(router)
    assert "PARLEY_SLOT_PORT_BASE" in caught.value.hint
