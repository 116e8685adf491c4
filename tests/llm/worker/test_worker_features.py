"""What a slot offers beside plain replies, with the real model over real sockets: choices, logprobs, grammars, tools,
vectors, adapters, images, states in files.

Why this file is long: one worker, whose start costs more than the tests.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from llm.backends.slot import SlotBackend
from llm.messages import GenerateRequest, ImagePart, Message, Sampling, TextPart
from llm.port import BackendConfig
from llm.stream import ChoiceEnd, Finish, StreamEvent, TextDelta, ToolCallDelta
from tests.llm.tiny_parts import png, write_lora, write_projector
from tests.llm.worker_process import Answer, RunningWorker, model_path, running_worker

CHAT = "/v1/chat/completions"
QUESTION = "what is the capital of france"
LAMP = {
    "type": "function",
    "function": {
        "name": "set_lamp",
        "parameters": {
            "type": "object",
            "properties": {"room": {"type": "string", "enum": ["kitchen", "hall"]}, "on": {"type": "boolean"}},
            "required": ["room", "on"],
            "additionalProperties": False,
        },
    },
}
TIME = {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    write_lora(folder / "lora.gguf", model_path())
    write_projector(folder / "projector.gguf", 256)
    return folder


@pytest.fixture(scope="module")
def worker(parts: Path) -> Iterator[RunningWorker]:
    if "parley-mini" not in model_path().name:
        pytest.skip("the bundled model is not there")
    options = ("--lora", f"{parts / 'lora.gguf'}=0", "--mmproj", str(parts / "projector.gguf"))
    with running_worker(*options, "--state-dir", str(parts / "states")) as running:
        yield running


def chat(text: str = QUESTION, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 12, **more}


def choices(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.body["choices"]
    return found


def stream(worker: RunningWorker, body: dict[str, Any]) -> list[dict[str, Any]]:
    import urllib.request

    request = urllib.request.Request(worker.url + CHAT, json.dumps({**body, "stream": True}).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        lines = [line[6:] for line in answer.read().split(b"\n") if line.startswith(b"data: {")]
    return [json.loads(line) for line in lines]


class TestChoices:
    def test_the_prompt_of_several_choices_is_read_once(self, worker: RunningWorker) -> None:
        before = worker.statistics()
        body = chat("tell me a story " * 30, n=4, temperature=1.2, seed=3)
        answer = worker.ask(CHAT, body)
        found = choices(answer)
        assert [choice["index"] for choice in found] == [0, 1, 2, 3]
        assert len({choice["message"]["content"] for choice in found}) > 1
        usage, after = answer.body["usage"], worker.statistics()
        read = after["prompt_tokens"] - before["prompt_tokens"]
        assert read < 1.2 * usage["prompt_tokens"]
        assert after["completion_tokens"] - before["completion_tokens"] == usage["completion_tokens"]
        assert [choice["message"] for choice in choices(worker.ask(CHAT, body))] == [c["message"] for c in found]

    def test_choices_are_told_apart_in_a_stream(self, worker: RunningWorker) -> None:
        body = chat("tell me a joke", n=3, temperature=1.2, seed=3, stream_options={"include_usage": True})
        whole = [choice["message"]["content"] for choice in choices(worker.ask(CHAT, body))]
        texts, ends = ["", "", ""], {}
        for chunk in stream(worker, body):
            for choice in chunk["choices"]:
                texts[choice["index"]] += choice["delta"].get("content", "")
                if choice["finish_reason"]:
                    ends[choice["index"]] = choice["finish_reason"]
        assert texts == whole and set(ends) == {0, 1, 2}

    def test_a_prompt_that_many_bring_at_once_is_read_once(self, worker: RunningWorker) -> None:
        """A common system prompt, nobody's before, from eight users at the same moment."""
        system = {"role": "system", "content": "You answer like a sailor from the north who counts the stars. " * 20}
        tokens = worker.ask("/apply-template", {"messages": [system]}).body["tokens"]
        before = worker.statistics()

        def ask(number: int) -> Answer:
            user = {"role": "user", "content": f"who are you, number {number}"}
            return worker.ask(CHAT, {"messages": [system, user], "max_tokens": 4, "temperature": 0})

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(8)))
        assert all(answer.status == 200 for answer in answers)
        after = worker.statistics()
        assert after["prompt_tokens"] - before["prompt_tokens"] < 2 * tokens, (tokens, before, after)


