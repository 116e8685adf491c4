"""OpenAI's own Python client against a real server: what it sends, what it makes of our answers and errors."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.parley_process import ParleyProcess
from tests.scripted.process import ScriptedProcess

REPLY = "The capital of France is Paris. It lies on the river Seine, and some two million people live there."
ASK = [{"role": "user", "content": "what is the capital of france"}]


@pytest.fixture
def service(scripted_service: ScriptedProcess) -> ScriptedProcess:
    scripted_service.reset()
    scripted_service.script(first_token_ms=20, tokens_per_s=400)
    return scripted_service


@pytest.fixture
async def async_client(scripted_parley: ParleyProcess, service: ScriptedProcess) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=f"{scripted_parley.base_url}/v1", api_key=scripted_parley.admin_key, max_retries=0
    ) as client:
        yield client


# ---- chat -----------------------------------------------------------------------------------------------------


def test_a_whole_answer(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="scripted/any", messages=ASK)  # type: ignore[arg-type]
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")
    assert answer.choices[0].message.content == REPLY
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 10
    assert answer._request_id


def test_an_answer_in_pieces(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="scripted/any", messages=ASK, stream=True))  # type: ignore[arg-type]
    assert len(chunks) > 5
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == REPLY
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_in_the_stream(client: OpenAI) -> None:
    *chunks, last = client.chat.completions.create(
        model="scripted/any",
        messages=ASK,  # type: ignore[arg-type]
        stream=True,
        stream_options={"include_usage": True},
    )
    assert last.choices == [] and last.usage is not None and last.usage.completion_tokens > 5
    assert all(chunk.usage is None for chunk in chunks)


def test_the_sdks_own_accumulating_stream(client: OpenAI) -> None:
    with client.chat.completions.stream(model="scripted/any", messages=ASK) as stream:  # type: ignore[arg-type]
        final = stream.get_final_completion()
    assert final.choices[0].message.content == REPLY


def test_settings_reach_the_model(client: OpenAI, service: ScriptedProcess) -> None:
    answer = client.chat.completions.create(
        model="scripted/any",
        messages=[{"role": "developer", "content": "be brief"}, {"role": "user", "content": [
            {"type": "text", "text": "hello"}]}],
        temperature=0.25,
        top_p=0.5,
        seed=11,
        stop=["\n"],
        max_completion_tokens=3,
        frequency_penalty=0.5,
        presence_penalty=-0.5,
        extra_body={"parley_conversation": "another's", "parley_priority": "voice", "top_k": 7},
    )  # fmt: skip
    assert answer.choices[0].finish_reason == "length"
    asked = service.requests("llm")[-1]["request"]
    assert asked["temperature"] == 0.25 and asked["top_p"] == 0.5 and asked["seed"] == 11 and asked["top_k"] == 7
    assert asked["stop"] == ["\n"] and asked["max_completion_tokens"] == 3
    assert asked["frequency_penalty"] == 0.5 and asked["presence_penalty"] == -0.5
    assert [message["content"] for message in asked["messages"]] == ["be brief", "hello"]
    assert not [name for name in asked if name.startswith("parley_")]


def test_functions_of_old_clients(client: OpenAI, service: ScriptedProcess, parley_server: ParleyProcess) -> None:
    """They go on to servers elsewhere, which may know them; a slot, which does not, says so."""
    asked: dict[str, Any] = {"messages": ASK, "functions": [{"name": "weather", "parameters": {"type": "object"}}]}
    client.chat.completions.create(model="scripted/any", **asked)
    assert service.requests("llm")[-1]["request"]["functions"] == asked["functions"]
    with (
        OpenAI(base_url=f"{parley_server.base_url}/v1", api_key=parley_server.admin_key, max_retries=0) as ours,
        pytest.raises(openai.BadRequestError) as caught,
    ):
        ours.chat.completions.create(model="parley-mini", **asked)
    assert caught.value.param == "functions"


def test_tools(client: OpenAI, service: ScriptedProcess) -> None:
    service.script(tool_calls=[["weather", '{"city": "Paris"}']])
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    answer = client.chat.completions.create(model="scripted/any", messages=ASK, tools=[tool])  # type: ignore[arg-type, list-item]
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    assert choice.message.tool_calls is not None
    call = choice.message.tool_calls[0]
    assert call.type == "function" and call.function.name == "weather"
    again = [
        *ASK,
        choice.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    answer = client.chat.completions.create(model="scripted/any", messages=again, tools=[tool])  # type: ignore[arg-type, list-item]
    assert answer.choices[0].message.content == REPLY


async def test_many_at_once(async_client: AsyncOpenAI) -> None:
    import asyncio

    async def ask() -> str:
        stream = await async_client.chat.completions.create(model="scripted/any", messages=ASK, stream=True)  # type: ignore[arg-type]
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert await asyncio.gather(*(ask() for _ in range(20))) == [REPLY] * 20


async def test_hanging_up_reaches_the_model(async_client: AsyncOpenAI, service: ScriptedProcess) -> None:
    import asyncio

    service.script(tokens_per_s=5, replies=["word " * 500])
    stream = await async_client.chat.completions.create(model="scripted/any", messages=ASK, stream=True)  # type: ignore[arg-type]
    async for _ in stream:
        break
    await stream.close()
    asking = asyncio.create_task(async_client.chat.completions.create(model="scripted/any", messages=ASK))  # type: ignore[arg-type]
    while len(service.requests("llm")) < 2:
        await asyncio.sleep(0.05)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    for _ in range(1200):
        records = service.requests("llm")
        if len(records) == 2 and all(record["hung_up"] for record in records):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"the model went on: {records}")


# ---- errors ---------------------------------------------------------------------------------------------------


def test_a_wrong_key(scripted_parley: ParleyProcess) -> None:
    with (
        OpenAI(base_url=f"{scripted_parley.base_url}/v1", api_key="sk-wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()
    assert caught.value.code == "invalid_api_key"
    assert caught.value.type == "invalid_request_error"


def test_no_such_model(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=ASK)  # type: ignore[arg-type]
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=ASK, stream=True)  # type: ignore[arg-type]
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"temperature": 3}, "temperature"),
        ({"n": 17}, "n"),
        ({"extra_body": {"max_tokens": "many"}}, "max_tokens"),
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"seed": 10**30}, "seed"),
        ({"extra_body": {"logit_bias": {"x": 1}}}, "logit_bias"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
         "messages[0].content[0].image_url"),
    ],
)  # fmt: skip
def test_a_bad_request_names_its_field(client: OpenAI, fields: dict[str, object], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": "scripted/any", "messages": ASK, **fields})  # type: ignore[call-overload]
    assert caught.value.param == param


def test_an_error_in_the_middle_of_a_stream(client: OpenAI, service: ScriptedProcess) -> None:
    service.script(llm_fault={"kind": "error", "after": 3})
    pieces = []
    with pytest.raises(openai.APIError) as caught:
        stream = client.chat.completions.create(model="scripted/any", messages=ASK, stream=True)  # type: ignore[arg-type]
        pieces.extend(chunk.choices[0].delta.content for chunk in stream)
    assert len(pieces) == 3
    assert caught.value.code == "backend_failed"


def test_an_error_before_the_first_token_is_a_status(client: OpenAI, service: ScriptedProcess) -> None:
    service.script(llm_fault={"kind": "error", "status": 500})
    for stream in (False, True):
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="scripted/any", messages=ASK, stream=stream)  # type: ignore[arg-type, call-overload]
        assert caught.value.code == "backend_failed"
    service.script(llm_fault={"kind": "none"})
    answered_again(client)


def answered_again(client: OpenAI) -> None:
    """After failures in a row the backend is left alone for some seconds; the tests that follow share the server."""
    until_s = time.monotonic() + 60
    while True:
        try:
            client.chat.completions.create(model="scripted/any", messages=ASK)  # type: ignore[arg-type]
            return
        except openai.APIStatusError:
            assert time.monotonic() < until_s
            time.sleep(0.2)


# ---- models ---------------------------------------------------------------------------------------------------


def test_models(client: OpenAI) -> None:
    models = client.models.list().data
    assert models and all(model.object == "model" and model.owned_by for model in models)
    for model in models:
        assert client.models.retrieve(model.id).id == model.id
