"""What models can besides text, and requests that go to one that can."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from llm.errors import ContextTooLong
from llm.generate import Router
from llm.messages import AudioPart, GenerateRequest, ImagePart, Message, TextPart
from llm.port import BackendConfig
from llm.routing.abilities import abilities_of, any_of, needs_of, only
from llm.routing.configured_backends import load_backends
from llm.stream import TextDelta
from models.errors import BadInput
from tests.scripted.backend_servers import Served, serving

HELLO = GenerateRequest((Message("user", "hello"),))
SEEN = GenerateRequest((Message("user", "look", parts=(TextPart("look"), ImagePart(b"png"))),))


@pytest.mark.parametrize(
    ("row", "able"),
    [
        ({"id": "m"}, {}),
        (
            {"capabilities": {"vision": True, "function_calling": False, "completion_chat": True}},
            {"vision": True, "tools": False},
        ),
        (
            {"type": "llm", "capabilities": {"vision": False, "trained_for_tool_use": True}},
            {"vision": False, "tools": True},
        ),
        ({"type": "vlm", "capabilities": ["tool_use"]}, {"vision": True, "tools": True}),
        ({"architecture": {"input_modalities": ["text", "image"]}}, {"vision": True, "audio": False}),
        ({"capabilities": ["completion", "tools"]}, only(["tools"])),
        ({"capabilities": ["completion", "multimodal"]}, {"tools": False, "embedding": False}),
        ({"capabilities": 7, "architecture": [], "type": None}, {}),
        ({"capabilities": [None, {}, "vision"]}, {"vision": True}),
    ],
)
def test_every_servers_words_are_understood(row: dict[str, Any], able: dict[str, bool]) -> None:
    assert abilities_of(row) == able


def test_what_a_request_needs() -> None:
    assert needs_of(HELLO) == frozenset()
    assert needs_of(SEEN) == {"vision"}
    heard = replace(HELLO, messages=(Message("user", "", parts=(AudioPart(b"wav"),)),), tools=({"type": "function"},))
    assert needs_of(heard) == {"audio", "tools"}


def test_of_several_models_one_that_can_is_enough() -> None:
    assert any_of([{"vision": False}, {"vision": True}]) == {"vision": True}
    assert any_of([{"vision": False}, {"vision": False}]) == {"vision": False}
    assert any_of([{"vision": False}, {}]) == {} == any_of([])


CHUNK = {"model": "m", "choices": [{"index": 0, "delta": {"content": "a cat"}, "finish_reason": "stop"}]}
ANSWER = b"data: " + json.dumps(CHUNK).encode() + b"\n\ndata: [DONE]\n\n"


async def said(router: Router, request: GenerateRequest) -> str:
    text = ""
    async with aclosing(router.generate(request)) as events:
        async for event in events:
            text += event.text if isinstance(event, TextDelta) else ""
    return text


async def two(stack: AsyncExitStack, first: str, refusal: dict[str, Any]) -> tuple[Served, Served, list[Any]]:
    """The first, of that name, refuses everything with a 400; "cloud" answers."""
    refuses, answers = [await stack.enter_async_context(serving("openai")) for _ in range(2)]
    refuses.answers["/v1/chat/completions"] = (400, json.dumps({"error": refusal}).encode())
    answers.answers["/v1/chat/completions"] = (200, ANSWER)
    http = await stack.enter_async_context(aiohttp.ClientSession())
    configs = [
        BackendConfig(name, "openai", f"{server.url}/v1", model="m")
        for name, server in ((first, refuses), ("cloud", answers))
    ]
    return refuses, answers, list(load_backends(configs, http))


async def test_a_server_that_refuses_an_image_is_not_the_last_word() -> None:
    async with AsyncExitStack() as stack:
        refuses, answers, backends = await two(stack, "blind", {"message": "this model takes no image input"})
        router = Router(lambda: backends, "")
        await router.refresh()
        assert await said(router, SEEN) == "a cat"
        with pytest.raises(BadInput):  # nothing is shown: the request itself is wrong
            await said(router, HELLO)
        refuses.answers["/v1/chat/completions"] = (400, b'{"error": {"message": "temperature: too hot"}}')
        with pytest.raises(BadInput):
            await said(router, SEEN)
    assert len(answers.posted) == 1


async def test_one_that_is_known_to_see_is_asked_at_once() -> None:
    async with AsyncExitStack() as stack:
        refuses, _, backends = await two(stack, "blind", {"message": "no images"})
        listed = [{"id": "m", "architecture": {"input_modalities": ["text"]}}]
        refuses.gets = {"/v1/models": {"data": listed}}
        router = Router(lambda: backends, "")
        await router.refresh()
        assert await said(router, SEEN) == "a cat"
    assert refuses.posted == []


async def test_settings_say_what_a_server_does_not() -> None:
    async with AsyncExitStack() as stack:
        refuses, answers, backends = await two(stack, "blind", {"message": "no"})
        configs = [replace(backend.config, capabilities=("tools",)) for backend in backends[:1]]
        http = await stack.enter_async_context(aiohttp.ClientSession())
        told = [*load_backends(configs, http), backends[1]]
        assert await said(Router(lambda: told, ""), SEEN) == "a cat"
    assert refuses.posted == [] and len(answers.posted) == 1


TOO_LONG = {"message": "the request exceeds the available context size", "code": "context_length_exceeded"}


@pytest.mark.parametrize(("model", "default"), [("", ""), ("m", ""), ("", "m")])
async def test_what_is_too_long_for_our_slots_stays_here_unless_somebody_said_otherwise(
    model: str, default: str
) -> None:
    async with AsyncExitStack() as stack:
        _, answers, backends = await two(stack, "local", TOO_LONG)
        request = replace(HELLO, model=model)
        with pytest.raises(ContextTooLong):
            await said(Router(lambda: backends, default), request)
        assert answers.posted == []
        assert await said(Router(lambda: backends, default, spill=True), request) == "a cat"


@pytest.mark.parametrize(("model", "default"), [("long", ""), ("", "long")])
async def test_an_alias_says_so(model: str, default: str) -> None:
    async with AsyncExitStack() as stack:
        _, _, backends = await two(stack, "local", TOO_LONG)
        router = Router(lambda: backends, default, aliases={"long": "local/m, cloud/m"})
        assert await said(router, replace(HELLO, model=model)) == "a cat"