class TestLogprobs:
    def test_greedy_replies_take_the_likeliest_token(self, worker: RunningWorker) -> None:
        (choice,) = choices(worker.ask(CHAT, chat(logprobs=True, top_logprobs=3)))
        told = choice["logprobs"]["content"]
        assert "".join(one["token"] for one in told) == choice["message"]["content"]
        for one in told:
            top = [other["logprob"] for other in one["top_logprobs"]]
            assert len(top) == 3 and top == sorted(top, reverse=True)
            assert one["token"] == one["top_logprobs"][0]["token"] and one["logprob"] == top[0] <= 0
            assert bytes(one["bytes"]).decode() == one["token"]

    def test_all_of_the_vocabulary_makes_one(self, worker: RunningWorker) -> None:
        body = {"prompt": QUESTION, "n_predict": 1, "n_probs": 100, "temperature": 0}
        (one,) = worker.ask("/completion", body).body["completion_probabilities"]
        total = sum(math.exp(other["logprob"]) for other in one["top_logprobs"])
        assert 0.5 < total <= 1.0001

    def test_a_stream_tells_the_same(self, worker: RunningWorker) -> None:
        body = chat(logprobs=True, top_logprobs=1)
        (choice,) = choices(worker.ask(CHAT, body))
        told = [
            one
            for chunk in stream(worker, body)
            for part in chunk["choices"]
            if part["logprobs"]
            for one in part["logprobs"]["content"]
        ]
        assert told == choice["logprobs"]["content"]


