"""Answers that are passed on as they came, but for what would break a client."""

from __future__ import annotations

import json
from typing import Any

from llm.remote.backend_http import loads
from llm.remote.chunk_reader import LEAST_LOGPROB, ChunkReader
from llm.remote.passthrough import StreamRelay, relayed_whole
from llm.stream import Finish, Relayed, TextDelta

HEAD = {"id": "a", "model": "m", "created": 1}


def _chunk(delta: dict[str, Any], **more: Any) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": None, **more.pop("choice", {})}
    return json.dumps({**HEAD, "object": "chat.completion.chunk", "choices": [choice], **more})


def _row(value: float) -> dict[str, Any]:
    return {"token": "NaN", "logprob": value, "bytes": None, "top_logprobs": []}


def _relay(*lines: str) -> list[Any]:
    """What a client reads; as strict as a browser about numbers."""
    relay = StreamRelay(ChunkReader(), usage=True)
    out = b"".join(
        event.data for line in lines for event in relay.read(line, loads(line)) if isinstance(event, Relayed)
    )
    return [json.loads(line[6:], parse_constant=_refused) for line in out.decode().split("\n\n") if line]


def _refused(name: str) -> float:
    raise AssertionError(f"{name} is not JSON")


def test_numbers_that_json_does_not_have_are_put_right() -> None:
    rows = [float("nan"), float("-inf"), -0.5]
    lines = [_chunk({"content": "NaN"}, choice={"logprobs": {"content": [_row(value)]}}) for value in rows]
    seen = _relay(*lines)
    assert [one["choices"][0]["logprobs"]["content"][0]["logprob"] for one in seen] == [
        LEAST_LOGPROB,
        LEAST_LOGPROB,
        -0.5,
    ]
    assert all(one["choices"][0]["delta"]["content"] == "NaN" for one in seen)


def test_counts_that_are_none_are_put_right() -> None:
    usage = {"prompt_tokens": -5, "completion_tokens": 3, "total_tokens": -2}
    last = _relay(_chunk({"content": "x"}), _chunk({}, choice={"finish_reason": "stop"}, usage=usage))[-1]
    assert last["usage"] == {"prompt_tokens": 0, "completion_tokens": 3, "total_tokens": 3}
    message = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    whole = {**HEAD, "object": "chat.completion", "choices": [message], "usage": dict(usage)}
    found = relayed_whole(whole, json.dumps(whole).encode())
    assert found is not None and isinstance(found[0], Relayed)
    assert json.loads(found[0].data)["usage"]["prompt_tokens"] == 0


def test_usage_in_words_is_counted() -> None:
    usage = {"prompt_tokens": "12", "completion_tokens": "7", "total_tokens": "19"}
    last = _relay(_chunk({"content": "x"}), _chunk({}, choice={"finish_reason": "stop"}, usage=usage))[-1]
    assert last["usage"] == {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}


def test_what_is_no_usage_and_no_utf8_is_put_right() -> None:
    assert _relay(_chunk({"content": "x"}), _chunk({"content": "y"}, usage=[1]))[-1]["usage"] is None
    message = {"index": 0, "message": {"role": "assistant", "content": "?"}, "finish_reason": "stop"}
    whole = {**HEAD, "object": "chat.completion", "choices": [message], "usage": "none"}
    data = json.dumps(whole).encode()
    found = relayed_whole(whole, data)
    assert found is not None and isinstance(found[0], Relayed) and json.loads(found[0].data)["usage"] is None
    found = relayed_whole(whole, data.replace(b"?", b"\xff"))
    assert found is not None and isinstance(found[0], Relayed) and "\ufffd" in found[0].data.decode()


def test_a_content_in_parts_is_put_right() -> None:
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hi"}]
    (delta,) = (found["choices"][0]["delta"] for found in _relay(_chunk({"content": parts})))
    assert delta == {"content": "hi", "reasoning_content": "hm"}


def test_a_reply_that_ends_without_a_reason_is_given_one() -> None:
    relay = StreamRelay(ChunkReader(), usage=True)
    lines = [_chunk({"role": "assistant", "content": ""}), *(_chunk({"content": text}) for text in ("one ", "two"))]
    for line in lines:
        relay.read(line, loads(line))
    last, end = relay.close()
    assert isinstance(last, Relayed) and end == Finish("stop", None, "m")
    ending = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    assert json.loads(last.data[6:]) == {**HEAD, "object": "chat.completion.chunk", **ending}
    told = _chunk({}, choice={"finish_reason": "length"})
    relay.read(told, loads(told))
    assert relay.close() == [Finish("length", None, "m")]


def test_what_is_right_passes_untouched() -> None:
    line = _chunk({"content": "Infinity and NaN"}, usage=None)
    relay = StreamRelay(ChunkReader(), usage=True)
    (event,) = relay.read(line, loads(line))
    assert isinstance(event, Relayed) and event.data == f"data: {line}\n\n".encode()


def test_converted_answers_have_finite_numbers_too() -> None:
    choice = {"logprobs": {"content": [_row(float("nan"))]}}
    (event,) = ChunkReader().read(loads(_chunk({"content": "x"}, choice=choice)))
    assert isinstance(event, TextDelta) and event.logprobs[0].logprob == LEAST_LOGPROB
