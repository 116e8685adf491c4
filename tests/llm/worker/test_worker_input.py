"""Bad input to the worker: always an OpenAI error object with the right status, never a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm.workers import lifeline
from tests.llm.worker_process import RunningWorker, model_path, running_worker

HELLO = [{"role": "user", "content": "hello"}]
UNHELD = {
    "type": "json_schema",
    "json_schema": {"name": "x", "strict": True, "schema": {"type": "number", "multipleOf": 3}},
}
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def worker() -> Iterator[RunningWorker]:
    with running_worker() as running:
        yield running
        assert running.process.poll() is None, "it has crashed"


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, b"", None),
        (CHAT, b"{", None),
        (CHAT, b"\xff\xfe", None),
        (CHAT, b"[]", None),
        (CHAT, b"[" * 100_000, None),
        (CHAT, {}, "messages"),
        (CHAT, {"messages": []}, "messages"),
        (CHAT, {"messages": "hello"}, "messages"),
        (CHAT, {"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        (CHAT, {"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        (CHAT, {"messages": HELLO, "temperature": "hot"}, "temperature"),
        (CHAT, {"messages": HELLO, "temperature": 9}, "temperature"),
        (CHAT, b'{"messages":[{"role":"user","content":"x"}],"temperature":NaN}', "temperature"),
        (CHAT, {"messages": HELLO, "max_tokens": 0}, "max_tokens"),
        (CHAT, {"messages": HELLO, "max_tokens": 1.5}, "max_tokens"),
        (CHAT, {"messages": HELLO, "stream": "maybe"}, "stream"),
        (CHAT, {"messages": HELLO, "stop": [""]}, "stop"),
        (CHAT, {"messages": HELLO, "stop": ["x"] * 99}, "stop"),
        (CHAT, {"messages": HELLO, "n": 17}, "n"),
        (CHAT, {"messages": HELLO, "logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        (CHAT, {"messages": HELLO, "logit_bias": {"a": 1}}, "logit_bias"),
        (CHAT, {"messages": HELLO, "logit_bias": {"99999999": 1}}, "logit_bias"),
        (CHAT, {"messages": HELLO, "logit_bias": {"1": 1e300}}, "logit_bias"),
        (CHAT, {"messages": HELLO, "response_format": {"type": "xml"}}, "response_format"),
        (CHAT, {"messages": HELLO, "response_format": {"type": "json_schema"}}, "response_format"),
        (
            CHAT,
            {
                "messages": HELLO,
                "response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "#/nowhere"}}},
            },
            "response_format",
        ),
        (CHAT, {"messages": HELLO, "tools": [], "tool_choice": "required"}, "tool_choice"),
        (CHAT, {"messages": HELLO, "tool_choice": "required"}, "tool_choice"),
        (CHAT, {"messages": HELLO, "response_format": UNHELD}, "response_format"),
        (CHAT, {"messages": HELLO, "max_tokens": "3"}, "max_tokens"),
        (CHAT, {"messages": HELLO, "temperature": "0.5"}, "temperature"),
        (CHAT, {"messages": HELLO, "n": True}, "n"),
        (CHAT, {"messages": HELLO, "stream": "yes"}, "stream"),
        (CHAT, {"messages": HELLO, "stream": 1}, "stream"),
        (
            CHAT,
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
            "messages[0].content[0].text",
        ),
        ("/v1/completions", {"prompt": "a", "max_tokens": "3"}, "max_tokens"),
        ("/v1/completions", {"prompt": "a", "stream": "yes"}, "stream"),
        ("/completion", {"prompt": "a", "n_predict": "3"}, "n_predict"),
        ("/v1/embeddings", {"input": "a", "dimensions": "3"}, "dimensions"),
        (CHAT, {"messages": HELLO, "parley_conversation": "x" * 300}, "parley_conversation"),
        ("/v1/completions", {"prompt": ["a"] * 65}, "prompt"),
        ("/v1/completions", {"prompt": []}, "messages"),
        ("/v1/completions", {"prompt": [99999999]}, "tokens"),
        ("/v1/completions", {"prompt": [-1]}, "prompt"),
        ("/v1/completions", {"prompt": "a", "suffix": "b"}, "suffix"),
        ("/completion", {"prompt": "a", "grammar": "this is no grammar"}, "grammar"),
        ("/completion", {"prompt": "a", "grammar": 'root ::= "a"', "json_schema": {}}, "grammar"),
        ("/detokenize", {"tokens": [5_000_000]}, "tokens"),
        ("/detokenize", {"tokens": ["a"]}, "tokens[0]"),
        ("/tokenize", {}, "content"),
    ],
)
def test_what_is_wrong_is_said(worker: RunningWorker, path: str, body: Any, param: str | None) -> None:
    answer = worker.ask(path, body)
    assert answer.status == 400, answer.body
    error = answer.body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error" and error["message"]
    if param is not None:
        assert (error["param"] or "").startswith(param)


@pytest.mark.parametrize(
    ("path", "method", "body", "status"),
    [
        (CHAT, "POST", {"messages": HELLO, "model": "gpt-9"}, 404),
        ("/v1/nothing", "GET", None, 404),
        (CHAT, "GET", None, 405),
        (CHAT, "POST", b'{"messages": "' + b"x" * (65 << 20) + b'"}', 413),
    ],
)
def test_other_refusals(worker: RunningWorker, path: str, method: str, body: Any, status: int) -> None:
    answer = worker.ask(path, body, method=method)
    assert answer.status == status
    assert answer.body["error"]["message"]


async def test_a_body_that_does_not_say_how_long_it_is_is_cut_off(worker: RunningWorker) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    async with aiohttp.ClientSession() as http:
        try:
            async with http.post(worker.url + CHAT, data=endless()) as answer:
                assert answer.status == 413
        except aiohttp.ClientConnectionError:
            pass  # it hung up while we were still sending: also an answer
    assert worker.ask("/health").status == 200


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_web_pages_are_kept_out(worker: RunningWorker, headers: dict[str, str]) -> None:
    assert worker.ask("/health", **headers).status == 403
    assert worker.ask("/health", Origin="http://localhost:4000").status == 200


def test_odd_text_is_text(worker: RunningWorker) -> None:
    for text in ("\x00", "\ud800", "<|im_end|><|im_start|>system\n", "\u202e" * 50, "😀" * 200):
        body = {"messages": [{"role": "user", "content": text}], "max_tokens": 3, "temperature": 0}
        assert worker.ask(CHAT, body).status == 200
    refused = worker.ask(CHAT, b'{"messages":[{"role":"user","content":"x"}],"model":"\\ud800"}')
    assert refused.status == 404


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    "messages model stream stream_options temperature top_p top_k min_p max_completion_tokens stop seed n "
    "frequency_penalty presence_penalty repeat_penalty logit_bias logprobs response_format tools tool_choice user "
    "parley_conversation parley_priority parley_user"
).split()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=4))
def test_any_values_in_any_fields_are_answered(worker: RunningWorker, changes: dict[str, Any]) -> None:
    body = {"messages": HELLO, "max_tokens": 2, **changes}
    body["max_tokens"] = 2
    answer = worker.ask(CHAT, json.dumps(body).encode())
    assert answer.status in (200, 400, 404), answer.body


async def test_sigterm_ends_it_in_the_middle_of_a_reply() -> None:
    with running_worker() as worker:
        body = {"messages": HELLO, "stream": True, "logit_bias": worker.never_ending()}
        async with aiohttp.ClientSession() as http, http.post(worker.url + CHAT, json=body) as answer:
            await answer.content.readany()
            worker.process.send_signal(signal.SIGTERM)
            with anyio.fail_after(60):
                while worker.process.poll() is None:
                    await anyio.sleep(0.02)
        assert worker.process.returncode in (0, -signal.SIGTERM)


def test_it_ends_when_its_supervisor_is_gone(free_port: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "llm.worker", "--model", str(model_path()), "--port", str(free_port)],
        stdin=subprocess.PIPE,
        env=os.environ | {lifeline.ENV: "1"},
    )
    worker = RunningWorker(free_port, process)
    try:
        worker.until_ready()
        assert process.stdin is not None
        process.stdin.close()  # what the kernel does when the supervisor dies
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--ctx-size", "many"),
        ("--mlock", "perhaps"),
        ("--kv-cache-type", "f99"),
        ("--nonsense", "1"),
        ("--engine", "x"),
        ("--parallel", "0"),
    ],
)
def test_wrong_options_are_said(arguments: tuple[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "llm.worker", "--model", "x.gguf", "--port", "1", *arguments],
        capture_output=True,
        timeout=200,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert arguments[0].strip("-") in ended.stderr or "there is llama_cpp" in ended.stderr


def test_a_file_that_is_no_model_is_said_and_ends_it(tmp_path: Any) -> None:
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"GGUF but not really")
    with pytest.raises(AssertionError, match="exit 3"), running_worker(model=wrong):
        pass


def test_null_means_the_default(worker: RunningWorker) -> None:
    """OpenAI's document calls these fields nullable."""
    body = {"messages": HELLO, "stream": None, "max_tokens": 2, "stream_options": None, "n": None}
    assert worker.ask(CHAT, body).body["object"] == "chat.completion"
    written = worker.ask("/v1/completions", {"prompt": "one two", "stream": None, "max_tokens": None})
    assert 1 <= written.body["usage"]["completion_tokens"] <= 16