class TestGrammars:
    @pytest.mark.parametrize("temperature", [0, 2.0])
    def test_a_reply_obeys_its_schema(self, worker: RunningWorker, temperature: float) -> None:
        schema = LAMP["function"]["parameters"]  # type: ignore[index]
        format = {"type": "json_schema", "json_schema": {"name": "lamp", "strict": True, "schema": schema}}
        body = chat(response_format=format, max_tokens=200, temperature=temperature, seed=1)
        said = json.loads(choices(worker.ask(CHAT, body))[0]["message"]["content"])
        assert said["room"] in ("kitchen", "hall") and isinstance(said["on"], bool)

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_numbers_stay_within_their_bounds(self, worker: RunningWorker, seed: int) -> None:
        bounds = {
            "age": {"type": "integer", "minimum": 18, "exclusiveMaximum": 1317},
            "share": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
            "cold": {"type": "number", "maximum": -7},
            "warm": {"type": "number", "minimum": 36.123456789012, "exclusiveMaximum": 37.5},
            "price": {"type": "number", "minimum": 0.5, "maximum": 2.75, "multipleOf": 0.01},
            "pet": {"oneOf": [{"type": "string", "maxLength": 3}, {"type": "integer", "multipleOf": 10}]},
        }
        schema = {"type": "object", "properties": bounds, "required": [*bounds], "additionalProperties": False}
        format = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": schema}}
        body = chat(response_format=format, max_tokens=200, temperature=2.0, seed=seed)
        said = json.loads(choices(worker.ask(CHAT, body))[0]["message"]["content"])
        assert isinstance(said["age"], int) and 18 <= said["age"] < 1317
        assert said["share"] is None or 0 < said["share"] <= 1
        assert said["cold"] <= -7 and 36.123456789012 <= said["warm"] < 37.5
        assert 0.5 <= said["price"] <= 2.75 and Decimal(repr(said["price"])) % Decimal("0.01") == 0
        assert isinstance(said["pet"], str) or said["pet"] % 10 == 0

    @pytest.mark.parametrize(
        "schema",
        [
            {"$defs": {"T": {"type": "object", "required": ["next"],
             "properties": {"next": {"anyOf": [{"$ref": "#/$defs/T"}, {"type": "null"}]}}}}, "$ref": "#/$defs/T"},
            {"type": "object", "properties": {"any": True, "one": {"const": 1}}, "required": ["one"]},
            {"type": "array", "items": {"type": "string", "maxLength": 5}, "minItems": 1, "maxItems": 2},
        ],
    )  # fmt: skip
    def test_schemas_as_people_write_them(self, worker: RunningWorker, schema: dict[str, Any]) -> None:
        body = {"prompt": QUESTION, "json_schema": schema, "n_predict": 120, "temperature": 0}
        answer = worker.ask("/completion", body)
        assert answer.status == 200, answer.body
        assert answer.body["content"].lstrip()[0] in "{["

    @pytest.mark.parametrize(
        "body",
        [
            {"grammar": "root ::= " + "(" * 60_000 + '"a"' + ")" * 60_000},
            {"grammar": "root ::= a0\n" + "".join(f"a{n} ::= a{n + 1}\n" for n in range(12_000)) + 'a12000 ::= "x"'},
            {"grammar": 'root ::= root "a"'},
            {"json_schema": {"type": "string", "maxLength": 10**9}},
            {"json_schema": {"type": "array", "items": {"type": "string"}, "minItems": -1}},
            {"json_schema": {"properties": {"a": 5}}},
        ],
    )
    def test_hostile_ones_are_refused(self, worker: RunningWorker, body: dict[str, Any]) -> None:
        assert worker.ask("/completion", {"prompt": "a", "n_predict": 1, **body}).status == 400
        assert worker.ask("/health").status == 200

    def test_a_grammar_of_ones_own(self, worker: RunningWorker) -> None:
        (choice,) = choices(worker.ask(CHAT, chat(grammar='root ::= "yes" | "no"', temperature=1.5)))
        assert choice["message"]["content"] in ("yes", "no") and choice["finish_reason"] == "stop"

    def test_a_grammar_and_a_bias_that_forbids_its_end_do_not_kill_the_worker(self, worker: RunningWorker) -> None:
        body = chat(grammar='root ::= "yes"', logit_bias=worker.never_ending(), ignore_eos=True)
        assert choices(worker.ask(CHAT, body))[0]["message"]["content"] == "yes"
        assert worker.ask("/health").status == 200

    @pytest.mark.parametrize(
        "sampler",
        [
            {"mirostat": 1},
            {"mirostat": 2, "mirostat_tau": 3.0},
            {"dry_multiplier": 2.0, "dry_allowed_length": 1},
            {"typical_p": 0.2},
            {"xtc_probability": 1.0, "xtc_threshold": 0.05},
            {"top_n_sigma": 0.5},
            {"repeat_penalty": 1.9, "repeat_last_n": -1},
            {"min_p": 0.9},
            {"frequency_penalty": 2.0, "presence_penalty": 2.0},
            {"dynatemp_range": 0.7, "dynatemp_exponent": 2.0},
            {"top_p": 0.1, "min_keep": 5},
        ],
    )
    def test_every_sampler_reproduces_and_obeys_a_grammar(
        self, worker: RunningWorker, sampler: dict[str, Any]
    ) -> None:
        body = chat("tell me a story", temperature=1.5, seed=11, max_tokens=40, **sampler)
        assert choices(worker.ask(CHAT, body)) == choices(worker.ask(CHAT, body))
        within = choices(worker.ask(CHAT, {**body, "grammar": "root ::= [a-z ]{10}"}))[0]["message"]["content"]
        assert len(within) == 10 and set(within) <= set("abcdefghijklmnopqrstuvwxyz ")

    def test_a_temperature_that_follows_how_sure_the_model_is(self, worker: RunningWorker) -> None:
        """With a high exponent it is the lowest there may be wherever not all tokens are equally likely: none."""
        body = {"prompt": "The capital of France is", "n_predict": 8, "temperature": 1.0, "dynatemp_range": 1.0}
        sure = {
            worker.ask("/completion", {**body, "dynatemp_exponent": 50.0, "seed": n}).body["content"]
            for n in range(5)
        }
        assert sure == {worker.ask("/completion", {**body, "temperature": 0, "dynatemp_range": 0}).body["content"]}

    def test_tokens_that_are_kept_in_any_case(self, worker: RunningWorker) -> None:
        body = {"prompt": "The", "n_predict": 1, "temperature": 50.0, "top_k": 0, "top_p": 0.0, "min_p": 1.0}

        def said(**more: int) -> set[str]:
            return {worker.ask("/completion", {**body, **more, "seed": n}).body["content"] for n in range(20)}

        assert len(said()) == 1 < len(said(min_keep=50))

    def test_what_penalties_count(self, worker: RunningWorker) -> None:
        """By OpenAI's API the reply; by llama.cpp's own the prompt, too."""
        first, second = worker.token(" cat"), worker.token(" dog")
        bias = {str(first): 70.0, str(second): 50.0}
        body = {"prompt": [first] * 30, "temperature": 0, "logit_bias": bias, "frequency_penalty": 2.0}
        answer = worker.ask("/v1/completions", {**body, "max_tokens": 1})
        assert answer.body["choices"][0]["text"] == " cat"
        assert worker.ask("/completion", {**body, "n_predict": 1}).body["content"] == " dog"
        assert worker.ask("/completion", {**body, "n_predict": 1, "repeat_last_n": 0}).body["content"] == " cat"


