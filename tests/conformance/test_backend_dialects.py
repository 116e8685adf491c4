"""Every kind of server is recognised, asked in its own words, and understood (scripted servers).

Why this file is long: one scripted server after the other, asked the same.
"""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from llm import BackendFactory, LLMClient
from llm.backends.llamacpp import LlamaCppServer
from llm.client import ChatDelta, ChatMetrics
from llm.convert.chat import parse_chat, to_request
from llm.errors import BackendFailed, BackendUnreachable, ContextTooLong, NoSuchEndpoint, Overloaded, UnknownModel
from llm.port import BackendConfig
from llm.remote.ollama_wire import chat_body, kept
from llm.routing.configured_backends import load_backends
from llm.stream import TextDelta, ToolCallDelta
from models.errors import BadInput
from models.registry import discover
from tests.scripted.backend_servers import SERVERS, serving

HELLO = [{"role": "user", "content": "hello"}]


def sse(*chunks: dict[str, Any], done: bool = True) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + (
        b"data: [DONE]\n\n" if done else b""
    )


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


@pytest.mark.parametrize("kind", sorted(SERVERS))
async def test_a_server_is_recognised_and_tells_what_it_has(kind: str) -> None:
    async with serving(kind) as server, LLMClient("auto", server.url) as client:
        info = await client.get_backend_info()
        assert info["type"] == kind and info["healthy"] and info["models"] == ["qwen3:4b"]
        assert await client.get_model_context_limit("qwen3:4b") == 8192
    assert not any(path for path, _ in server.posted)


@pytest.mark.parametrize("kind", sorted(SERVERS))
async def test_by_its_name_it_is_the_same(kind: str) -> None:
    async with serving(kind) as server, BackendFactory.create(kind, server.url) as client:
        assert await client.health_check() and await client.list_models() == ["qwen3:4b"]
        assert await client.get_model_context_limit("qwen3:4b") == 8192


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("vllm", {"repetition_penalty": 1.1, "top_k": 5}),
        ("tabbyapi", {"repetition_penalty": 1.1, "top_k": 5, "mirostat_mode": 2}),
        ("llamacpp", {"repeat_penalty": 1.1, "top_k": 5, "mirostat": 2}),
        ("tgi", {"temperature": 0.5}),
    ],
)
async def test_settings_are_asked_for_by_the_servers_own_names(kind: str, wanted: dict[str, Any]) -> None:
    async with serving(kind) as server, LLMClient(kind, server.url) as client:
        server.answers["/v1/chat/completions"] = (200, sse(chunk(content="hi"), chunk("stop")))
        options = {"repeat_penalty": 1.1, "top_k": 5, "mirostat": 2, "temperature": 0.5, "num_predict": 9, "seed": 1}
        assert str(await client.chat("m", HELLO, options)) == "hi"
    [(_, body)] = server.posted
    asked = {"model", "messages", "stream", "stream_options", "max_tokens", "seed", "temperature"}
    assert body.keys() - asked == wanted.keys() - asked
    assert wanted.items() <= body.items() and body["max_tokens"] == 9


