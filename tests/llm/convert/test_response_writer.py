"""The events of a response, for whatever a model writes: each begins, grows and ends in its order."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm.convert.response_writer import ResponseWriter
from llm.errors import BackendFailed
from llm.stream import Finish, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, Usage
from llm.wire.responses import ResponsesRequest

_TEXT = st.text(max_size=3)
_EVENTS = st.lists(
    st.builds(TextDelta, _TEXT)
    | st.builds(ReasoningDelta, _TEXT)
    | st.builds(ToolCallDelta, st.integers(0, 2), st.just("call_1"), st.just("f"), _TEXT),
    max_size=12,
)
_END = st.sampled_from([Finish("stop", Usage(3, 4)), Finish("length", None), None])


def _write(events: list[StreamEvent], end: Finish | None) -> list[dict[str, Any]]:
    """`end` None: it fails."""
    numbers = count()
    writer = ResponseWriter(ResponsesRequest(), "resp_1", "any", 7, lambda prefix: f"{prefix}{next(numbers)}")
    told = [one for event in events for one in writer.events(event)]
    told += writer.events(end) if end is not None else writer.fail(BackendFailed("it broke"))
    assert writer.over
    return told


@given(_EVENTS, _END)
def test_every_item_is_told_from_its_beginning_to_its_end(events: list[StreamEvent], end: Finish | None) -> None:
    told = _write(events, end)
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert [event["type"] for event in told[:2]] == ["response.created", "response.in_progress"]
    assert told[0]["response"]["output"] == []
    last = told[-1]
    status = {None: "failed", "stop": "completed", "length": "incomplete"}[end and end.reason]
    assert (last["type"], last["response"]["status"]) == (f"response.{status}", status)
    output = last["response"]["output"]
    added = [event for event in told if event["type"] == "response.output_item.added"]
    done = {event["output_index"]: event for event in told if event["type"] == "response.output_item.done"}
    assert [event["output_index"] for event in added] == list(range(len(output)))
    assert [done[at]["item"] for at in range(len(output))] == output
    for at, item in enumerate(output):
        own = [event for event in told if event.get("output_index") == at]
        assert own[0]["type"] == "response.output_item.added" and own[-1]["type"] == "response.output_item.done"
        assert {event["item_id"] for event in own[1:-1]} <= {item["id"]}
        whole = item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"]
        assert "".join(event["delta"] for event in own if event["type"].endswith(".delta")) == whole


@given(_EVENTS)
def test_nothing_is_lost(events: list[StreamEvent]) -> None:
    output = _write(events, Finish("stop", None))[-1]["response"]["output"]
    texts = [item["content"][0]["text"] for item in output if item["type"] == "message"]
    assert "".join(texts) == "".join(event.text for event in events if isinstance(event, TextDelta))
    calls = [item["arguments"] for item in output if item["type"] == "function_call"]
    numbers = dict.fromkeys(event.index for event in events if isinstance(event, ToolCallDelta))
    assert calls == [
        "".join(event.arguments for event in events if isinstance(event, ToolCallDelta) and event.index == number)
        for number in numbers
    ]
    assert texts or calls  # clients wait for one or the other
