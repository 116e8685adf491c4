"""OpenAI's own Python client and the old text completions, answered by a real slot, and by another server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import aiohttp
import openai
import pytest
from openai import OpenAI
from openai.types import Completion

from llm.backends.ollama import Ollama
from llm.backends.openai import OpenAIServer
from llm.errors import UnknownModel
from llm.messages import GenerateRequest, Sampling
from llm.port import BackendConfig
from llm.stream import Finish, TextDelta
from tests.parley_process import ParleyProcess

PROMPT = "The capital of France is"


@pytest.fixture(scope="module")
def client(parley_server: ParleyProcess) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{parley_server.base_url}/v1", api_key=parley_server.admin_key, max_retries=0) as client:
        yield client


def _complete(client: OpenAI, **fields: Any) -> Completion:
    asked = {"model": "parley-mini", "prompt": PROMPT, "max_tokens": 4, "temperature": 0, **fields}
    answer = client.completions.create(**asked)
    Completion.model_validate(answer.to_dict())
    return answer


def test_a_text_is_gone_on_with(client: OpenAI) -> None:
    answer = _complete(client)
    (choice,) = answer.choices
    assert choice.text.strip() and choice.finish_reason in ("stop", "length")
    assert answer.usage is not None and answer.usage.completion_tokens > 0
    assert 0 < answer.usage.prompt_tokens < 12, "no template is put around it"
    assert _complete(client, echo=True).choices[0].text == PROMPT + choice.text
    assert _complete(client, max_tokens=0, echo=True).choices[0].text == PROMPT


def test_in_pieces(client: OpenAI) -> None:
    *chunks, last = client.completions.create(
        model="parley-mini", prompt=PROMPT, max_tokens=4, temperature=0, echo=True, stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    assert "".join(chunk.choices[0].text for chunk in chunks).startswith(PROMPT + " ")
    assert len([chunk for chunk in chunks if chunk.choices[0].finish_reason]) == 1
    assert last.choices == [] and last.usage is not None and last.usage.completion_tokens > 0
    assert {chunk.object for chunk in chunks} == {"text_completion"}


def test_several_prompts_and_several_choices(client: OpenAI) -> None:
    alone = [_complete(client, prompt=prompt) for prompt in (PROMPT, "The capital of Italy is")]
    together = _complete(client, prompt=[PROMPT, "The capital of Italy is"], n=2)
    assert [choice.index for choice in together.choices] == [0, 1, 2, 3]
    assert all(choice.text and choice.finish_reason for choice in together.choices)
    counts = [answer.usage.prompt_tokens for answer in alone if answer.usage]
    assert together.usage is not None and together.usage.prompt_tokens == sum(counts)
    assert together.usage.completion_tokens >= 4


def test_many_prompts_in_pieces(client: OpenAI) -> None:
    prompts = [f"The capital of {country} is" for country in ("France", "Italy", "Spain", "Germany", "Poland")] * 2
    *chunks, last = client.completions.create(
        model="parley-mini", prompt=prompts, max_tokens=4, temperature=0, stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    texts, ends = [""] * len(prompts), [0] * len(prompts)
    for chunk in chunks:
        (choice,) = chunk.choices
        texts[choice.index] += choice.text
        ends[choice.index] += choice.finish_reason is not None
    assert ends == [1] * len(prompts) and all(texts)
    together = _complete(client, prompt=prompts)
    assert [choice.index for choice in together.choices] == list(range(len(prompts)))
    assert last.usage is not None and together.usage is not None
    assert last.usage.prompt_tokens == together.usage.prompt_tokens


def test_log_probabilities_and_tokens(client: OpenAI) -> None:
    assert _complete(client, prompt=[5, 6, 7]).usage.prompt_tokens == 3  # type: ignore[union-attr]
    answer = _complete(client, logprobs=2, max_tokens=1)
    found = answer.choices[0].logprobs
    assert found is not None and found.tokens is not None and found.top_logprobs is not None
    assert "".join(found.tokens) == answer.choices[0].text
    assert len(found.tokens) == len(found.token_logprobs or ()) == len(found.text_offset or ()) == 1
    assert all(len(likely) >= 2 for likely in found.top_logprobs)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": 7}, "prompt"),
        ({"prompt": [1, 2], "echo": True}, "echo"),
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"logprobs": 9}, "logprobs"),
        ({"n": 99}, "n"),
        ({"prompt": ["a"] * 99}, "prompt"),
    ],
)
def test_what_cannot_be_gone_on_with_names_its_field(client: OpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        _complete(client, **fields)
    assert (caught.value.param or "").startswith(param)


def test_a_model_that_is_not_there(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        _complete(client, model="nobody")
    assert caught.value.code == "model_not_found"


async def test_a_server_elsewhere_goes_on_with_it(parley_server: ParleyProcess) -> None:
    """Which is this Parley itself."""
    config = BackendConfig("other", "openai", f"{parley_server.base_url}/v1", parley_server.admin_key)
    asked = GenerateRequest((), "parley-mini", Sampling(max_tokens=4, temperature=0.0, logprobs=2), prompt=PROMPT)
    async with aiohttp.ClientSession() as http:
        events = [event async for event in OpenAIServer(config, http).generate(asked)]
        with pytest.raises(UnknownModel):
            await anext(Ollama(config, http).generate(asked))
    texts = [event for event in events if isinstance(event, TextDelta)]
    assert "".join(event.text for event in texts).strip()
    told = [one for event in texts for one in event.logprobs]
    assert "".join(one.token for one in told) == "".join(event.text for event in texts)
    assert all(len(one.top) >= 2 and one.logprob <= 0 for one in told)
    assert isinstance(events[-1], Finish) and events[-1].usage is not None