async def test_ollama_is_asked_natively_and_always_with_the_same_num_ctx() -> None:
    lines = [
        {"model": "m", "message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
        {"model": "m", "message": {"role": "assistant", "content": "hi"}, "done": False},
        {"message": {"tool_calls": [{"function": {"name": "a", "arguments": {"x": 1}}}]}, "done": False},
        {"message": {"tool_calls": [{"function": {"name": "b", "arguments": {}}}]}, "done": False},
        {"model": "m", "done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 3},
    ]
    async with serving("ollama") as server, LLMClient("ollama", server.url) as client:
        server.answers["/api/chat"] = (200, b"\n".join(json.dumps(line).encode() for line in lines))
        pixel = "data:image/png;base64,aGk="
        seen = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": pixel}}]}]
        reply = await client.chat("m", seen, {"thinking": True, "top_k": 3, "num_predict": 5})
        await client.chat("m", HELLO, {"num_ctx": 4096})
        server.answers["/api/chat"] = (200, b'{"model": "m", "done": true, "done_reason": "load"}')
        await client.preload_model("m")
    first, second, third = (body for path, body in server.posted if path == "/api/chat")
    assert first["options"] == {"num_ctx": 8192, "top_k": 3, "num_predict": 5} and first["think"] is True
    assert first["messages"][0]["images"] == ["aGk="]
    assert second["options"]["num_ctx"] == 4096 and third["options"]["num_ctx"] == 8192
    assert third["messages"] == [] and third["keep_alive"] == "30m"
    assert (reply.text, reply.reasoning) == ("hi", "hm")
    assert [call["function"] for call in reply.tool_calls] == [
        {"name": "a", "arguments": '{"x": 1}'},
        {"name": "b", "arguments": "{}"},
    ]
    assert len({call["id"] for call in reply.tool_calls}) == 2
    assert (reply.metrics.prompt_tokens, reply.metrics.generated_tokens) == (7, 3)


async def test_llamacpp_by_its_native_completion() -> None:
    end = {"content": "", "stop": True, "stop_type": "limit", "tokens_evaluated": 4, "tokens_predicted": 2}
    async with serving("llamacpp") as server, LLMClient("llamacpp", server.url, api="completion") as client:
        server.answers["/apply-template"] = (200, b'{"prompt": "<|user|>hello"}')
        server.answers["/completion"] = (200, sse({"content": "o", "stop": False}, end, done=False))
        reply = await client.chat("m", HELLO, {"num_predict": 2, "logit_bias": {"3": -1}, "thinking": False})
    asked, body = (dict(server.posted)[path] for path in ("/apply-template", "/completion"))
    assert asked == {"messages": HELLO, "chat_template_kwargs": {"enable_thinking": False}}
    assert body["prompt"] == "<|user|>hello" and body["n_predict"] == 2 and body["logit_bias"] == [[3, -1.0]]
    assert reply.text == "o" and reply.metrics.finish_reason == "length" and reply.metrics.generated_tokens == 2


@pytest.mark.parametrize(("top", "likely"), [(0, ()), (1, ("x",))])
async def test_probabilities_of_llamacpps_native_completion(top: int, likely: tuple[str, ...]) -> None:
    other = {"token": "x", "bytes": [120], "logprob": -2.0}
    row = {"id": 3, "token": "o", "bytes": [111], "logprob": -0.5, "top_logprobs": [other]}
    end = {"content": "", "stop": True, "stop_type": "limit", "tokens_evaluated": 4, "tokens_predicted": 1}
    async with serving("llamacpp") as server, aiohttp.ClientSession() as http:
        server.answers["/apply-template"] = (200, b'{"prompt": "hello"}')
        said = {"content": "o", "stop": False, "completion_probabilities": [row]}
        server.answers["/completion"] = (200, sse(said, end, done=False))
        backend = LlamaCppServer(BackendConfig("b", "llamacpp", f"{server.url}/v1", api="completion"), http)
        asked = to_request(parse_chat({"messages": HELLO, "logprobs": True, "top_logprobs": top}))
        async with aclosing(backend.generate(asked)) as found:
            events = [event async for event in found]
    (one,) = [logprob for event in events if isinstance(event, TextDelta) for logprob in event.logprobs]
    assert (one.token, one.logprob, tuple(more.token for more in one.top)) == ("o", -0.5, likely)
    assert dict(server.posted)["/completion"]["n_probs"] == 1


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
async def test_reasoning_has_two_names(name: str) -> None:
    async with serving("vllm") as server, LLMClient("vllm", server.url) as client:
        server.answers["/v1/chat/completions"] = (200, sse(chunk(**{name: "hm"}), chunk(content="hi"), chunk("stop")))
        reply = await client.chat("m", HELLO)
    assert (reply.reasoning, reply.text) == ("hm", "hi")


async def test_tool_calls_that_all_say_index_0_are_told_apart() -> None:
    calls = [
        {"index": 0, "id": id, "type": "function", "function": {"name": name, "arguments": "{}"}}
        for id, name in (("x", "a"), ("y", "b"))
    ]
    async with serving("openai") as server, LLMClient("openai", f"{server.url}/v1") as client:
        data = sse(*(chunk(tool_calls=[call]) for call in calls), chunk("tool_calls"))
        server.answers["/v1/chat/completions"] = (200, data)
        seen = [piece async for piece in client.chat_stream("m", HELLO)]
    assert [piece.index for piece in seen if isinstance(piece, ToolCallDelta)] == [0, 1]
    assert isinstance(seen[-1], ChatMetrics) and not any(isinstance(piece, ChatDelta) for piece in seen)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, {"error": "model 'm' not found"}, UnknownModel),  # Ollama
        (404, {"object": "error", "message": "The model `m` does not exist.", "code": 404}, UnknownModel),  # vLLM
        (404, {"error": {"message": "No endpoints found for a/m.", "code": 404}}, UnknownModel),  # OpenRouter
        (404, {"detail": "Not Found"}, NoSuchEndpoint),  # FastAPI
        (404, "404 page not found", NoSuchEndpoint),  # Go
        (405, {"detail": "Method Not Allowed"}, NoSuchEndpoint),
        (400, {"error": {"message": "maximum context length is 9 tokens"}}, ContextTooLong),
        (422, {"error": "Input validation error", "error_type": "validation"}, BadInput),  # TGI
        (400, {"detail": "no"}, BadInput),  # FastAPI
        (401, {"error": {"message": "bad key"}}, BackendFailed),
        (503, {"error": {"code": 503, "message": "Loading model"}}, Overloaded),  # llama.cpp
        (500, "<html>", BackendFailed),
    ],
)
async def test_error_shapes(status: int, body: Any, error: type[Exception]) -> None:
    async with serving("openai") as server, LLMClient("openai", f"{server.url}/v1") as client:
        server.answers["/v1/chat/completions"] = (status, json.dumps(body).encode())
        with pytest.raises(error):
            await client.chat("m", HELLO)