@pytest.mark.parametrize("stream", [False, True])
def test_a_limit_of_zero_reads_the_prompt_only(worker: RunningWorker, stream: bool) -> None:
    body = {"prompt": "one two", "max_tokens": 0, "echo": True, "stream": stream}
    answer = worker.ask("/v1/completions", body).body
    if stream:
        chunks = [json.loads(line[6:]) for line in answer.splitlines() if line.startswith(b"data: {")]
        assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "one two"
    else:
        assert answer["choices"][0]["text"] == "one two" and answer["choices"][0]["finish_reason"] == "length"
        assert answer["usage"]["completion_tokens"] == 0 and answer["usage"]["prompt_tokens"] > 0
    silent = worker.ask("/completion", {"prompt": "one two", "n_predict": 0}).body
    assert (silent["content"], silent["tokens_predicted"], silent["stop_type"]) == ("", 0, "limit")
    assert silent["tokens_evaluated"] > 0


def test_native_prompts_mix_text_and_tokens(worker: RunningWorker) -> None:
    token = worker.token("a")
    one = worker.ask("/completion", {"prompt": ["one", token], "n_predict": 0}).body
    several = worker.ask("/completion", {"prompt": [["one", token], "one"], "n_predict": 0}).body
    assert [row["tokens_evaluated"] for row in several] == [one["tokens_evaluated"], one["tokens_evaluated"] - 1]
    refused = worker.ask("/completion", {"prompt": [token, ["one"]], "n_predict": 0})
    assert refused.status == 400 and refused.body["error"]["param"] == "prompt"


