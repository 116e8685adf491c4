from __future__ import annotations

from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llm.stream import Finish, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, Usage
from web.rest.chat_answer import ChatAnswer

SPOKEN: list[StreamEvent] = [
    TextDelta("Pa"),
    TextDelta("ris"),
    Finish("stop", Usage(7, 2, 5), "mini"),
]
CALLING: list[StreamEvent] = [
    ReasoningDelta("hm"),
    ToolCallDelta(0, "c1", "now", '{"zone"'),
    ToolCallDelta(0, None, None, ': "CET"}'),
    ToolCallDelta(1, "c2", "later", "{}"),
    Finish("tool_calls", None),
]


def _chunks(events: list[StreamEvent], usage: bool = False) -> list[dict[str, Any]]:
    answer = ChatAnswer("chatcmpl-1", "mini", 1, usage)
    return [chunk for event in events for chunk in answer.chunks(event)]


def _whole(events: list[StreamEvent]) -> ChatCompletion:
    answer = ChatAnswer("chatcmpl-1", "", 1)
    for event in events:
        answer.hear(event)
    return ChatCompletion.model_validate(answer.whole(), strict=True)


def test_openais_own_types_take_every_chunk() -> None:
    for events in (SPOKEN, CALLING):
        for chunk in _chunks(events, usage=True):
            ChatCompletionChunk.model_validate(chunk, strict=True)


def test_text_in_chunks() -> None:
    chunks = _chunks(SPOKEN)
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "Paris"
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, "stop"]
    assert all("usage" not in chunk for chunk in chunks)


def test_usage_comes_last_and_only_when_asked_for() -> None:
    *before, last = _chunks(SPOKEN, usage=True)
    assert all(chunk["usage"] is None for chunk in before)
    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 5},
    }
    assert _chunks(CALLING, usage=True)[-1]["usage"] is None


def test_tool_calls_in_chunks_and_whole() -> None:
    arguments = ""
    for chunk in _chunks(CALLING):
        for call in chunk["choices"][0]["delta"].get("tool_calls", []):
            if call["index"] == 0:
                arguments += call["function"]["arguments"]
    assert arguments == '{"zone": "CET"}'
    choice = _whole(CALLING).choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    assert [call.function.name for call in choice.message.tool_calls or []] == ["now", "later"]  # type: ignore[union-attr]


def test_the_whole_answer() -> None:
    whole = _whole(SPOKEN)
    assert whole.choices[0].message.content == "Paris" and whole.model == "mini"
    assert whole.usage is not None and whole.usage.total_tokens == 9
    assert _whole([Finish("length", None)]).choices[0].message.content == ""
    assert _whole([Finish("cancelled", None)]).choices[0].finish_reason == "stop"