class TestTools:
    @pytest.mark.parametrize(
        ("choice", "names"),
        [
            ("required", {"set_lamp", "time"}),
            ({"type": "function", "function": {"name": "set_lamp"}}, {"set_lamp"}),
        ],
    )
    def test_a_tool_that_must_be_called_is_called(
        self, worker: RunningWorker, choice: object, names: set[str]
    ) -> None:
        body = chat(tools=[LAMP, TIME], tool_choice=choice, parallel_tool_calls=False, max_tokens=100)
        (found,) = choices(worker.ask(CHAT, body))
        assert found["finish_reason"] == "tool_calls" and found["message"]["content"] is None
        (call,) = found["message"]["tool_calls"]
        assert call["function"]["name"] in names and call["id"]
        arguments = json.loads(call["function"]["arguments"])
        if call["function"]["name"] == "set_lamp":
            assert arguments["room"] in ("kitchen", "hall") and isinstance(arguments["on"], bool)
        deltas = [chunk["choices"][0]["delta"].get("tool_calls", []) for chunk in stream(worker, body)]
        pieces = [delta["function"]["arguments"] for calls in deltas for delta in calls]
        assert "".join(pieces) == call["function"]["arguments"] and len(pieces) > 1

    @pytest.mark.parametrize("more", [{}, {"parameters": None}, {"parameters": {}}])
    def test_a_tool_that_names_no_arguments_has_none(self, worker: RunningWorker, more: dict[str, Any]) -> None:
        tool = {"type": "function", "function": {"name": "stop", **more}}
        body = chat(tools=[tool], tool_choice="required", parallel_tool_calls=False, max_tokens=100)
        (found,) = choices(worker.ask(CHAT, body))
        (call,) = found["message"]["tool_calls"]
        assert json.loads(call["function"]["arguments"]) == {} and found["finish_reason"] == "tool_calls"

    def test_a_strict_tool_is_held_to_all_that_it_says(self, worker: RunningWorker) -> None:
        third = {"type": "object", "properties": {"x": {"type": "integer", "multipleOf": 3}}, "required": ["x"]}
        tool = {"type": "function", "function": {"name": "third", "parameters": third, "strict": True}}
        answer = worker.ask(CHAT, chat(tools=[tool], tool_choice="required"))
        assert answer.status == 400 and "multipleOf" in answer.body["error"]["message"]

    def test_what_the_reply_may_not_be(self, worker: RunningWorker) -> None:
        body = chat(tools=[TIME], tool_choice="required", response_format={"type": "json_object"})
        assert worker.ask(CHAT, body).body["error"]["param"] == "tool_choice"
        other = {"type": "function", "function": {"name": "other"}}
        assert worker.ask(CHAT, chat(tools=[TIME], tool_choice=other)).body["error"]["param"] == "tool_choice"

    def test_a_reply_goes_on_with_the_last_message(self, worker: RunningWorker) -> None:
        messages = [{"role": "user", "content": QUESTION}]
        whole = choices(worker.ask(CHAT, chat(messages=messages, max_tokens=20)))[0]["message"]["content"]
        begun = whole[: len(whole) // 2].rstrip()
        assert begun
        body = chat(messages=[*messages, {"role": "assistant", "content": begun}], continue_final_message=True)
        prompt = worker.ask("/apply-template", body).body["prompt"]
        assert prompt.endswith(begun)
        assert worker.ask(CHAT, {**body, "max_tokens": 20}).body["choices"][0]["message"]["content"].strip()
        refused = worker.ask(CHAT, chat(messages=messages, continue_final_message=True))
        assert refused.status == 400 and refused.body["error"]["param"] == "continue_final_message"

    def test_calls_and_results_go_into_the_prompt(self, worker: RunningWorker) -> None:
        call = {"id": "abc", "type": "function", "function": {"name": "time", "arguments": "{}"}}
        messages = [
            {"role": "user", "content": "what time is it"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "abc", "content": "ten o'clock"},
        ]
        prompt = worker.ask("/apply-template", {"messages": messages, "tools": [TIME]}).body["prompt"]
        assert "ten o'clock" in prompt and '"name": "time"' in prompt and "<tools>" in prompt


class TestVectors:
    def test_what_means_the_same_lies_near(self, worker: RunningWorker) -> None:
        texts = ["turn on the light", "switch the lamp on", "what is two plus three"]
        answer = worker.ask("/v1/embeddings", {"input": texts})
        assert answer.status == 200 and answer.body["usage"]["prompt_tokens"] > 0
        vectors = [row["embedding"] for row in answer.body["data"]]
        near, far = (sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:])
        assert near > far and all(abs(sum(a * a for a in vector) - 1) < 1e-6 for vector in vectors)

    def test_a_text_has_the_same_vector_alone_and_among_others_and_beside_replies(
        self, worker: RunningWorker
    ) -> None:
        texts = [f"{QUESTION} number {number} " * (number % 7 + 1) for number in range(70)]
        with ThreadPoolExecutor(3) as pool:
            busy = pool.submit(worker.ask, CHAT, chat(max_tokens=60, ignore_eos=True))
            many = pool.submit(worker.ask, "/v1/embeddings", {"input": texts}).result()
            assert len(choices(busy.result())) == 1
        for number in (0, 33, 69):
            (alone,) = worker.ask("/v1/embeddings", {"input": texts[number]}).body["data"]
            pairs = zip(alone["embedding"], many.body["data"][number]["embedding"], strict=True)
            assert max(abs(a - b) for a, b in pairs) < 1e-3

    def test_base64_tokens_and_fewer_dimensions(self, worker: RunningWorker) -> None:
        import struct

        tokens = worker.ask("/tokenize", {"content": "hello", "add_special": True}).body["tokens"]
        plain = worker.ask("/v1/embeddings", {"input": "hello", "dimensions": 16}).body["data"][0]["embedding"]
        body = {"input": [tokens], "encoding_format": "base64", "dimensions": 16}
        packed = worker.ask("/v1/embeddings", body).body["data"][0]["embedding"]
        assert struct.unpack("<16f", base64.b64decode(packed)) == pytest.approx(plain, abs=1e-6)

    @pytest.mark.parametrize(
        ("path", "body", "param"),
        [
            ("/v1/embeddings", {"input": []}, "input"),
            ("/v1/embeddings", {"input": ["a", ""]}, "input"),
            ("/v1/embeddings", {"input": "a " * 20_000}, "input"),
            ("/v1/embeddings", {"input": "a", "dimensions": 9999}, "dimensions"),
            ("/v1/embeddings", {"input": [10**9]}, "tokens"),
            ("/v1/embeddings", {"input": "a", "encoding_format": "hex"}, "encoding_format"),
            ("/v1/rerank", {"query": "", "documents": ["a"]}, "query"),
            ("/v1/rerank", {"query": "a", "documents": [{"title": "x"}]}, "documents[0]"),
        ],
    )
    def test_what_is_wrong_is_said(self, worker: RunningWorker, path: str, body: dict[str, Any], param: str) -> None:
        answer = worker.ask(path, body)
        assert answer.status == 400 and answer.body["error"]["param"] == param

    def test_the_best_document_comes_first(self, worker: RunningWorker) -> None:
        documents = ["what is two plus three", {"text": "turn on the light"}, "tell me a joke"]
        body = {"query": "switch the light on", "documents": documents, "top_n": 2, "return_documents": True}
        results = worker.ask("/v1/rerank", body).body["results"]
        assert [result["index"] for result in results][0] == 1 and len(results) == 2
        assert results[0]["document"] == {"text": "turn on the light"}
        assert results[0]["relevance_score"] >= results[1]["relevance_score"]


