from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import numpy as np
import pytest

from models.errors import BadInput
from voice.errors import TtsFailed
from voice.port import SpeakRequest, SpeechChunk, VoiceInfo
from voice.worker import model_thread
from voice.worker.engine import Speaker, spoken_language
from voice.worker.model_thread import BATCH, LIVE, EngineBusy, ModelThread


@pytest.fixture
def thread() -> Iterator[ModelThread]:
    thread = ModelThread("model-of-a-test")
    yield thread
    thread.stop()


class Gate:
    """A job that holds the thread until it is opened."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.entered.set()
        self.open.wait(60)


async def test_it_returns_and_raises_what_the_job_does(thread: ModelThread) -> None:
    thread.start()
    assert await thread.run(lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    assert await thread.run(threading.get_ident) == await thread.run(threading.get_ident) != threading.get_ident()


async def test_live_jobs_go_first_and_each_kind_in_order(thread: ModelThread) -> None:
    done: list[str] = []
    gate = Gate()
    async with anyio.create_task_group() as tasks:
        thread.start()
        tasks.start_soon(thread.run, gate)
        await anyio.to_thread.run_sync(gate.entered.wait)
        for name, priority in (("batch 1", BATCH), ("live 1", LIVE), ("batch 2", BATCH), ("live 2", LIVE)):
            tasks.start_soon(thread.run, lambda name=name: done.append(name), priority)
            await anyio.wait_all_tasks_blocked()
        assert thread.waiting == 4
        gate.open.set()
    assert done == ["live 1", "live 2", "batch 1", "batch 2"]


async def test_a_cancelled_job_that_has_not_begun_never_begins(thread: ModelThread) -> None:
    begun: list[int] = []
    gate = Gate()
    async with anyio.create_task_group() as tasks:
        thread.start()
        tasks.start_soon(thread.run, gate)
        await anyio.to_thread.run_sync(gate.entered.wait)
        with anyio.move_on_after(0.01) as scope:
            await thread.run(lambda: begun.append(1))
        assert scope.cancelled_caught
        gate.open.set()
    await thread.run(lambda: None)
    assert begun == []


async def test_too_many_jobs_are_refused(thread: ModelThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_thread, "MAX_WAITING", 3)
    for _ in range(3):
        thread.post(lambda: None)
    with pytest.raises(EngineBusy) as error:
        await thread.run(lambda: None)
    assert error.value.retryable
    thread.start()


class Counting:
    """A synthesiser that counts to `upto`, and notes how far it came and that it was closed."""

    def __init__(self, upto: int, fail_at: int = -1) -> None:
        self.upto, self.fail_at = upto, fail_at
        self.made, self.closed = 0, False

    def synthesize(self, text: str, voice: str, speed: float, language: str | None) -> Iterator[SpeechChunk]:
        try:
            for index in range(self.upto):
                if index == self.fail_at:
                    raise RuntimeError(f"cannot say {text}")
                self.made += 1
                yield SpeechChunk(np.full(10, index, np.int16), 16_000)
        finally:
            self.closed = True

    def voices(self) -> tuple[VoiceInfo, ...]:
        return ()


@asynccontextmanager
async def loaded(engine: Counting) -> AsyncIterator[Speaker]:
    speaker = Speaker("counting", None, lambda: engine)
    assert not speaker.ready
    await speaker.load()
    assert speaker.ready
    yield speaker
    speaker.thread.stop()


async def test_speech_that_is_closed_stops_being_made() -> None:
    engine = Counting(1000)
    async with loaded(engine) as speaker:
        speech = speaker.speak(SpeakRequest("hello"))
        assert (await anext(speech)).pcm[0] == 0
        assert (await anext(speech)).pcm[0] == 1
        await speech.aclose()
        await speaker.thread.run(lambda: None)
    assert engine.closed
    assert engine.made == 2


async def test_two_speeches_take_turns() -> None:
    order: list[str] = []

    async def listen(speaker: Speaker, name: str) -> None:
        async for chunk in speaker.speak(SpeakRequest(name)):
            assert len(chunk.pcm) == 10
            order.append(name)

    async with loaded(Counting(5)) as speaker, anyio.create_task_group() as tasks:
        tasks.start_soon(listen, speaker, "a")
        tasks.start_soon(listen, speaker, "b")
    assert sorted(order) == ["a"] * 5 + ["b"] * 5
    assert "a" in order[5:] or "b" in order[5:]
    assert order[:5] != ["a"] * 5


async def test_a_failing_engine_is_our_error_without_the_text() -> None:
    async with loaded(Counting(5, fail_at=1)) as speaker:
        with pytest.raises(TtsFailed) as error:
            async for _ in speaker.speak(SpeakRequest("a secret")):
                pass
    assert "secret" not in str(error.value)
    assert error.value.retryable


async def test_before_it_is_loaded_it_says_so() -> None:
    speaker = Speaker("counting", None, lambda: Counting(1))
    with pytest.raises(TtsFailed, match="loading"):
        await anext(speaker.speak(SpeakRequest("a")))


async def test_what_the_engine_refuses_stays_what_it_is() -> None:
    def refuse() -> None:
        raise BadInput("no such voice", param="voice")

    async with loaded(Counting(1)) as speaker:
        with pytest.raises(BadInput):
            await speaker.run(refuse)


@pytest.mark.parametrize("asked", [None, "", "auto"])
def test_auto_leaves_the_language_to_the_engine(asked: str | None) -> None:
    assert spoken_language(asked) is None
    assert spoken_language("de") == "de"
