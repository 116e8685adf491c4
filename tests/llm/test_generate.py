"""Generate over a real socket: streams, failover before the first event, errors, cancellation to the upstream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import aiohttp
import anyio
import pytest

from llm.errors import BackendFailed, BackendUnreachable, LlmError, UnknownModel
from llm.generate import Router
from llm.messages import GenerateRequest, Message
from llm.port import BackendConfig
from llm.routing.configured_backends import load_backends
from llm.settings import EngineSettings
from llm.stream import Finish, TextDelta
from llm.workers.launch import engine_arguments
from models.errors import BadInput
from tests.scripted.process import ScriptedProcess

HELLO = GenerateRequest((Message("user", "hello"),))


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def service(scripted_service: ScriptedProcess) -> ScriptedProcess:
    scripted_service.reset()
    scripted_service.script(first_token_ms=5, tokens_per_s=1000, replies=("One two three four five six.",))
    return scripted_service


def router(http: aiohttp.ClientSession, *urls: str, default: str = "", timeout_s: float = 60.0) -> Router:
    configs = [BackendConfig(f"b{n}", "openai", url, model="any", timeout_s=timeout_s) for n, url in enumerate(urls)]
    backends = load_backends(configs, http)
    return Router(lambda: backends, default)


async def collect(router: Router, request: GenerateRequest = HELLO) -> str:
    text = ""
    async with aclosing(router.generate(request)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                text += event.text
    assert isinstance(event, Finish)
    return text


async def test_a_reply_is_streamed(http: aiohttp.ClientSession, service: ScriptedProcess) -> None:
    assert await collect(router(http, service.base_url)) == "One two three four five six."


async def test_a_dead_backend_is_passed_over(
    http: aiohttp.ClientSession, service: ScriptedProcess, free_port: int
) -> None:
    both = router(http, f"http://127.0.0.1:{free_port}/v1", service.base_url)
    assert await collect(both) == "One two three four five six."


async def test_with_no_other_the_error_says_what_is_wrong(http: aiohttp.ClientSession, free_port: int) -> None:
    with pytest.raises(BackendUnreachable) as caught:
        await collect(router(http, f"http://127.0.0.1:{free_port}/v1"))
    assert caught.value.retryable and "base_url" in caught.value.hint


@pytest.mark.parametrize("fault", [{"kind": "error", "status": 500}, {"kind": "garbage"}, {"kind": "reset"}])
async def test_a_server_that_fails_before_it_said_anything_is_passed_over(
    http: aiohttp.ClientSession, service: ScriptedProcess, fault: dict[str, object]
) -> None:
    service.script(llm_fault={**fault, "times": 1})
    assert await collect(router(http, service.base_url, service.base_url)) == "One two three four five six."
    assert len(service.requests("llm")) == 2


async def test_a_request_that_is_blamed_is_not_tried_elsewhere(
    http: aiohttp.ClientSession, service: ScriptedProcess
) -> None:
    service.script(llm_fault={"kind": "error", "status": 400})
    with pytest.raises(BadInput):
        await collect(router(http, service.base_url, service.base_url))
    assert len(service.requests("llm")) == 1


@pytest.mark.parametrize("fault", ["reset", "error"])
async def test_a_stream_that_breaks_in_the_middle_is_not_begun_again(
    http: aiohttp.ClientSession, service: ScriptedProcess, fault: str
) -> None:
    service.script(llm_fault={"kind": fault, "after": 2})
    both = router(http, service.base_url, service.base_url)
    with pytest.raises(LlmError):
        await collect(both)
    assert len(service.requests("llm")) == 1


async def test_a_backend_that_hangs_is_given_up(http: aiohttp.ClientSession, service: ScriptedProcess) -> None:
    service.script(llm_fault={"kind": "hang", "times": 1})
    with anyio.fail_after(60):
        both = router(http, service.base_url, service.base_url, timeout_s=2.0)
        assert await collect(both) == "One two three four five six."


async def test_closing_the_stream_hangs_up_upstream(http: aiohttp.ClientSession, service: ScriptedProcess) -> None:
    service.script(tokens_per_s=5, replies=("one two three four five " * 100,))
    async with aclosing(router(http, service.base_url).generate(HELLO)) as events:
        async for _ in events:
            break
    with anyio.fail_after(60):
        while not service.requests("llm")[0]["hung_up"]:
            await anyio.sleep(0.05)


async def test_models_and_readiness(http: aiohttp.ClientSession, service: ScriptedProcess, free_port: int) -> None:
    both = router(http, f"http://127.0.0.1:{free_port}/v1", service.base_url)
    assert both.models() == () and not both.ready()
    await both.refresh()
    assert {info.backend for info in both.models()} == {"b1"}
    assert both.ready()
    dead = router(http, f"http://127.0.0.1:{free_port}/v1")
    await dead.refresh()
    assert not dead.ready()


async def test_unknown_models_and_backends(http: aiohttp.ClientSession, service: ScriptedProcess) -> None:
    with pytest.raises(UnknownModel):
        await collect(router(http, service.base_url), GenerateRequest(HELLO.messages, model="no-such-model"))
    with pytest.raises(LlmError, match="unknown type"):
        load_backends([BackendConfig("x", "carrier-pigeon", "http://127.0.0.1:1")], http)
    with pytest.raises(LlmError, match="not an address"):
        load_backends([BackendConfig("x", "openai", "http://[::1/v1")], http)


async def test_why_nobody_answers_is_said(http: aiohttp.ClientSession) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        with pytest.raises(BackendUnreachable, match="TLS") as caught:
            await collect(router(http, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"), HELLO)
    assert "http://" in caught.value.hint


async def test_a_key_and_a_user_in_the_address_are_refused_at_the_start(http: aiohttp.ClientSession) -> None:
    """Sent together, the HTTP library raises; and that at the first question, which nobody asked."""
    address = "http://somebody:secret@127.0.0.1:1/v1"
    with pytest.raises(LlmError, match="a key and a user"):
        load_backends([BackendConfig("b", "openai", address, api_key="sk-1")], http)
    assert load_backends([BackendConfig("b", "openai", address)], http)


async def test_a_server_that_is_no_model_server(http: aiohttp.ClientSession, service: ScriptedProcess) -> None:
    with pytest.raises((BackendFailed, UnknownModel)):
        await collect(router(http, service.base_url.replace("/v1", "/nowhere")))


@pytest.mark.parametrize(
    "url", ["ftp://localhost/v1", "localhost:11434/v1", "http://localhost:99999/v1", "http:///v1"]
)
async def test_an_address_that_is_none_says_how_one_looks(http: aiohttp.ClientSession, url: str) -> None:
    with pytest.raises(BackendFailed) as raised:
        await collect(router(http, url))
    assert "base_url" in raised.value.hint


async def test_a_line_break_in_a_key_never_becomes_a_header(http: aiohttp.ClientSession) -> None:
    config = BackendConfig("b", "openai", "http://localhost:1/v1", api_key="sk-1\r\nx-admin: yes", model="any")
    (backend,) = load_backends([config], http)
    with pytest.raises(BackendFailed) as raised:
        async with aclosing(backend.generate(HELLO)) as events:
            await anext(events)
    assert "api_key" in raised.value.hint and "x-admin" not in str(raised.value)


def test_engine_settings_become_a_command_line() -> None:
    assert engine_arguments(EngineSettings()) == ()
    assert engine_arguments(EngineSettings(ctx_size=4096, mlock=True)) == ("--ctx-size", "4096", "--mlock", "true")