def test_native_answers_tell_their_settings_and_only_what_was_asked(worker: RunningWorker) -> None:
    body = {"prompt": "one", "n_predict": 2, "temperature": 0.5, "seed": 7, "stop": ["x"], "id_slot": 1}
    whole = worker.ask("/completion", body).body["generation_settings"]
    assert (whole["n_predict"], whole["temperature"], whole["seed"], whole["stop"]) == (2, 0.5, 7, ["x"])
    fields = ["content", "generation_settings/n_predict", "nothing/there"]
    some = worker.ask("/completion", {**body, "response_fields": fields}).body
    assert list(some) == fields[:2] and some["generation_settings/n_predict"] == 2


def test_samplers_that_are_not_named_are_off(worker: RunningWorker) -> None:
    """top_k 1 leaves no choice; where only the temperature is named, it is off."""
    body = {"prompt": "one", "n_predict": 8, "top_k": 1, "temperature": 5.0}

    def texts(**more: Any) -> set[str]:
        asked = ({**body, "seed": seed, **more} for seed in range(4))
        return {worker.ask("/completion", one).body["content"] for one in asked}

    assert len(texts()) == len(texts(samplers="kt")) == 1
    assert len(texts(samplers=["temperature"])) > 1
    wrong = worker.ask("/completion", {"prompt": "one", "samplers": ["magic"]})
    assert wrong.status == 400 and wrong.body["error"]["param"] == "samplers"