async def test_loading_where_the_server_can() -> None:
    async with serving("tabbyapi") as server, LLMClient("tabbyapi", server.url, "k", context_size=512) as client:
        server.answers["/v1/model/load"] = (200, sse({"module": 1, "modules": 1, "status": "finished"}, done=False))
        await client.preload_model("m")
        assert server.posted == [("/v1/model/load", {"model_name": "m", "max_seq_len": 512})]
    async with serving("lmstudio") as server, LLMClient("lmstudio", server.url) as client:
        server.answers["/api/v1/models/load"] = (200, b'{"status":"loaded"}')
        await client.preload_model("m")
        with pytest.raises(UnknownModel):
            server.answers.clear()
            await client.preload_model("m")
    async with serving("llamacpp") as server, LLMClient("llamacpp", server.url) as client:
        await client.preload_model("m")  # no router: its model is there


async def test_numbers_that_are_none_break_nothing() -> None:
    call = {"index": "first", "id": "c1", "function": {"name": "a", "arguments": {"x": 1}}}
    more = {"index": -1, "function": {"name": 7, "arguments": None}}
    used = {**chunk("tool_calls"), "usage": {"prompt_tokens": "many", "completion_tokens": -3}}
    async with serving("openai") as server, LLMClient("openai", server.url) as client:
        server.answers["/v1/chat/completions"] = (200, sse(chunk(tool_calls=[call]), chunk(tool_calls=[more]), used))
        reply = await client.chat("m", HELLO)
    assert [one["function"] for one in reply.tool_calls] == [{"name": "a", "arguments": '{"x": 1}'}]
    assert (reply.metrics.prompt_tokens, reply.metrics.generated_tokens) == (0, 0)


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4096 tokens",
        "the request exceeds the available context size, try increasing it",
        "Prompt length 9000 is greater than max_seq_len 8192",
    ],
)
async def test_too_long_is_told_in_every_servers_words(message: str) -> None:
    async with serving("openai") as server, LLMClient("openai", server.url) as client:
        server.answers["/v1/chat/completions"] = (400, json.dumps({"error": {"message": message}}).encode())
        with pytest.raises(ContextTooLong):
            await client.chat("m", HELLO)