class TestAdapters:
    def test_a_request_chooses_its_adapters_and_shares_nothing_with_others(self, worker: RunningWorker) -> None:
        text = "what is the capital of france please tell me now my dear friend of mine"
        plain = worker.ask(CHAT, chat(text)).body
        bent = worker.ask(CHAT, chat(text, lora=[{"id": 0, "scale": 1.0}])).body
        assert bent["choices"][0]["message"] != plain["choices"][0]["message"]
        assert bent["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
        with ThreadPoolExecutor(4) as pool:
            bodies = [chat(text), chat(text, lora=[{"id": 0, "scale": 1.0}])] * 2
            answers = list(pool.map(lambda body: worker.ask(CHAT, body).body, bodies))
        wanted = [plain, bent] * 2
        assert [a["choices"][0]["message"] for a in answers] == [w["choices"][0]["message"] for w in wanted]
        assert worker.ask(CHAT, chat(lora=[{"id": 7}])).body["error"]["param"] == "lora"
        assert worker.ask("/lora-adapters").body[0]["scale"] == 0


def _looking(*colours: tuple[int, int, int], **more: Any) -> dict[str, Any]:
    def image(colour: tuple[int, int, int]) -> dict[str, Any]:
        data = base64.b64encode(png(*colour)).decode()
        return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}

    content = [{"type": "text", "text": "look"}, *map(image, colours), {"type": "text", "text": "what is it"}]
    return {"messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 12, **more}


class TestImages:
    def test_images_count_and_are_kept_for_the_next_turn(self, worker: RunningWorker) -> None:
        red, blue = (255, 0, 0), (0, 0, 255)
        first, again = worker.ask(CHAT, _looking(red)).body, worker.ask(CHAT, _looking(red)).body
        prompt = first["usage"]["prompt_tokens"]
        assert again["choices"][0]["message"] == first["choices"][0]["message"]
        assert again["usage"]["prompt_tokens_details"]["cached_tokens"] == prompt - 1
        other = worker.ask(CHAT, _looking(blue)).body
        assert other["usage"]["prompt_tokens_details"]["cached_tokens"] < prompt - 5
        both = worker.ask(CHAT, _looking(red, blue)).body["usage"]["prompt_tokens"]
        assert both >= prompt + 4

    def test_images_beside_text_replies_change_neither(self, worker: RunningWorker) -> None:
        bodies = [_looking((0, 200, shade)) if shade % 2 else chat(f"{QUESTION} {shade}") for shade in range(6)]
        alone = [choices(worker.ask(CHAT, body))[0]["message"]["content"] for body in bodies]
        with ThreadPoolExecutor(6) as pool:
            together = list(pool.map(lambda body: choices(worker.ask(CHAT, body)), bodies))
        assert [found[0]["message"]["content"] for found in together] == alone

    def test_llama_cpps_own_way(self, worker: RunningWorker) -> None:
        data = base64.b64encode(png(1, 2, 3)).decode()
        prompt = {"prompt_string": "look <__media__> and say", "multimodal_data": [data]}
        assert worker.ask("/completion", {"prompt": prompt, "n_predict": 2}).body["tokens_predicted"] == 2
        wrong = {"prompt_string": "look", "multimodal_data": [data]}
        assert worker.ask("/completion", {"prompt": wrong}).status == 400

    def test_what_is_no_image_is_refused(self, worker: RunningWorker) -> None:
        body = _looking((1, 2, 3))
        body["messages"][0]["content"][1]["image_url"]["url"] = "data:image/png;base64,aGVsbG8="
        assert worker.ask(CHAT, body).body["error"]["code"] == "invalid_request"
        body["messages"][0]["content"][1]["image_url"]["url"] = "https://example.org/a.png"
        assert worker.ask(CHAT, body).status == 400  # a slot fetches nothing
        audio = {"type": "input_audio", "input_audio": {"data": "aGVsbG8=", "format": "wav"}}
        answer = worker.ask(CHAT, {"messages": [{"role": "user", "content": [audio]}]})
        assert answer.status == 400 and "cannot handle audio" in answer.body["error"]["message"]


class TestStates:
    def test_a_sequence_is_saved_erased_and_restored(self, worker: RunningWorker) -> None:
        first = worker.ask(CHAT, chat("who are you and what can you do for me today", parley_conversation="s")).body
        row = next(row for row in worker.ask("/slots").body if row["conversation"])
        path = f"/slots/{row['id']}?action="
        assert worker.ask(path + "save", {"filename": "one.bin"}).body["n_saved"] == row["n_tokens"]
        assert worker.ask(path + "erase", {}).body["n_erased"] == row["n_tokens"]
        assert worker.ask(path + "restore", {"filename": "one.bin"}).body["n_restored"] == row["n_tokens"]
        again = worker.ask(CHAT, chat("who are you and what can you do for me today")).body
        assert again["choices"][0]["message"] == first["choices"][0]["message"]
        assert again["usage"]["prompt_tokens_details"]["cached_tokens"] == first["usage"]["prompt_tokens"] - 1

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/slots/0?action=explode", {}),
            ("/slots/9999?action=erase", {}),
            ("/slots/0?action=save", {"filename": "../x"}),
            ("/slots/0?action=save", {}),
            ("/slots/0?action=restore", {"filename": "nothing.bin"}),
        ],
    )
    def test_what_cannot_be(self, worker: RunningWorker, path: str, body: dict[str, Any]) -> None:
        assert worker.ask(path, body).status == 400

    def test_a_file_that_is_no_state_is_refused(self, worker: RunningWorker, parts: Path) -> None:
        (parts / "states").mkdir(exist_ok=True)
        (parts / "states" / "saved-bad.bin").write_bytes(b"nothing" * 100)
        free = next(row["id"] for row in worker.ask("/slots").body if not row["is_processing"])
        assert worker.ask(f"/slots/{free}?action=restore", {"filename": "bad.bin"}).status == 400
        assert choices(worker.ask(CHAT, chat()))

    def test_a_conversation_outlives_its_worker(self, tmp_path: Path) -> None:
        body = chat("who are you and what can you do for me today", parley_conversation="kept")
        with running_worker("--state-dir", str(tmp_path)) as first:
            said = first.ask(CHAT, body).body
        with running_worker("--state-dir", str(tmp_path)) as second:
            again = second.ask(CHAT, body).body
            assert not list(tmp_path.rglob("*.kv")), "read once, then on no disk"
        assert again["choices"][0]["message"] == said["choices"][0]["message"]
        assert again["usage"]["prompt_tokens_details"]["cached_tokens"] == said["usage"]["prompt_tokens"] - 1


