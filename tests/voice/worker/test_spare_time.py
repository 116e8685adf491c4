"""Work that nobody waits for, in the worker of a recogniser: it is done when nothing else is to be done.

The engine is scripted, so that a job can stand still for as long as a test wants.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable

import aiohttp
import anyio
import pytest

from tests.web.served_here import serving
from voice.port import Pcm, Transcript
from voice.stt.remote import PATH, RemoteStt
from voice.worker.app import create_app
from voice.worker.engine import Recogniser
from voice.worker.model_thread import BATCH, SPARE


class Gate:
    """A job that holds the thread until it is opened."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.entered.set()
        self.open.wait(60)


class Scripted:
    """An engine, and its only stream. `work` is done in spare time."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.work: Callable[[Callable[[], bool]], None] = lambda wanted: self.done.append("spare")

    def open(self, language: str | None) -> Scripted:
        return self

    def feed(self, pcm: Pcm) -> None:
        self.done.append("feed")

    def partial(self) -> str:
        self.done.append("partial")
        return "so far"

    def transcribe(self) -> Transcript:
        self.done.append("transcribe")
        return Transcript("all")

    def close(self) -> None: ...

    def use_spare_time(self, wanted: Callable[[], bool]) -> None:
        self.work(wanted)


@pytest.fixture
def engine() -> Scripted:
    return Scripted()


@pytest.fixture
async def recogniser(engine: Scripted) -> AsyncIterator[Recogniser]:
    recogniser = Recogniser("scripted", None, lambda: engine)
    await recogniser.load()
    yield recogniser
    recogniser.thread.stop()


async def test_it_comes_after_all_other_jobs_and_once(recogniser: Recogniser, engine: Scripted) -> None:
    gate = Gate()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(recogniser.run, gate)
        await anyio.to_thread.run_sync(gate.entered.wait)
        for _ in range(3):
            tasks.start_soon(recogniser.use_spare_time)
            await anyio.wait_all_tasks_blocked()
        assert recogniser.thread.waiting == 1
        for name, priority in (("batch", BATCH), ("live", 0)):
            tasks.start_soon(recogniser.run, lambda name=name: engine.done.append(name), priority)
            await anyio.wait_all_tasks_blocked()
        gate.open.set()
    assert engine.done == ["live", "batch", "spare"]
    await recogniser.use_spare_time()
    assert engine.done[-2:] == ["spare", "spare"]


async def test_none_is_used_while_somebody_waits_for_a_transcript(recogniser: Recogniser, engine: Scripted) -> None:
    recogniser.awaited = 1
    await recogniser.use_spare_time()
    assert engine.done == []
    recogniser.awaited = 0
    await recogniser.use_spare_time()
    assert engine.done == ["spare"]


async def test_what_fails_there_harms_nobody(recogniser: Recogniser, engine: Scripted) -> None:
    def fail(wanted: Callable[[], bool]) -> None:
        raise ValueError("a secret")

    engine.work = fail
    await recogniser.use_spare_time()
    await recogniser.use_spare_time()
    assert (await recogniser.transcribe(engine)).text == "all"


@pytest.fixture
async def url(recogniser: Recogniser) -> AsyncIterator[str]:
    """Of a worker in this process."""
    async with serving(create_app(recogniser, lambda error: None)) as url:
        yield url


@pytest.fixture
async def http(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not condition():
            await anyio.sleep(0.01)


async def test_who_asks_for_a_partial_transcript_gives_time_for_the_next(
    recogniser: Recogniser, engine: Scripted, http: aiohttp.ClientSession, url: str
) -> None:
    async with http.ws_connect(url + PATH) as socket:
        await socket.send_json({"type": "partial", "id": 1})
        assert (await socket.receive_json())["text"] == "so far"
        await socket.send_bytes(b"\0\0")
        await until(lambda: engine.done == ["partial", "feed", "spare"])
        await socket.send_bytes(b"\0\0")
        await socket.send_json({"type": "transcribe", "id": 2})
        assert (await socket.receive_json())["text"] == "all"
    assert engine.done == ["partial", "feed", "spare", "feed", "transcribe"]
    assert recogniser.awaited == 0


async def test_no_time_is_given_between_a_look_and_the_transcript(
    recogniser: Recogniser, engine: Scripted, http: aiohttp.ClientSession, url: str
) -> None:
    async with http.ws_connect(url + PATH) as socket:
        await socket.send_bytes(b"\0\0")
        for kind in ("partial", "transcribe", "partial", "transcribe"):
            await socket.send_json({"type": kind, "id": 1})
            await socket.receive_json()
            await recogniser.run(lambda: None, SPARE)
    assert engine.done == ["feed", "partial", "transcribe", "partial", "transcribe"]


async def test_the_work_is_told_that_a_transcript_is_wanted(
    recogniser: Recogniser, engine: Scripted, http: aiohttp.ClientSession, url: str
) -> None:
    seen: list[bool] = []
    begun = threading.Event()

    def work(wanted: Callable[[], bool]) -> None:
        seen.append(wanted())
        begun.set()
        for _ in range(12_000):
            if wanted():
                break
            threading.Event().wait(0.005)
        seen.append(wanted())

    engine.work = work
    async with http.ws_connect(url + PATH) as one, http.ws_connect(url + PATH) as other:
        await one.send_json({"type": "partial", "id": 1})
        assert (await one.receive_json())["type"] == "partial"
        await one.send_bytes(b"\0\0")
        await anyio.to_thread.run_sync(begun.wait, 60)
        await other.send_json({"type": "transcribe", "id": 1})
        assert (await other.receive_json())["text"] == "all"
    assert seen == [False, True]
    assert recogniser.awaited == 0


async def test_a_transcript_does_not_stand_behind_a_partial_one_of_its_stream(
    recogniser: Recogniser, engine: Scripted, http: aiohttp.ClientSession, url: str
) -> None:
    """A job of another stream has the thread. The transcript has its place behind that job at once, although a
    partial one that was asked for before waits for it, too."""

    async def address() -> str:
        return url

    async def open_when_it_waits() -> None:
        await until(lambda: recogniser.awaited == 1 and recogniser.thread.waiting == 2)
        gate.open.set()

    async def cancel_when_it_waits(asking: anyio.CancelScope) -> None:
        await until(lambda: recogniser.thread.waiting == 1)
        asking.cancel()

    stream = await RemoteStt(http, address, "scripted", streaming=True, timeout_s=60).open(None)
    gate = Gate()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(recogniser.run, gate)
        await anyio.to_thread.run_sync(gate.entered.wait)
        with anyio.CancelScope() as asking:
            tasks.start_soon(cancel_when_it_waits, asking)
            await stream.partial()
        assert asking.cancelled_caught
        tasks.start_soon(open_when_it_waits)
        assert (await stream.transcribe()).text == "all"
    assert engine.done == ["transcribe"]
    await stream.aclose()


async def test_a_client_that_leaves_is_no_longer_waited_for(
    recogniser: Recogniser, engine: Scripted, http: aiohttp.ClientSession, url: str
) -> None:
    gate = Gate()
    async with anyio.create_task_group() as tasks:
        async with http.ws_connect(url + PATH) as socket:
            tasks.start_soon(recogniser.run, gate)
            await anyio.to_thread.run_sync(gate.entered.wait)
            for ask_id in range(3):
                await socket.send_json({"type": "transcribe", "id": ask_id})
            await until(lambda: recogniser.awaited == 3)
        await until(lambda: recogniser.awaited == 0)
        gate.open.set()