async def test_vectors() -> None:
    rows = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    async with serving("vllm") as server, LLMClient("vllm", server.url) as client:
        server.answers["/v1/embeddings"] = (200, json.dumps({"data": rows}).encode())
        scores = [{"index": 1, "relevance_score": 0.5}, {"index": 0, "relevance_score": 0.25}]
        server.answers["/v1/rerank"] = (200, json.dumps({"results": scores}).encode())
        assert await client.embed(["a", "b"]) == [[1.0], [2.0]]
        assert await client.rerank("q", ["a", "b"]) == [0.25, 0.5]
    async with serving("ollama") as server, LLMClient("ollama", server.url) as client:
        server.answers["/api/embed"] = (200, b'{"embeddings": [[1.0]]}')
        assert await client.embed(["a"], "m") == [[1.0]]
        assert server.posted[-1][1] == {
            "model": "m", "input": ["a"], "options": {"num_ctx": 8192}, "keep_alive": "30m"
        }  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "configured", "wanted"),
    [
        ({"model_info": {"general.architecture": "bert", "bert.context_length": 512}}, 0, 512),
        ({"model_info": {"qwen3.context_length": 40960}}, 0, 8192),
        ({"model_info": {"qwen3.context_length": 40960}}, 65536, 40960),
        ({"model_info": {"qwen3.context_length": 40960}, "parameters": "stop a\nnum_ctx    16384"}, 0, 16384),
        ({"model_info": {"qwen3.context_length": 40960}, "parameters": "num_ctx 16384"}, 4096, 4096),
        ({"parameters": None}, 0, 8192),
    ],
)
async def test_ollama_is_asked_for_what_the_model_takes_and_once(
    shown: dict[str, Any], configured: int, wanted: int
) -> None:
    async with serving("ollama") as server, LLMClient("ollama", server.url, context_size=configured) as client:
        server.answers["/api/show"] = (200, json.dumps(shown).encode())
        server.answers["/api/chat"] = (200, b'{"model": "m", "message": {"content": "hi"}, "done": true}')
        for _ in range(2):
            await client.chat("m", HELLO)
    assert [path for path, _ in server.posted] == ["/api/show", "/api/chat", "/api/chat"]
    assert [body["options"]["num_ctx"] for path, body in server.posted if path == "/api/chat"] == [wanted, wanted]


async def test_a_server_that_is_starting_is_not_judged_yet() -> None:
    async with serving("llamacpp") as server, LLMClient("auto", server.url) as client:
        server.starting = True
        assert not await client.health_check()
        server.starting = False
        assert (await client.get_backend_info())["type"] == "llamacpp"


async def test_what_cannot_be_is_said(free_port: int) -> None:
    with pytest.raises(BadInput, match="ollama"):
        BackendFactory.create("olama")
    with pytest.raises(BadInput, match="no setting"):
        LLMClient("ollama", colour="red")
    with pytest.raises(BadInput, match="http://"):
        LLMClient("ollama", "localhost:11434")
    with pytest.raises(BadInput, match="name of a type"):
        BackendFactory.create(None)  # type: ignore[arg-type]
    assert all(BackendFactory.create(name) for name in ("LM Studio", "lm_studio", "Llama-CPP", "OLLAMA"))
    async with LLMClient("auto", f"http://127.0.0.1:{free_port}") as client:
        assert not await client.health_check()
        assert (await client.get_backend_info())["healthy"] is False
        with pytest.raises(BackendUnreachable):
            await client.list_models()
    async with serving("ollama") as server, LLMClient("ollama", server.url) as client:
        with pytest.raises(BadInput, match="no option"):
            await client.chat("m", HELLO, {"temprature": 1})
        with pytest.raises(BadInput, match="one reply"):
            await client.chat("m", HELLO, {"n": 2})
        server.answers["/api/chat"] = (200, b'{"error":"llama runner process has terminated"}')
        with pytest.raises(BackendFailed, match="terminated"):
            await client.chat("m", HELLO)


SENT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "bob"},
        {
            "role": "assistant",
            "content": "x",
            "reasoning_content": "because",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "sig"}},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "r"},
    ],
    "max_completion_tokens": 7,
    "reasoning_effort": "high",
    "verbosity": "low",
    "metadata": {"a": "b"},
    "store": True,
    "service_tier": "flex",
    "user": "u1",
    "prompt_cache_key": "k",
    "prediction": {"type": "content", "content": "z"},
    "modalities": ["text"],
    "chat_template_kwargs": {"enable_thinking": True, "foo": 1},
    "structured_outputs": {"regex": "a+"},
    "min_tokens": 3,
    "top_k": 5,
}


def sent_to(kind: str, url: str, body: dict[str, Any] = SENT, **changed: Any) -> dict[str, Any]:
    """What a backend of this type would send for a client's request."""
    backend = discover("llm.backends")[kind].load(BackendConfig("mine", kind, url), None)
    found: dict[str, Any] = backend.body(replace(to_request(parse_chat(body)), **changed))
    return found


@pytest.mark.parametrize("kind", ["openai", "vllm", "llamacpp", "lmstudio"])
def test_what_nobody_here_reads_goes_on_to_servers_of_openais_form(kind: str) -> None:
    body = sent_to(kind, "http://127.0.0.1:1/v1")
    limit = {"max_completion_tokens": 7} if kind == "openai" else {"max_tokens": 7}
    wanted = {name: value for name, value in SENT.items() if name != "max_completion_tokens"} | limit
    assert {name: body.get(name) for name in wanted} == wanted


