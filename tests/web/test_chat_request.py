from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.messages import Message, ToolCall
from models.errors import BadInput
from web.body import parse
from web.rest.chat_request import ChatRequest, to_generate

HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def _asked(**fields: Any):  # type: ignore[no-untyped-def]
    return to_generate(parse(ChatRequest, {**HELLO, **fields}), "admin")


def test_the_least_that_can_be_asked() -> None:
    asked = _asked()
    assert asked.messages == (Message("user", "hello"),)
    assert asked.model == "" and asked.user == "admin" and asked.sampling.temperature is None


def test_everything_that_can_be_asked() -> None:
    asked = _asked(
        model="mini",
        temperature=1,
        top_p=0.5,
        max_tokens=5,
        max_completion_tokens=7,
        stop="\n",
        seed=-3,
        frequency_penalty=-2.0,
        presence_penalty=2,
        logit_bias={"17": -100, "4": 1.5},
        tools=[{"type": "function", "function": {"name": "f"}}],
        tool_choice="auto",
        n=1,
        response_format={"type": "text"},
        some_new_field={"of": "tomorrow"},
        stream_options=None,
    )
    sampling = asked.sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.seed) == (1.0, 0.5, 7, -3)
    assert sampling.stop == ("\n",) and sampling.logit_bias == {17: -100.0, 4: 1.5}
    assert len(asked.tools) == 1 and asked.tool_choice == "auto"


def test_messages_of_every_kind() -> None:
    asked = _asked(
        messages=[
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "what "}, {"type": "text", "text": "time?"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "noon"},
        ]
    )
    assert asked.messages[1] == Message("user", "what time?")
    assert asked.messages[2].tool_calls == (ToolCall("c1", "now", "{}"),)
    assert asked.messages[3] == Message("tool", "noon", (), "c1")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"content": "hello"}]}, "messages.0.role"),
        ({"messages": [{"role": "robot", "content": "hello"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages.0.content.str"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content.0.type"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"seed": 2**63}, "seed"),
        ({"stop": ""}, "stop"),
        ({"stop": ["a"] * 17}, "stop.constrained-list"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_schema"}}, "response_format.type"),
        ({"model": ["a"]}, "model"),
    ],
)
def test_what_cannot_be_served_names_its_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadInput) as caught:
        _asked(**fields)
    assert caught.value.param is not None
    assert caught.value.param.split(".")[0] == param.split(".")[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(ChatRequest.model_fields)), JSON))
def test_any_json_is_served_or_refused(fields: dict[str, Any]) -> None:
    try:
        to_generate(parse(ChatRequest, fields), "admin")
    except BadInput as error:
        assert error.message