async def test_a_gateway_gets_choices_logprobs_calls_and_images_from_a_slot(worker: RunningWorker) -> None:
    """The way of a request behind /v1/chat/completions: our own nouns, over the wire, and back."""
    config = BackendConfig("slot", "slot", f"{worker.url}/v1")
    async with aiohttp.ClientSession() as http:
        backend = SlotBackend(config, http)

        async def events(**more: Any) -> list[StreamEvent]:
            sampling = Sampling(temperature=0.0, max_tokens=150, logprobs=more.pop("logprobs", None))
            message = Message("user", QUESTION, parts=more.pop("parts", ()))
            request = GenerateRequest((message,), sampling=sampling, **more)
            return [event async for event in backend.generate(request)]

        several = await events(n=2, logprobs=1)
        assert {event.choice for event in several if isinstance(event, TextDelta)} == {0, 1}
        assert sorted(event.choice for event in several if isinstance(event, ChoiceEnd)) == [0, 1]
        assert any(event.logprobs and event.logprobs[0].top for event in several if isinstance(event, TextDelta))
        called = await events(tools=(LAMP,), tool_choice="required", parallel_tool_calls=False)
        assert isinstance(called[-1], Finish) and called[-1].reason == "tool_calls"
        assert [event.name for event in called if isinstance(event, ToolCallDelta) and event.name] == ["set_lamp"]
        shown = await events(parts=(TextPart("look"), ImagePart(png(9, 9, 9))))
        assert isinstance(shown[-1], Finish) and shown[-1].usage is not None
        obeyed = await events(grammar='root ::= "yes"')
        assert "".join(event.text for event in obeyed if isinstance(event, TextDelta)) == "yes"


def test_programs_that_know_llama_cpp_find_what_they_look_for(worker: RunningWorker) -> None:
    props = worker.ask("/props").body
    assert props["modalities"] == {"vision": True, "audio": False} and "im_start" in props["chat_template"]
    pieces = worker.ask("/tokenize", {"content": "hello there", "with_pieces": True}).body["tokens"]
    assert "".join(piece["piece"] for piece in pieces) == "hello there"
    several = worker.ask("/completion", {"prompt": ["a", "b"], "n_predict": 1}).body
    assert [answer["index"] for answer in several] == [0, 1]
    words = worker.ask(
        "/v1/completions", {"prompt": QUESTION, "echo": True, "max_tokens": 2, "logprobs": 1, "n": 2}
    ).body
    assert len(words["choices"]) == 2 and words["choices"][1]["text"].startswith(QUESTION)
