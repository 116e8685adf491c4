"""A server that takes connections and never answers is nobody else's trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

import aiohttp
import anyio
import pytest
import structlog

from llm.backends import auto
from llm.errors import BackendFailed, BackendUnreachable, LlmError
from llm.generate import Router
from llm.messages import GenerateRequest, Message
from llm.port import BackendConfig
from llm.routing.configured_backends import load_backends
from llm.routing.router import Candidate, route
from llm.stream import TextDelta
from tests.scripted.backend_servers import serving
from tests.scripted.process import ScriptedProcess

HELLO = GenerateRequest((Message("user", "hello"),))


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


class Tomb:
    """It counts who came."""

    def __init__(self) -> None:
        self.came, self.url = 0, ""
        self._writers: list[asyncio.StreamWriter] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        self._writers.append(writer)
        with suppress(OSError):
            while await reader.read(4096):
                pass
        writer.close()


@pytest.fixture
async def tomb() -> AsyncIterator[Tomb]:
    found = Tomb()
    server = await asyncio.start_server(found.take, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield found
    server.close()
    for writer in found._writers:
        writer.close()


async def said(router: Router, model: str) -> str:
    text = ""
    async with aclosing(router.generate(GenerateRequest(HELLO.messages, model))) as events:
        async for event in events:
            text += event.text if isinstance(event, TextDelta) else ""
    return text


def test_within_an_alias_those_known_to_be_away_come_last() -> None:
    away, unasked, well = (
        Candidate("away", "m", (), False),
        Candidate("new", "m", (), None),
        Candidate("w", "m", (), True),
    )
    found = route("a", "", (away, unasked, well), aliases={"a": "away/m, new/m, w/m"})
    assert [choice.backend for choice in found] == ["new", "w", "away"]


@pytest.mark.parametrize("kind", ["openai", "auto"])
async def test_one_that_hangs_is_asked_last_and_waited_for_by_nobody(
    http: aiohttp.ClientSession,
    tomb: Tomb,
    scripted_service: ScriptedProcess,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    scripted_service.reset()
    scripted_service.script(first_token_ms=5, tokens_per_s=1000, replies=("Here.",))
    monkeypatch.setattr("llm.generate.PROBE_S", 0.5)
    monkeypatch.setattr(auto, "WITHIN_S", 0.3)
    monkeypatch.setattr(auto, "SLOW_S", 0.1)
    configs = [
        BackendConfig("tomb", kind, f"{tomb.url}/v1", model="m"),
        BackendConfig("well", "openai", scripted_service.base_url, model="m"),
    ]
    backends = load_backends(configs, http)
    router = Router(lambda: backends, "", aliases={"both": "tomb/m, well/m"})
    await router.refresh()
    asked = tomb.came
    for _ in range(3):
        assert await said(router, "both") == "Here."
    assert tomb.came == asked


async def test_one_probe_is_for_all_and_a_slow_failure_is_not_repeated_at_once(
    http: aiohttp.ClientSession, tomb: Tomb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "WITHIN_S", 0.4)
    monkeypatch.setattr(auto, "SLOW_S", 0.1)
    monkeypatch.setattr(auto, "FAIL_FAST_S", 60.0)
    backend = auto.AutoBackend(BackendConfig("tomb", "auto", tomb.url, model="m"), http)
    failed: list[LlmError] = []

    async def ask() -> None:
        with pytest.raises(BackendUnreachable) as caught:
            await backend.resolved()
        failed.append(caught.value)

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(ask)
    once = tomb.came
    await ask()  # within the minute: not asked again
    assert len(failed) == 9 and tomb.came == once
    assert len({id(error) for error in failed}) == 9  # each has its own trace


async def test_where_the_one_who_asks_goes_away_the_next_one_asks(
    http: aiohttp.ClientSession, tomb: Tomb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "WITHIN_S", 2.0)
    backend = auto.AutoBackend(BackendConfig("tomb", "auto", tomb.url, model="m"), http)
    async with anyio.create_task_group() as tasks:

        async def impatient() -> None:
            with anyio.move_on_after(0.1):
                await backend.resolved()

        async def patient() -> None:
            with pytest.raises(BackendUnreachable):
                await backend.resolved()

        tasks.start_soon(impatient)
        tasks.start_soon(patient)


async def test_the_log_has_who_went_away_who_came_back_and_who_is_left_alone(http: aiohttp.ClientSession) -> None:
    async with serving("openai") as server:
        backends = load_backends([BackendConfig("cloud", "openai", f"{server.url}/v1", model="m")], http)
        router = Router(lambda: backends, "")
        await router.refresh()
        server.answers["/v1/chat/completions"] = (500, b"oops")
        with structlog.testing.capture_logs() as logs:
            server.failing = {"/v1/models": 500}
            await router.refresh()
            await router.refresh()
            server.failing = {}
            await router.refresh()
            for _ in range(3):
                with pytest.raises(BackendFailed):
                    await said(router, "cloud/m")
    told = [row["event"] for row in logs if row["event"] in ("backend.away", "backend.back", "backend.left_alone")]
    assert told == ["backend.away", "backend.back", "backend.left_alone"]
