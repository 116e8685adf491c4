"""Every inference engine that can run here, behind the same worker: what clients may rely on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from llm.engine import EngineSpec
from models.registry import discover
from tests.llm.tiny_folder import make_folder
from tests.llm.worker_process import RunningWorker, model_path, running_worker

TALK = [{"role": "user", "content": "what is the capital of france"}]


@pytest.fixture(scope="module", params=["llama_cpp", "mlx", "transformers"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def worker(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorker]:
    """A small model of the format that the engine reads."""
    spec: EngineSpec = discover("llm.engines")[engine]
    model: Path = model_path() if "gguf" in spec.formats else make_folder(tmp_path_factory.mktemp(engine) / "tiny")
    if not spec.fitness(model):
        pytest.skip(f"{engine} is not installed")
    with running_worker("--engine", engine, "--parallel", "3", "--ctx-size", "256", model=model) as running:
        yield running


def chat(worker: RunningWorker, **fields: Any) -> Any:
    body = {"messages": TALK, "max_tokens": 12, "temperature": 0, **fields}
    answer = worker.ask("/v1/chat/completions", body)
    assert answer.status == 200, answer.body
    return answer.body


def text_of(body: Any) -> str:
    return str(body["choices"][0]["message"]["content"])


def streamed(worker: RunningWorker, **fields: Any) -> list[dict[str, Any]]:
    body = {"messages": TALK, "max_tokens": 12, "temperature": 0, "stream": True, **fields}
    body["stream_options"] = {"include_usage": True}
    raw = worker.ask("/v1/chat/completions", body).body
    lines = [line[6:] for line in raw.decode().splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def never_ending(worker: RunningWorker) -> dict[str, Any]:
    return {"logit_bias": worker.never_ending(), "max_tokens": 200}


def test_it_says_what_it_is(worker: RunningWorker) -> None:
    (model,) = worker.ask("/v1/models").body["data"]
    assert model["max_model_len"] == 256 and model["meta"]["n_params"] > 0 and model["meta"]["parallel"] >= 3


def test_tokens_are_counted_exactly(worker: RunningWorker) -> None:
    prompt = worker.ask("/apply-template", {"messages": TALK}).body["prompt"]
    tokens = worker.ask("/tokenize", {"content": prompt, "add_special": True, "parse_special": True}).body["tokens"]
    usage = chat(worker, **never_ending(worker) | {"max_tokens": 9})["usage"]
    assert usage["prompt_tokens"] == len(tokens)
    assert usage["completion_tokens"] == 9 and usage["total_tokens"] == len(tokens) + 9


def test_text_survives_the_tokenizer(worker: RunningWorker) -> None:
    text = "grüße aus dem café – 你好 🙂"
    tokens = worker.ask("/tokenize", {"content": text}).body["tokens"]
    assert worker.ask("/detokenize", {"tokens": tokens}).body["content"].strip() == text
    assert worker.ask("/detokenize", {"tokens": [10**9]}).status == 400


def test_a_stream_is_the_same_text_in_pieces(worker: RunningWorker) -> None:
    whole = chat(worker, **never_ending(worker) | {"max_tokens": 16})
    chunks = streamed(worker, **never_ending(worker) | {"max_tokens": 16})
    pieces = [c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]]
    assert "".join(pieces) == text_of(whole)
    assert whole["choices"][0]["finish_reason"] == "length"
    assert chunks[-1]["usage"]["completion_tokens"] == 16


def test_greedy_replies_and_seeds_repeat(worker: RunningWorker) -> None:
    bias = never_ending(worker) | {"max_tokens": 12}
    assert text_of(chat(worker, **bias)) == text_of(chat(worker, **bias))
    hot = bias | {"temperature": 1.5, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    one = text_of(chat(worker, **hot, seed=1))
    assert text_of(chat(worker, **hot, seed=1)) == one
    assert any(text_of(chat(worker, **hot, seed=seed)) != one for seed in (2, 3, 4))


def test_stop_strings_are_not_part_of_the_reply(worker: RunningWorker) -> None:
    bias = never_ending(worker) | {"max_tokens": 24}
    whole = text_of(chat(worker, **bias))
    stop = whole[4:7]
    body = chat(worker, **bias, stop=[stop])
    assert text_of(body) == whole[: whole.index(stop)] and body["choices"][0]["finish_reason"] == "stop"


def test_logit_bias_forces_a_token(worker: RunningWorker) -> None:
    (token, *_) = worker.ask("/tokenize", {"content": "a", "add_special": False}).body["tokens"]
    body = chat(worker, logit_bias={str(token): 100}, max_tokens=3)
    written = worker.ask("/detokenize", {"tokens": [token] * 3}).body["content"]
    assert text_of(body).strip() == written.strip()


def test_logprobs_are_of_what_was_written(worker: RunningWorker) -> None:
    body = chat(worker, **never_ending(worker) | {"max_tokens": 4}, logprobs=True, top_logprobs=2)
    content = body["choices"][0]["logprobs"]["content"]
    assert len(content) == 4
    for token in content:
        assert token["logprob"] <= 0 and len(token["top_logprobs"]) == 2
        assert token["top_logprobs"][0]["logprob"] >= token["top_logprobs"][1]["logprob"]


def test_replies_side_by_side_equal_replies_alone(worker: RunningWorker) -> None:
    """Caches of several requests do not mix; the fourth of three places waits."""
    bias = never_ending(worker) | {"max_tokens": 10}
    talks = [[{"role": "user", "content": f"{word} is the capital of france"}] for word in "what who how why".split()]
    alone = [text_of(chat(worker, **bias, messages=talk)) for talk in talks]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda talk: text_of(chat(worker, **bias, messages=talk)), talks))
    assert together == alone


def test_the_next_turn_computes_only_what_is_new(worker: RunningWorker) -> None:
    bias = never_ending(worker) | {"max_tokens": 6}
    first = chat(worker, **bias, parley_conversation="c1")
    again = [*TALK, {"role": "assistant", "content": text_of(first)}, {"role": "user", "content": "and of italy"}]
    second = chat(worker, **bias, messages=again, parley_conversation="c1")
    cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert cached >= first["usage"]["prompt_tokens"] // 2
    fresh = chat(worker, **bias, messages=again)
    assert text_of(second) == text_of(fresh), "what was cached does not change a reply"
    assert worker.ask("/parley/conversations/c1", method="DELETE").status == 204


def test_clients_that_hang_up_stop_the_decoder(worker: RunningWorker) -> None:
    """Far more work than three places do in the time it takes to hang up, some of it still in the queue."""
    body = json.dumps({"messages": TALK, "stream": True, "temperature": 0, **never_ending(worker)})
    before = worker.statistics()
    connections = [HTTPConnection("127.0.0.1", worker.port, timeout=200) for _ in range(16)]
    for connection in connections:
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    with connections[0].getresponse() as response:
        assert response.status == 200 and response.readline().startswith(b"data:")
    for connection in connections:
        connection.close()
    worker.until(lambda: (state := worker.statistics())["busy"] == state["waiting"] == 0)
    after = worker.statistics()
    assert after["cancelled"] - before["cancelled"] >= 4
    assert after["completion_tokens"] - before["completion_tokens"] < 16 * 200


def test_a_prompt_that_is_too_long_is_told(worker: RunningWorker) -> None:
    long = [{"role": "user", "content": "the capital of france " * 200}]
    answer = worker.ask("/v1/chat/completions", {"messages": long})
    assert answer.status == 400 and answer.body["error"]["code"] == "context_length_exceeded"


def test_a_model_that_is_none_ends_the_worker_with_a_reason(
    engine: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec: EngineSpec = discover("llm.engines")[engine]
    if "gguf" in spec.formats:
        broken = tmp_path / "broken.gguf"
        broken.write_bytes(b"GGUF" + b"\0" * 100)
    else:
        broken = make_folder(tmp_path / "broken")
        (broken / "model.safetensors").write_bytes(b"\0" * 64)
    if not spec.fitness(broken):
        pytest.skip(f"{engine} is not installed")
    begun = time.monotonic()
    with pytest.raises(AssertionError, match="exit 3"), running_worker("--engine", engine, model=broken):
        pass
    assert time.monotonic() - begun < 60 and "could not be loaded" in capfd.readouterr().err
