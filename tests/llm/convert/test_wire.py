"""OpenAI's wire: requests in and out, chunks in and out, error shapes, event streams cut anywhere. All pure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.convert.chat import ChunkWriter, completion, error_object, parse_chat, to_body, to_request
from llm.errors import BackendFailed, ContextTooLong, Overloaded, QuotaExceeded, RateLimited, UnknownModel
from llm.messages import AudioPart, GenerateRequest, ImagePart, Message, Priority, Sampling, TextPart, ToolCall
from llm.remote.backend_http import loads
from llm.remote.chunk_reader import ChunkReader, error_of
from llm.remote.sse import SseReader
from llm.stream import (
    ChoiceEnd,
    Finish,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from models.errors import BadInput
from models.retry_after import retry_after_s

HELLO = [{"role": "user", "content": "hello"}]
PART = "messages[0].content[0]"


def _content(part: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [part]}]}


EVENTS: list[StreamEvent] = [
    ReasoningDelta("hm"),
    TextDelta("Hel"),
    TextDelta("lo."),
    ToolCallDelta(0, "call_1", "lights", '{"on":'),
    ToolCallDelta(0, None, None, "true}"),
    ToolCallDelta(1, "call_2", "time", "{}"),
    Finish("tool_calls", Usage(7, 9, 3), "m"),
]


class TestRequests:
    def test_a_request_survives_the_way_to_a_server_and_back(self) -> None:
        request = GenerateRequest(
            messages=(
                Message("system", "Be brief."),
                Message("user", "lights on"),
                Message("assistant", "", (ToolCall("call_1", "lights", '{"on":true}'),)),
                Message("tool", "done", tool_call_id="call_1"),
            ),
            model="m",
            sampling=Sampling(0.5, 0.9, 40, 0.1, 50, ("END",), 7, 0.1, 0.2, 1.1, {5: -1.0}),
            tools=({"type": "function", "function": {"name": "lights"}},),
            tool_choice="auto",
            conversation="c",
            priority=Priority.VOICE,
            user="u",
            response_format={"type": "json_object"},
            n=3,
            parallel_tool_calls=False,
            thinking=True,
            adapters=((0, 0.5), (1, 1.0)),
        )
        found = to_request(parse_chat(to_body(request, "m", ours=True)))
        assert replace(found, extra={}) == request

    def test_every_sampling_setting_survives_the_way(self) -> None:
        sampling = Sampling(
            logprobs=5,
            repeat_last_n=-1,
            typical_p=0.9,
            top_n_sigma=1.5,
            xtc_probability=0.5,
            xtc_threshold=0.2,
            dry_multiplier=0.8,
            dry_base=1.5,
            dry_allowed_length=3,
            dry_penalty_last_n=64,
            mirostat=2,
            mirostat_tau=4.0,
            mirostat_eta=0.2,
            ignore_eos=True,
        )
        request = GenerateRequest((Message("user", "x"),), "m", sampling, grammar='root ::= "a"')
        assert to_request(parse_chat(to_body(request, "m", ours=True))) == request

    def test_images_and_audio_survive_the_way(self) -> None:
        parts = (TextPart("look"), ImagePart(b"png", "image/png", "", "low"), TextPart("hear"), AudioPart(b"wav"))
        named = ImagePart(b"", "", "https://example.org/a.png")
        messages = (Message("user", "look\nhear", parts=parts), Message("user", "", parts=(named,)))
        request = GenerateRequest(messages, "m")
        assert to_request(parse_chat(json.loads(json.dumps(to_body(request, "m", ours=True))))) == request

    def test_other_servers_see_none_of_our_fields(self) -> None:
        request = GenerateRequest((Message("user", "x"),), conversation="c", priority=Priority.VOICE, user="u")
        assert not [name for name in to_body(request, "m") if name.startswith("parley")]

    def test_text_parts_are_joined(self) -> None:
        parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        request = to_request(parse_chat({"messages": [{"role": "user", "content": parts}]}))
        assert request.messages[0].content == "a\nb"

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ([], None),
            ({}, "messages"),
            ({"messages": []}, "messages"),
            ({"messages": [{"role": "alien", "content": "x"}]}, "messages[0].role"),
            ({"messages": HELLO, "temperature": 3}, "temperature"),
            ({"messages": HELLO, "max_tokens": "many"}, "max_tokens"),
            ({"messages": HELLO, "n": 17}, "n"),
            ({"messages": HELLO, "stop": [""]}, "stop"),
            ({"messages": HELLO, "logit_bias": {"x": 1}}, "logit_bias"),
            ({"messages": HELLO, "top_logprobs": 3}, "top_logprobs"),
            ({"messages": HELLO, "grammar": "x", "response_format": {"type": "json_object"}}, "grammar"),
            ({"messages": HELLO, "tools": [{"type": "function"}]}, "tools[0]"),
            (_content({"type": "video"}), f"{PART}.type"),
            (_content({"type": "image_url"}), f"{PART}.image_url"),
            (_content({"type": "image_url", "image_url": {"url": "file:///x"}}), f"{PART}.image_url"),
            (
                _content({"type": "image_url", "image_url": "data:image/png;base64,?"}),
                f"{PART}.image_url",
            ),
            (
                _content({"type": "image_url", "image_url": "data:text/html;base64,YQ=="}),
                f"{PART}.image_url",
            ),
            (
                _content({"type": "input_audio", "input_audio": {"data": ""}}),
                f"{PART}.input_audio.data",
            ),
            (
                _content({"type": "input_audio", "input_audio": {"data": "YQ==", "format": "midi"}}),
                f"{PART}.input_audio.format",
            ),
        ],
    )
    def test_what_is_wrong_is_named(self, body: Any, param: str | None) -> None:
        with pytest.raises(BadInput) as caught:
            to_request(parse_chat(body))
        assert caught.value.param == param

    def test_flex_is_work_that_may_wait(self) -> None:
        flex = to_request(parse_chat({"messages": HELLO, "service_tier": "flex"}))
        assert flex.priority is Priority.BATCH and flex.extra["service_tier"] == "flex"
        assert to_request(parse_chat({"messages": HELLO, "service_tier": "auto"})).priority is Priority.INTERACTIVE

    def test_unknown_fields_pass(self) -> None:
        assert parse_chat({"messages": HELLO, "service_tier": "auto", "metadata": {"a": "b"}}).model == ""


class TestAnswers:
    def test_a_stream_survives_the_wire(self) -> None:
        writer, reader = ChunkWriter("id", "m", 1, include_usage=True), ChunkReader()
        events: list[StreamEvent] = []
        for event in EVENTS:
            for chunk in writer.chunks(event):
                events.extend(reader.read(json.loads(json.dumps(chunk))))
        assert [*events, reader.finish()] == EVENTS

    def test_several_choices_with_logprobs_survive_the_wire(self) -> None:
        one = TokenLogprob("a", -0.5, b"a", (TokenLogprob("a", -0.5, b"a"), TokenLogprob("\ufffd", -2.0, b"\xc3")))
        events: list[StreamEvent] = [
            TextDelta("a", 0, (one,)),
            ReasoningDelta("hm", 1),
            TextDelta("", 1, (one,)),
            ToolCallDelta(0, "x", "lamp", "{}", 1),
            ChoiceEnd(1, "tool_calls"),
            ChoiceEnd(0, "length"),
            Finish("length", Usage(7, 9), "m"),
        ]
        writer, reader = ChunkWriter("id", "m", 1, True, choices=2), ChunkReader(choices=2)
        back: list[StreamEvent] = []
        for event in events:
            for chunk in writer.chunks(event):
                back.extend(reader.read(json.loads(json.dumps(chunk))))
        assert [*back, reader.finish()] == events
        whole = completion(events, id="id", model="m", created=1, choices=2)
        assert [choice["finish_reason"] for choice in whole["choices"]] == ["length", "tool_calls"]
        assert whole["choices"][0]["logprobs"]["content"][0]["top_logprobs"][1]["bytes"] == [0xC3]
        assert whole["choices"][1]["message"]["tool_calls"][0]["function"]["name"] == "lamp"

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_of_several_choices_the_first_one_says_why_the_answer_ended(self, order: tuple[int, ...]) -> None:
        reader, reasons = ChunkReader(choices=2), ("length", "stop")
        for number in order:
            reader.read({"choices": [{"index": number, "delta": {}, "finish_reason": reasons[number]}]})
        assert reader.finish().reason == "length"

    def test_the_first_chunk_names_the_role_and_usage_has_a_chunk_of_its_own(self) -> None:
        writer = ChunkWriter("id", "m", 1, include_usage=True)
        chunks = [chunk for event in EVENTS for chunk in writer.chunks(event)]
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        assert all(chunk["usage"] is None for chunk in chunks[:-1])
        assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["total_tokens"] == 16
        assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"

    def test_a_whole_completion(self) -> None:
        whole = completion(EVENTS, id="id", model="m", created=1)
        message = whole["choices"][0]["message"]
        assert message["content"] == "Hello." and message["reasoning_content"] == "hm"
        assert [call["function"]["arguments"] for call in message["tool_calls"]] == ['{"on":true}', "{}"]
        assert whole["usage"]["prompt_tokens_details"] == {"cached_tokens": 3}

    def test_reasoning_under_its_other_name(self) -> None:
        assert ChunkReader().read({"choices": [{"delta": {"reasoning": "hm"}}]}) == [ReasoningDelta("hm")]

    def test_thoughts_that_are_a_part_of_the_content(self) -> None:
        parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "hi"}]
        assert ChunkReader().read({"choices": [{"delta": {"content": parts}}]}) == [
            ReasoningDelta("hm"),
            TextDelta("hi"),
        ]

    def test_calls_that_all_claim_index_0_are_told_apart_by_their_ids(self) -> None:
        reader = ChunkReader()
        calls = [{"index": 0, "id": id, "function": {"name": id, "arguments": "{}"}} for id in ("a", "b")]
        events = [event for call in calls for event in reader.read({"choices": [{"delta": {"tool_calls": [call]}}]})]
        assert [event.index for event in events if isinstance(event, ToolCallDelta)] == [0, 1]

    def test_calls_that_share_an_id_are_two(self) -> None:
        reader, found = ChunkReader(), []
        for index, name in enumerate(("lamp", "door")):
            first = {"index": index, "id": "call_0", "function": {"name": name, "arguments": "{"}}
            rest = {"index": index, "id": "call_0", "function": {"arguments": "}"}}
            for call in (first, rest):
                found += reader.read({"choices": [{"delta": {"tool_calls": [call]}}]})
        assert [event.index for event in found] == [0, 0, 1, 1]

    def test_a_call_without_an_id_gets_one(self) -> None:
        call = {"index": 0, "function": {"name": "time", "arguments": "{}"}}
        (event,) = ChunkReader().read({"choices": [{"delta": {"tool_calls": [call]}}]})
        assert isinstance(event, ToolCallDelta) and event.id

    def test_what_else_a_server_says_of_a_call_reaches_the_client_and_comes_back(self) -> None:
        signed = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
        call = {**signed, "id": "a", "type": "function", "function": {"name": "time", "arguments": "{}"}}
        (event,) = ChunkReader().read({"choices": [{"delta": {"tool_calls": [call]}}]})
        (chunk,) = ChunkWriter("id", "m", 1).chunks(event)
        assert chunk["choices"][0]["delta"]["tool_calls"] == [{**call, "index": 0}]
        whole = completion([event, Finish("tool_calls", None)], id="id", model="m", created=1)
        message = whole["choices"][0]["message"]
        assert message["tool_calls"] == [call]
        again = to_body(to_request(parse_chat({"messages": [*HELLO, message]})), "m", carries=True)
        assert again["messages"][1]["tool_calls"] == [call]

    @pytest.mark.parametrize(
        "chunk",
        [
            {"error": {"message": "boom"}},
            {"object": "error", "message": "boom"},
            {"choices": [{"message": {"content": "ha"}, "finish_reason": "error", "error": {"message": "boom"}}]},
        ],
    )
    def test_errors_in_the_middle_of_a_stream(self, chunk: dict[str, Any]) -> None:
        with pytest.raises(BackendFailed, match="boom"):
            ChunkReader().read(chunk)

    @pytest.mark.parametrize("chunk", ["x", 3, None, [], {"choices": [{"delta": "x"}]}])
    def test_nonsense_is_an_error(self, chunk: object) -> None:
        with pytest.raises(BackendFailed):
            ChunkReader().read(chunk)

    @pytest.mark.parametrize("chunk", [{}, {"choices": []}, {"choices": None}, {"choices": [{"delta": {}}]}])
    def test_empty_chunks_say_nothing(self, chunk: dict[str, Any]) -> None:
        assert ChunkReader().read(chunk) == []

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (404, {"error": {"message": "no such model"}}, UnknownModel),
            (429, {"error": {"message": "slow down"}}, RateLimited),
            (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, QuotaExceeded),
            (429, {"error": {"message": "pay", "type": "insufficient_quota", "code": None}}, QuotaExceeded),
            (503, "busy", Overloaded),
            (400, {"error": {"message": "x", "code": "context_length_exceeded"}}, ContextTooLong),
            (400, {"error": "exceeds the context length"}, ContextTooLong),
            (500, {"object": "error", "message": "boom"}, BackendFailed),
            (500, None, BackendFailed),
            (400, {"detail": {"error": {"message": "No models are currently loaded."}}}, UnknownModel),
            (422, {"detail": [{"loc": ["body", "top_k"], "msg": "too small"}]}, BadInput),
            (0, {"error": {"message": "maximum reached", "code": 429}}, RateLimited),
        ],
    )
    def test_error_answers(self, status: int, body: object, kind: type[Exception]) -> None:
        assert type(error_of(status, body)) is kind

    def test_what_is_wrong_is_dug_out(self) -> None:
        shape = {"detail": [{"loc": ["body", "top_k"], "msg": "too small"}, {"loc": ["body", "n"], "msg": "odd"}]}
        assert error_of(422, shape).message == "body.top_k: too small; body.n: odd"

    @pytest.mark.parametrize(
        ("value", "date", "seconds"),
        [
            ("7", "", 7),
            ("Sat, 21 Nov 2026 10:00:09 GMT", "Sat, 21 Nov 2026 10:00:00 GMT", 9),
            ("Sat, 21 Nov 2026 09:00:00 GMT", "Sat, 21 Nov 2026 10:00:00 GMT", 0),
            ("Sat, 21 Nov 2026 10:00:09 GMT", "", None),
            ("9" * 5000, "", 3600),
            ("soon", "now", None),
            ("Sat Nov 21 10:00:09 2026", "Sat, 21 Nov 2026 10:00:00 GMT", 9),
        ],
    )
    def test_when_to_come_again(self, value: str, date: str, seconds: int | None) -> None:
        assert retry_after_s(value, date) == seconds

    @pytest.mark.parametrize(("in_ms", "seconds"), [("1500", 2), ("0.4", 0), ("9" * 99, 3600), ("soon", 7), ("", 7)])
    def test_when_to_come_again_in_milliseconds(self, in_ms: str, seconds: int) -> None:
        assert retry_after_s("7", "", in_ms) == seconds

    def test_a_byte_order_mark_before_json_is_passed_over(self) -> None:
        assert loads(b'\xef\xbb\xbf{"a": 1}') == loads('\ufeff{"a": 1}') == {"a": 1}

    def test_half_a_character_can_be_written_again(self) -> None:
        assert loads('{"a": "x\\ud83d", "b": "\\ud83d\\ude00"}') == {"a": "x?", "b": "\U0001f600"}

    def test_error_objects_have_all_four_keys(self) -> None:
        error = error_object(BadInput("bad", hint="do better", param="p"))["error"]
        assert set(error) == {"message", "type", "param", "code"} and "do better" in error["message"]


STREAM = (
    ': hi\r\n\r\ndata: {"a": 1}\n\ndata: two\ndata:lines\n\nevent: x\nid: 3\ndata: ü\r\n\r\ndata: [DONE]\n\n'.encode()
)


class TestEventStream:
    @given(st.lists(st.integers(0, len(STREAM)), max_size=20))
    def test_any_chunking_gives_the_same_events(self, cuts: list[int]) -> None:
        reader, data = SseReader(), []
        edges = [0, *sorted(cuts), len(STREAM)]
        for start, end in zip(edges, edges[1:], strict=False):
            data += reader.feed(STREAM[start:end])
        assert data == ['{"a": 1}', "two\nlines", "ü", "[DONE]"]

    def test_a_last_event_without_its_empty_line(self) -> None:
        reader = SseReader()
        assert reader.feed(b"data: x") == [] and reader.close() == ["x"]

    def test_an_event_without_end_is_refused(self) -> None:
        reader = SseReader()
        with pytest.raises(BackendFailed):
            for _ in range(200):
                reader.feed(b"data: " + b"x" * 100_000)
