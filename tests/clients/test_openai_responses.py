"""OpenAI's own Python client and the Responses API: every event and object has the fields that its types ask for."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response
from pydantic import BaseModel

from tests.parley_process import ParleyProcess
from tests.scripted.process import ScriptedProcess

REPLY = "The capital of France is Paris. It lies on the river Seine, and some two million people live there."
ASK = "what is the capital of france"
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "description": "the weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALL = ["weather", '{"city": "Paris"}']


@pytest.fixture
def service(scripted_service: ScriptedProcess) -> ScriptedProcess:
    scripted_service.reset()
    scripted_service.script(first_token_ms=20, tokens_per_s=400)
    return scripted_service


def _respond(client: OpenAI, **fields: Any) -> Response:
    response = client.responses.create(**{"model": "scripted/any", "input": ASK, **fields})
    Response.model_validate(response.to_dict())
    return response


def _stream(client: OpenAI, **fields: Any) -> list[Any]:
    events = list(client.responses.create(**{"model": "scripted/any", "input": ASK, "stream": True, **fields}))
    for event in events:
        type(event).model_validate(event.to_dict())
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    return events


def _messages(service: ScriptedProcess) -> list[tuple[str, str]]:
    """(role, content) of what the model was asked last."""
    found = service.requests("llm")[-1]["request"]["messages"]
    return [(message["role"], message["content"]) for message in found]


def test_a_whole_answer(client: OpenAI, service: ScriptedProcess) -> None:
    answer = _respond(client, instructions="be brief", max_output_tokens=200, top_p=0.5, extra_body={"seed": 7})
    assert answer.status == "completed" and answer.output_text == REPLY
    assert answer.usage is not None and answer.usage.total_tokens > 20
    assert _messages(service) == [("system", "be brief"), ("user", ASK)]
    asked = service.requests("llm")[-1]["request"]
    assert (asked["max_completion_tokens"], asked["top_p"], asked["seed"]) == (200, 0.5, 7)


def test_an_answer_in_events(client: OpenAI) -> None:
    events = _stream(client)
    kinds = [event.type for event in events]
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == REPLY
    assert kinds[2:4] == ["response.output_item.added", "response.content_part.added"]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert events[-1].response.output_text == REPLY and events[-1].response.status == "completed"


async def test_the_last_event_ends_the_stream(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    """Some clients take every `data:` line for JSON: there is no [DONE]."""
    body = {"model": "scripted/any", "input": ASK, "stream": True}
    async with (
        aiohttp.ClientSession(scripted_parley.base_url, headers=scripted_parley.headers) as http,
        http.post("/v1/responses", json=body) as answer,
    ):
        blocks = (await answer.text()).split("\n\n")
    assert blocks.pop() == ""
    lines = [block.split("\n")[-2:] for block in blocks]
    assert all(name == f"event: {json.loads(data[6:])['type']}" for name, data in lines)


def test_a_conversation_by_its_last_answer(client: OpenAI, service: ScriptedProcess) -> None:
    first = _respond(client)
    second = _respond(client, input="and of italy", previous_response_id=first.id, instructions="be kind")
    assert _messages(service) == [
        ("system", "be kind"), ("user", ASK), ("assistant", REPLY), ("user", "and of italy"),
    ]  # fmt: skip
    items = list(client.responses.input_items.list(second.id, order="asc", limit=2))
    assert [getattr(item, "role", None) for item in items] == ["user", "assistant", "user"]
    assert client.responses.retrieve(second.id).output_text == second.output_text
    _respond(client, input=[{"type": "item_reference", "id": items[1].id}, {"role": "user", "content": "thanks"}])
    assert _messages(service) == [("assistant", REPLY), ("user", "thanks")]
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_what_shall_not_be_kept_is_not(client: OpenAI) -> None:
    response = _respond(client, store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    with pytest.raises(openai.BadRequestError) as caught:
        _respond(client, previous_response_id=response.id)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


@pytest.mark.parametrize("kept", [True, False])
def test_tools(client: OpenAI, service: ScriptedProcess, kept: bool) -> None:
    service.script(tool_calls=[CALL])
    first = _respond(client, tools=[WEATHER], store=kept)
    (call,) = first.output
    assert call.type == "function_call" and (call.name, call.arguments) == tuple(CALL)
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    if kept:
        last = _respond(client, input=[result], tools=[WEATHER], previous_response_id=first.id)
    else:
        last = _respond(client, input=[{"role": "user", "content": ASK}, call.to_dict(), result], tools=[WEATHER])
    assert last.output_text == REPLY
    asked = service.requests("llm")[-1]["request"]
    assert asked["tools"][0]["function"]["name"] == "weather"
    user, assistant, tool = asked["messages"]
    assert user["content"] == ASK and assistant["tool_calls"][0]["id"] == tool["tool_call_id"] == call.call_id
    assert tool["content"] == "sunny"


def test_tools_in_events(client: OpenAI, service: ScriptedProcess) -> None:
    service.script(tool_calls=[CALL])
    events = _stream(client, tools=[WEATHER], tool_choice={"type": "function", "name": "weather"})
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    (done,) = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert "".join(pieces) == done.arguments == CALL[1]
    assert service.requests("llm")[-1]["request"]["tool_choice"]["function"] == {"name": "weather"}


def test_some_of_the_tools(client: OpenAI, service: ScriptedProcess) -> None:
    """`allowed_tools`, here and in chats: the others are not offered."""
    other = {**WEATHER, "name": "other"}
    names = [{"type": "function", "name": "weather"}]
    _respond(client, tools=[WEATHER, other], tool_choice={"type": "allowed_tools", "mode": "auto", "tools": names})
    asked = service.requests("llm")[-1]["request"]
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["weather"] and asked["tool_choice"] == "auto"
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model="scripted/any",
            messages=[{"role": "user", "content": ASK}],
            tools=[{"type": "function", "function": {"name": "weather"}}],
            tool_choice={
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "other"}}]},
            },
        )
    assert caught.value.param == "tool_choice.allowed_tools.tools"


def test_a_form_of_the_answer(client: OpenAI, service: ScriptedProcess) -> None:
    class City(BaseModel):
        city: str

    service.script(replies=['{"city": "Paris"}'])
    parsed = client.responses.parse(model="scripted/any", input=ASK, text_format=City)
    assert parsed.output_parsed == City(city="Paris")
    wanted = service.requests("llm")[-1]["request"]["response_format"]
    assert wanted["json_schema"]["name"] == "City" and wanted["json_schema"]["schema"]["required"] == ["city"]


def test_an_answer_that_is_cut_off(client: OpenAI) -> None:
    response = _respond(client, max_output_tokens=2)
    assert response.status == "incomplete" and response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


def test_an_answer_that_fails(client: OpenAI, service: ScriptedProcess) -> None:
    service.script(llm_fault={"kind": "error", "status": 500, "after": 4})
    *_, item, last = _stream(client)
    assert item.type == "response.output_item.done" and item.item.status == "incomplete"
    assert last.type == "response.failed" and last.response.error is not None and last.response.output_text
    service.script(llm_fault={"kind": "error", "status": 500})
    with pytest.raises(openai.InternalServerError):
        _stream(client)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [{"type": "computer_call"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": "a"}, {"role": "king", "content": "b"}]}, "input[1].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": 7}], "instructions": "x"}, "input[0].content"),
        ({"input": [{"type": "function_call", "name": "weather"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "output": "sunny"}]}, "input[0].call_id"),
        ({"input": [{"type": "item_reference", "id": "msg_unknown"}]}, "input[0].id"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tool_choice": {"type": "mcp"}}, "tool_choice"),
        ({"text": {"format": "json"}}, "text.format"),
        ({"background": True}, "background"),
        ({"temperature": 7}, "temperature"),
        ({"previous_response_id": "resp_unknown"}, "previous_response_id"),
    ],
)
def test_what_cannot_be_answered_names_its_field(client: OpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        _respond(client, **fields)
    assert (caught.value.param or "").startswith(param)


@pytest.mark.parametrize(
    ("query", "param"), [({"order": "up"}, "order"), ({"limit": 0}, "limit"), ({"after": "x"}, "after")]
)
def test_pages_that_are_none(client: OpenAI, query: dict[str, Any], param: str) -> None:
    response = _respond(client)
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.input_items.list(response.id, **query)
    assert caught.value.param == param
