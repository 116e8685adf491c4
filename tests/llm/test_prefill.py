"""What was read ahead, and what a dropped reply had read, is not read again. The bundled model, by its own count."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import aiohttp

from llm.generate import Router
from llm.messages import GenerateRequest, Message, Priority, Sampling
from llm.port import BackendConfig
from llm.routing.configured_backends import load_backends
from llm.stream import Finish, TextDelta, Usage
from tests.llm.slot_house import SlotHouse, slot_house
from tests.llm.worker_process import model_path
from tests.scripted.process import ScriptedProcess

SYSTEM = Message("system", "You are a friendly voice assistant. Answer in one or two short spoken sentences. " * 4)
TEMPLATE = 16
"""Tokens of the chat template about a user's words, and the last word's, which may be cut otherwise."""


def asking(words: str) -> GenerateRequest:
    messages = (SYSTEM, Message("user", words)) if words else (SYSTEM,)
    sampling = Sampling(temperature=0.0, max_tokens=8)
    return GenerateRequest(messages, "a", sampling, conversation="talk", priority=Priority.VOICE)


@asynccontextmanager
async def ready_house(home: Path) -> AsyncIterator[SlotHouse]:
    async with slot_house(home, ("a",), file=model_path(), model="a") as opened:
        await opened.until(lambda: opened.slot("a") is not None)
        await reply(opened.router, GenerateRequest((Message("user", "hello"),), "a", Sampling(max_tokens=1)))
        await opened.router.refresh()
        yield opened


async def reply(router: Router, request: GenerateRequest) -> tuple[str, Usage]:
    text = ""
    async with aclosing(router.generate(request)) as events:
        async for event in events:
            text += event.text if isinstance(event, TextDelta) else ""
    assert isinstance(event, Finish) and event.usage is not None
    return text, event.usage


async def test_what_was_read_ahead_is_not_read_again(tmp_path: Path) -> None:
    async with ready_house(tmp_path) as house:
        fresh, first = await reply(house.router, asking("please turn on the light in the kitchen"))
        await house.router.forget("talk")
        await house.router.prefill(asking(""))
        await house.router.prefill(asking("please turn on the"))
        text, usage = await reply(house.router, asking("please turn on the light in the kitchen"))
        assert text == fresh, "the same answer"
        words = usage.prompt_tokens - len("please turn on the light in the kitchen".split())
        assert usage.cached_tokens >= words - TEMPLATE > 50 and first.prompt_tokens == usage.prompt_tokens


async def test_a_second_revision_costs_its_new_tokens_only(tmp_path: Path) -> None:
    """The first one is dropped in the middle of its reply, as when the speaker goes on."""
    async with ready_house(tmp_path) as house:
        async with aclosing(house.router.generate(asking("please turn on the light"))) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    break
        _, usage = await reply(house.router, asking("please turn on the light in the kitchen and in the hall"))
        assert usage.prompt_tokens - usage.cached_tokens <= TEMPLATE + len("in the kitchen and in the hall".split())


async def test_nothing_is_asked_of_a_server_that_is_not_ours(scripted_service: ScriptedProcess) -> None:
    scripted_service.reset()
    async with aiohttp.ClientSession() as http:
        backends = load_backends([BackendConfig("paid", "openai", scripted_service.base_url, model="any")], http)
        router = Router(lambda: backends, "")
        await router.refresh()
        await router.prefill(GenerateRequest((SYSTEM,), "paid/any"))
        await router.prefill(GenerateRequest((SYSTEM,), "no/such-model"))
    assert scripted_service.requests("llm") == []