def test_openai_itself_gets_no_field_that_it_refuses() -> None:
    body = sent_to("openai", "https://api.openai.com/v1")
    assert body["reasoning_effort"] == "high" and body["store"] is True and body["user"] == "u1"
    assert not body.keys() & {"top_k", "repeat_penalty", "chat_template_kwargs", "max_tokens"}
    older = sent_to("openai", "https://api.openai.com/v1", {"messages": HELLO, "max_tokens": 3, "temperature": 0})
    assert (older["max_completion_tokens"], older["temperature"]) == (3, 0) and "max_tokens" not in older


def test_servers_with_a_form_of_their_own_get_what_they_know() -> None:
    assert not sent_to("tgi", "http://127.0.0.1:1").keys() & {"store", "verbosity", "metadata", "top_k"}
    slot = sent_to("slot", "http://127.0.0.1:1")
    assert not slot.keys() & {"store", "verbosity"} and slot["messages"][0]["content"] == "a\nb"


@pytest.mark.parametrize("kind", ["vllm", "llamacpp", "slot", "tabbyapi", "lmstudio"])
def test_a_voice_turn_is_not_to_think_wherever_that_can_be_said(kind: str) -> None:
    body = sent_to(kind, "http://127.0.0.1:1/v1", {"messages": HELLO}, thinking=False)
    assert (body.get("chat_template_kwargs") or body.get("template_vars")) == {"enable_thinking": False}


def test_ollama_is_given_back_what_the_model_thought() -> None:
    thought = {"role": "assistant", "content": "b", "reasoning_content": "hm"}
    sent = chat_body(to_request(parse_chat({"messages": [*HELLO, thought]})), "m")["messages"]
    assert sent == [*HELLO, {"role": "assistant", "content": "b", "thinking": "hm"}]


async def test_a_voice_turn_is_not_to_think_with_ollama_and_plain_openai_is_not_told() -> None:
    assert chat_body(replace(to_request(parse_chat({"messages": HELLO})), thinking=False), "m")["think"] is False
    body = sent_to("openai", "http://127.0.0.1:1/v1", {"messages": HELLO}, thinking=False)
    assert "chat_template_kwargs" not in body


async def test_a_model_of_vllm_without_a_template_is_asked_without_settings_for_one() -> None:
    refused = {"error": {"message": "chat_template is not supported for Mistral tokenizers.", "code": 400}}
    async with serving("vllm") as server, aiohttp.ClientSession() as http:
        server.answers["/v1/chat/completions"] = (400, json.dumps(refused).encode())
        backend = discover("llm.backends")["vllm"].load(BackendConfig("mine", "vllm", f"{server.url}/v1"), http)
        request = replace(to_request(parse_chat({"model": "m", "messages": HELLO})), thinking=False)
        for _ in range(2):
            with pytest.raises(BadInput):
                async with aclosing(backend.generate(request)) as events:
                    async for _event in events:
                        pass
    assert ["chat_template_kwargs" in body for _, body in server.posted] == [True, False, False]


@pytest.mark.parametrize(
    ("refuses", "asked", "sent", "limit"),
    [
        (("stream_options",), "max_tokens", 2, {"max_tokens": 5}),
        (("stream_options", "max_completion_tokens"), "max_completion_tokens", 3, {"max_tokens": 5}),
        (("max_tokens",), "max_tokens", 2, {"max_completion_tokens": 5}),
    ],
)
async def test_a_cloud_is_asked_without_the_fields_that_it_refuses(
    refuses: tuple[str, ...], asked: str, sent: int, limit: dict[str, int]
) -> None:
    async with serving("openai") as server, LLMClient("openai", f"{server.url}/v1") as client:
        server.refuses = refuses
        server.answers["/v1/chat/completions"] = (200, sse(chunk(content="hi"), chunk("stop")))
        for _ in range(2):
            assert (await client.chat("m", HELLO, {asked: 5})).text == "hi"
        bodies = [body for _, body in server.posted]
        assert len(bodies) == sent + 1 and not bodies[-1].keys() & {*refuses}
        assert {name: bodies[-1][name] for name in limit} == limit


