"""Conversions that the chat round trips do not touch: completions, formats, stop strings, biases. All pure."""

from __future__ import annotations

from typing import Any

import pytest

from llm.convert.chat import parse_body, parse_chat, template_variables, to_body, to_request
from llm.convert.completions import (
    TextWriter,
    completion_sampling,
    native_answer,
    native_sampling,
    priority_of,
    prompts_of,
)
from llm.convert.formats import grammar_schema
from llm.engine import EngineFinish
from llm.messages import GenerateRequest, Message, Priority
from llm.stream import TokenLogprob, Usage
from llm.wire.completions import CompletionRequest, NativeCompletionRequest
from models.errors import BadInput

HELLO = [{"role": "user", "content": "hello"}]
DONE = EngineFinish("length", Usage(10, 5, 4), 0.001, 0.002, 0.04)


def completion(**fields: Any) -> CompletionRequest:
    return parse_body(CompletionRequest, {"prompt": "a", **fields})


def native(**fields: Any) -> NativeCompletionRequest:
    return parse_body(NativeCompletionRequest, {"prompt": "a", **fields})


def test_the_format_of_a_reply() -> None:
    schema = {"type": "object"}
    assert grammar_schema(None) is None
    assert grammar_schema({"type": "text"}) is None
    assert grammar_schema({"type": "json_object"}) == {}
    assert grammar_schema({"type": "json_schema", "json_schema": {"schema": schema}}) == schema
    for wrong in ({"type": "yaml"}, {"type": "json_schema"}, {"type": "json_schema", "json_schema": {"schema": 1}}):
        with pytest.raises(BadInput):
            grammar_schema(wrong)


def test_the_format_goes_on_to_the_server() -> None:
    asked = to_request(parse_chat({"messages": HELLO, "response_format": {"type": "json_object"}}))
    assert to_body(asked, "m")["response_format"] == {"type": "json_object"}
    assert "response_format" not in to_body(GenerateRequest((Message("user", "x"),)), "m")


def test_what_templates_read_reaches_our_own_slots() -> None:
    thought = {"role": "assistant", "content": "b", "reasoning_content": "hm", "audio": {"id": "x"}}
    told: dict[str, Any] = {"chat_template_kwargs": {"date": "today"}, "reasoning_effort": "high"}
    told |= {"continue_final_message": True, "metadata": {"a": "b"}}
    body = to_body(to_request(parse_chat({"messages": [*HELLO, thought], **told})), "m", ours=True)
    assert {name: body.get(name) for name in told} == {**told, "metadata": None}
    assert body["messages"][1] == {"role": "assistant", "content": "b", "reasoning_content": "hm"}
    again = to_request(parse_chat(body))
    variables = {"date": "today", "reasoning_effort": "high", "continue_final_message": True}
    assert template_variables(again) == variables
    assert again.messages[1].extra == {"reasoning_content": "hm"}


def test_no_thoughts_by_either_name_that_templates_have_for_them() -> None:
    off = to_request(parse_chat({"messages": HELLO, "reasoning_effort": "none"}))
    assert template_variables(off) == {"thinking": False, "enable_thinking": False}
    own = {"enable_thinking": True, "thinking": False}
    asked = to_request(parse_chat({"messages": HELLO, "chat_template_kwargs": own}))
    assert template_variables(asked) == own


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stop": ["a"] * 17}, "stop"),
        ({"stop": ["a" * 501]}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"logit_bias": {"a": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias"),
        ({"n": 17}, "n"),
    ],
)
def test_sampling_that_cannot_be(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadInput) as chat:
        to_request(parse_chat({"messages": HELLO, **fields}))
    with pytest.raises(BadInput) as text:
        completion_sampling(completion(**fields))
    assert chat.value.param == text.value.param == param


@pytest.mark.parametrize("fields", [{"suffix": "x"}, {"best_of": 2}])
def test_what_completions_do_not_offer(fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        completion_sampling(completion(**fields))


def test_prompts_in_any_of_their_forms() -> None:
    assert prompts_of("a") == prompts_of(["a"]) == ["a"]
    assert prompts_of([1, 2]) == prompts_of([[1, 2]]) == [[1, 2]]
    assert prompts_of([]) == [[]]
    assert prompts_of(["a", "b"]) == ["a", "b"]
    with pytest.raises(BadInput):
        prompts_of(["a"] * 65)


def test_llama_cpps_own_names_and_its_off_values() -> None:
    sampling = native_sampling(native(n_predict=-1, seed=-1, top_k=-5, top_p=2.0, min_p=-1.0, stop=["", "x"]))
    assert (sampling.max_tokens, sampling.seed, sampling.top_k, sampling.top_p, sampling.min_p) == (
        None,
        None,
        0,
        1.0,
        0.0,
    )
    assert sampling.stop == ("x",)
    assert native_sampling(native(n_predict=7, seed=0)).max_tokens == 7
    assert native_sampling(native(logit_bias=[[5, False], [6, 1.5]])).logit_bias == {5: -1e9, 6: 1.5}
    assert native_sampling(native(logit_bias={"5": 2})).logit_bias == {5: 2.0}
    with pytest.raises(BadInput):
        native_sampling(native(logit_bias={"a": 2}))


def test_priorities() -> None:
    assert priority_of(None) is Priority.INTERACTIVE
    assert priority_of("voice") is Priority.VOICE


def test_answers_of_text_completions() -> None:
    whole = TextWriter("id", "m", 1)
    choice = whole.choice(0, "text", (), DONE.reason)
    assert choice == {"index": 0, "text": "text", "logprobs": None, "finish_reason": "length"}
    assert whole.whole([choice], DONE.usage)["usage"]["total_tokens"] == 15
    piece = whole.chunk(0, "te", (), None)
    assert piece["choices"][0]["finish_reason"] is None and "usage" not in piece and whole.usage(DONE.usage) == []
    counting = TextWriter("id", "m", 1, include_usage=True)
    assert counting.chunk(1, "", (), DONE.reason)["usage"] is None
    (usage,) = counting.usage(DONE.usage)
    assert usage["choices"] == [] and usage["usage"]["prompt_tokens_details"] == {"cached_tokens": 4}


def test_logprobs_of_text_completions_say_where_each_token_begins() -> None:
    writer = TextWriter("id", "m", 1)
    tokens = (TokenLogprob("ab", -1.0, b"ab", (TokenLogprob("c", -0.5, b"c"),)), TokenLogprob("d", -2.0, b"d"))
    first = writer.choice(0, "abd", tokens, None)["logprobs"]
    assert (
        first["tokens"] == ["ab", "d"] and first["text_offset"] == [0, 2] and first["top_logprobs"][0] == {"c": -0.5}
    )
    assert writer.choice(0, "ab", tokens[:1], None)["logprobs"]["text_offset"] == [3]


def test_answers_in_llama_cpps_form() -> None:
    assert native_answer("m", "te", None) == {"index": 0, "content": "te", "tokens": [], "stop": False}
    stopped = native_answer("m", "", EngineFinish("stop", Usage(1, 1, 0), stopped_by="END"))
    assert (stopped["stop_type"], stopped["stopping_word"]) == ("word", "END")
    whole = native_answer("m", "text", DONE)
    assert whole["stop"] and whole["stop_type"] == "limit"
    assert whole["timings"]["prompt_n"] == 6 and whole["timings"]["prompt_per_second"] == 3000.0
    assert whole["timings"]["predicted_per_second"] == 100.0
    nothing = native_answer("m", "", EngineFinish("stop", Usage(1, 1, 0)))
    assert nothing["stop_type"] == "eos" and nothing["timings"]["predicted_per_second"] == 0.0
