"""Servers that imitate OpenAI, Ollama or llama.cpp not quite rightly: what they mean is understood (scripted)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from llm import LLMClient
from llm.errors import BackendFailed
from models.errors import BadInput
from tests.conformance.test_backend_dialects import HELLO, chunk, sse
from tests.scripted.backend_servers import serving

CHAT = "/v1/chat/completions"


def _call(**more: Any) -> dict[str, Any]:
    return {"index": 0, "id": "a", "type": "function", **more}


@pytest.mark.parametrize(
    ("pieces", "wanted"),
    [
        ([[_call(name="f", arguments={"x": 1})]], [("f", '{"x": 1}')]),
        ([_call(function={"name": "f", "arguments": '{"x":1}'})], [("f", '{"x":1}')]),
        ([[_call(function={"name": "f", "arguments": [1]})]], [("f", "[1]")]),
        ([[_call(function={"name": "f", "arguments": None})]], [("f", "{}")]),
        ([[_call(function={"name": "f"})], [_call(id="b", function={"name": "g"})]], [("f", "{}"), ("g", "{}")]),
        (
            [[_call(id=id, function={**name, "arguments": text})] for id, name, text in (
                ("x", {"name": "f"}, '{"x"'), ("y", {}, ":"), ("z", {"name": ""}, "1}")
            )],
            [("f", '{"x":1}')],
        ),
    ],
    ids=["no_function", "no_list", "a_list_of_arguments", "none", "none_of_several", "an_id_for_every_piece"],
)  # fmt: skip
async def test_tool_calls_of_an_odd_form(pieces: list[Any], wanted: list[tuple[str, str]]) -> None:
    async with serving("openai") as server, LLMClient("openai", server.url) as client:
        answer = sse(*(chunk(tool_calls=piece) for piece in pieces), chunk("tool_calls"))
        server.answers[CHAT] = (200, answer)
        reply = await client.chat("m", HELLO)
    calls = [call["function"] for call in reply.tool_calls]
    assert [(call["name"], call["arguments"]) for call in calls] == wanted


@pytest.mark.parametrize("whole", [False, True], ids=["stream", "whole"])
@pytest.mark.parametrize("first", [0, 1])
async def test_replies_that_nobody_asked_for_are_left_out(first: int, whole: bool) -> None:
    rows = [(first, "hi"), (first + 1, "another")]
    part = "message" if whole else "delta"
    said = [{"index": number, part: {"content": text}, "finish_reason": "stop"} for number, text in rows]
    async with serving("openai") as server, LLMClient("openai", server.url) as client:
        value = {"model": "m", "choices": said}
        server.answers[CHAT] = (200, json.dumps(value).encode() if whole else sse(value))
        assert str(await client.chat("m", HELLO)) == "hi"


async def test_a_refusal_is_what_the_model_says() -> None:
    async with serving("openai") as server, LLMClient("openai", server.url) as client:
        server.answers[CHAT] = (200, sse(chunk(content=None, refusal="I will "), chunk(refusal="not"), chunk("stop")))
        assert str(await client.chat("m", HELLO)) == "I will not"


async def test_what_some_frameworks_call_created_is_an_answer() -> None:
    async with serving("openai") as server, LLMClient("openai", server.url) as client:
        server.answers[CHAT] = (201, sse(chunk(content="hi"), chunk("stop")))
        assert str(await client.chat("m", HELLO)) == "hi"


@pytest.mark.parametrize(
    "error",
    [
        {"errors": [{"message": "out of memory", "code": 7000}], "success": False},
        {"success": False, "message": "out of memory"},
        {"status": "error", "message": "out of memory"},
    ],
    ids=["errors", "success", "status"],
)
async def test_an_error_before_the_end_of_a_stream_is_one_in_every_form(error: dict[str, Any]) -> None:
    async with serving("openai") as server, LLMClient("openai", server.url) as client:
        for said in ((), (chunk(content="hi"),)):
            server.answers[CHAT] = (200, sse(*said, error))
            with pytest.raises(BackendFailed, match="out of memory"):
                await client.chat("m", HELLO)


@pytest.mark.parametrize(
    "answer", [sse(), sse({"model": "m", "usage": {}}), b'{"choices":[],"usage":{"prompt_tokens":1}}']
)
async def test_an_answer_without_a_reply_is_none(answer: bytes) -> None:
    async with serving("openai") as server, LLMClient("openai", server.url) as client:
        server.answers[CHAT] = (200, answer)
        with pytest.raises(BackendFailed, match="broke off|nothing to read"):
            await client.chat("m", HELLO)


_DONE = {"model": "m", "done": True, "done_reason": "stop"}
_STOP = {"index": 0, "finish_reason": "stop"}


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("openai", {"choices": [_STOP]}),
        ("openai", {"choices": [{**_STOP, "delta": {}}]}),
        ("openai", {"choices": [{**_STOP, "delta": {"role": "assistant", "content": {"said": "hi"}}}]}),
        ("openai", {"choices": [{**_STOP, "delta": {"content": [{"type": "picture", "url": "x"}]}}]}),
        ("openai", {"choices": [{**_STOP, "delta": {"content": "", "tool_calls": ["f(1)"]}}]}),
        ("openai", {"choices": [{"index": 0, "delta": {"role": "assistant"}}]}),
        ("ollama", _DONE),
        ("ollama", {**_DONE, "message": {}}),
        ("ollama", {**_DONE, "message": {"content": {"said": "hi"}}}),
        ("ollama", {**_DONE, "message": {"content": "", "tool_calls": ["f(1)"]}}),
        ("ollama", {**_DONE, "message": {"content": "", "tool_calls": {"f": {"x": 1}}}}),
        ("completion", {"stop": True, "stop_type": "eos"}),
        ("completion", {"content": ["hi"], "stop": True}),
    ],
)
async def test_an_answer_in_which_nothing_can_be_read_is_an_error(kind: str, answer: dict[str, Any]) -> None:
    api = "completion" if kind == "completion" else "chat"
    backend = "llamacpp" if kind == "completion" else kind
    async with serving(backend) as server, LLMClient(backend, server.url, api=api) as client:
        server.answers["/apply-template"] = (200, b'{"prompt": "x"}')
        whole = json.dumps(answer).encode()
        written = {"openai": (sse(answer), whole.replace(b"delta", b"message"))}.get(kind, (whole,))
        for said in (sse(answer),) if kind == "completion" else written:
            server.answers[{"openai": CHAT, "ollama": "/api/chat"}.get(kind, "/completion")] = (200, said)
            with pytest.raises(BackendFailed, match="broke off|nothing to read") as told:
                await client.chat("m", HELLO)
            assert told.value.hint


@pytest.mark.parametrize(
    ("kind", "answer", "text", "calls"),
    [
        ("openai", {"choices": [{**_STOP, "text": "hi"}]}, "hi", []),
        ("openai", {"choices": [{**_STOP, "delta": {"content": [{"type": "output_text", "text": "hi"}]}}]}, "hi", []),
        ("openai", {"choices": [{**_STOP, "delta": {"role": "assistant", "content": ""}}]}, "", []),
        ("ollama", {**_DONE, "response": "hi"}, "hi", []),
        ("ollama", {**_DONE, "message": {"content": [{"type": "text", "text": "hi"}]}}, "hi", []),
        ("ollama", {**_DONE, "message": {"role": "assistant", "content": ""}}, "", []),
        (
            "ollama",
            {**_DONE, "message": {"tool_calls": {"function": {"name": "f", "arguments": {"x": 1}}}}},
            "",
            ["f"],
        ),
        ("ollama", {**_DONE, "message": {"tool_calls": [{"name": "f", "arguments": {"x": 1}}]}}, "", ["f"]),
    ],
)
async def test_words_in_other_places_are_read(kind: str, answer: Any, text: str, calls: list[str]) -> None:
    async with serving(kind) as server, LLMClient(kind, server.url) as client:
        said = sse(answer) if kind == "openai" else json.dumps(answer).encode()
        server.answers[CHAT if kind == "openai" else "/api/chat"] = (200, said)
        reply = await client.chat("m", HELLO)
    assert (str(reply), [call["function"]["name"] for call in reply.tool_calls]) == (text, calls)
    assert all(json.loads(call["function"]["arguments"]) == {"x": 1} for call in reply.tool_calls)


async def test_google_puts_its_error_into_a_list() -> None:
    refused = [{"error": {"code": 400, "message": "no such voice", "status": "INVALID_ARGUMENT"}}]
    async with serving("openai") as server, LLMClient("openai", server.url) as client:
        server.answers[CHAT] = (400, json.dumps(refused).encode())
        with pytest.raises(BadInput, match="no such voice"):
            await client.chat("m", HELLO)


async def test_llamacpp_tells_an_error_of_its_native_completion_bare() -> None:
    said = sse({"content": "o", "stop": False}, done=False) + b'error: {"code":500,"message":"out of memory"}\n\n'
    async with serving("llamacpp") as server, LLMClient("llamacpp", server.url, api="completion") as client:
        server.answers["/apply-template"] = (200, b'{"prompt": "x"}')
        server.answers["/completion"] = (200, said)
        with pytest.raises(BackendFailed, match="out of memory"):
            await client.chat("m", HELLO)


_OLLAMA = [{"message": {"content": "hi"}, "done": False}, {"message": {"content": ""}, "done": True}]
_COMPLETION = [{"content": "hi", "stop": False}, {"content": "", "stop": True, "stop_type": "eos"}]


@pytest.mark.parametrize("kind", ["ollama", "llamacpp"])
async def test_a_reply_that_is_over_is_not_lost_because_the_connection_stays(kind: str) -> None:
    """The body's own end never comes, and more behind the reply's end is none of it."""
    lines = b"".join(json.dumps(line).encode() + b"\n" for line in (*_OLLAMA, *_OLLAMA[:1]))
    said = lines if kind == "ollama" else sse(*_COMPLETION, *_COMPLETION[:1], done=False)
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next(int(row[15:]) for row in head.split("\r\n") if row.startswith("content-length:"))
                await reader.readexactly(length)
                path = head.split(" ")[1]
                if path in ("/api/chat", "/completion"):
                    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                    writer.write(b"%x\r\n%b\r\n" % (len(said), said))
                    await reader.read()
                    left.set()
                    return
                writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{"prompt":""}')
        except EOFError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        more = {"api": "completion"} if kind == "llamacpp" else {}
        async with LLMClient(kind, url, timeout_s=60, **more) as client:
            assert str(await client.chat("m", HELLO)) == "hi"
            await asyncio.wait_for(left.wait(), 60)