async def test_a_field_that_means_something_is_not_left_out() -> None:
    async with serving("openai") as server, LLMClient("openai", f"{server.url}/v1") as client:
        server.refuses = ("seed",)
        with pytest.raises(BadInput, match=r"body\.seed: Extra inputs are not permitted"):
            await client.chat("m", HELLO, {"seed": 5})
        server.refuses = ("max_tokens", "max_completion_tokens")
        with pytest.raises(BadInput, match="max_completion_tokens"):
            await client.chat("m", HELLO, {"max_tokens": 5})
    assert len(server.posted) == 3


@pytest.mark.parametrize(("setting", "sent"), [("-1", -1), ("300", 300), ("0", 0), ("5m", "5m"), ("-1m", "-1m")])
def test_ollama_takes_seconds_as_a_number_only(setting: str, sent: int | str) -> None:
    assert kept(BackendConfig("o", "ollama", "http://127.0.0.1:1", keep_alive=setting)) == sent


def test_a_type_of_backend_has_its_other_names_in_the_settings_too() -> None:
    (backend,) = load_backends([BackendConfig("x", "llama.cpp", "http://127.0.0.1:1/v1")], None)  # type: ignore[arg-type]
    assert backend.config.type == "llamacpp"


async def test_a_server_that_left_a_question_open_is_looked_at_again() -> None:
    async with serving("ollama") as server, aiohttp.ClientSession() as http:
        (backend,) = load_backends([BackendConfig("x", "auto", server.url)], http)
        server.silent = {"/api/tags"}
        await backend.models()
        assert (await backend.resolved()).config.type == "openai"
        server.silent = {"/props"}
        assert [model.id for model in await backend.models()] == ["qwen3:4b"]
        assert (await backend.resolved()).config.type == "ollama"
        server.silent = {"/api/tags", "/api/version"}
        with pytest.raises(BackendUnreachable):
            await backend.models()
        assert (await backend.resolved()).config.type == "ollama"


async def test_questions_about_a_server_raise_nothing() -> None:
    async with serving("openai") as server:
        for status in (400, 401, 413, 422, 500):
            server.failing = {"/v1/models": status}
            for kind in ("openai", "auto"):
                async with LLMClient(kind, server.url) as client:
                    assert await client.health_check() is False, status
                    assert (await client.get_backend_info())["healthy"] is False
    async with serving("llamacpp") as server, LLMClient("llamacpp", server.url) as client:
        server.failing = {"/v1/models": 500}
        info = await client.get_backend_info()
        assert info["healthy"] is True and info["models"] == []


async def test_a_preload_with_lm_studio_waits_for_the_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm.backends.lmstudio.POLL_S", 0.01)
    url = "https://huggingface.co/x/y"
    async with serving("lmstudio") as server, LLMClient("lmstudio", server.url, model_url=url) as client:
        server.answers["/api/v1/models/load"] = (200, b'{"status":"loaded"}')
        server.answers["/api/v1/models/download"] = (200, b'{"job_id":"job_1","status":"downloading"}')
        path = "/api/v1/models/download/status/job_1"
        steps = [{"job_id": "job_1", "status": "downloading"}] * 2 + [{"job_id": "job_1", "status": "completed"}]
        server.in_turn[path] = steps.copy()
        await client.preload_model("y")
        assert server.in_turn[path] == [] and server.posted[-1][0] == "/api/v1/models/load"
        server.posted.clear()
        server.in_turn[path] = [{"job_id": "job_1", "status": "failed"}]
        with pytest.raises(BackendFailed, match="failed"):
            await client.preload_model("y")
        server.answers["/api/v1/models/download"] = (200, b'{"status":"already_downloaded"}')
        await client.preload_model("y")
    assert [path for path, _ in server.posted if path.endswith("/load")] == ["/api/v1/models/load"]


async def test_a_preload_with_llama_cpps_router_waits_for_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm.backends.llamacpp.POLL_S", 0.01)

    def listed(**status: Any) -> dict[str, Any]:
        return {"data": [{"id": "other", "status": {"value": "loaded"}}, {"id": "m", "status": status}]}

    async with serving("llamacpp") as server, LLMClient("llamacpp", server.url) as client:
        server.answers["/models/load"] = (200, b'{"success": true}')
        server.in_turn["/models"] = [listed(value="unloaded"), listed(value="loading"), listed(value="loaded")]
        await client.preload_model("m")
        assert server.in_turn["/models"] == []
        await client.preload_model("m")  # one that tells no states is believed
        server.in_turn["/models"] = [listed(value="loading"), listed(value="unloaded", failed=True, exit_code=1)]
        with pytest.raises(BackendFailed, match="exit code 1"):
            await client.preload_model("m")
