"""What is sampled from the short list is what llama.cpp's own sampler takes of the whole vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from llm.batching.events import Row
from llm.engine import EngineConfig
from llm.engines.llama_cpp import SPEC, LlamaCppEngine
from llm.llamacpp.sampling import SamplerChain
from llm.llamacpp.shortlist import Shortlist
from llm.messages import Sampling
from llm.settings import EngineSettings
from models.clock import SystemClock
from tests.llm.worker_process import model_path

PROMPTS = [[10 + (7919 * row + 31 * at) % 400 for at in range(9)] for row in range(4)]
LISTED = (
    Sampling(),
    Sampling(temperature=0.0),
    Sampling(ignore_eos=True, top_k=5),
    Sampling(top_p=0.5, typical_p=0.9, xtc_probability=0.7, xtc_threshold=0.05, temperature=1.3),
    Sampling(logit_bias={12: -100.0, 30: -2.0}, top_k=3),
)
WHOLE = (
    Sampling(top_k=0),
    Sampling(repeat_penalty=1.3),
    Sampling(frequency_penalty=0.4),
    Sampling(dry_multiplier=0.8),
    Sampling(mirostat=2),
    Sampling(top_n_sigma=1.0),
    Sampling(logit_bias={12: 4.0}),
    Sampling(top_k=100_000),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[LlamaCppEngine]:
    loaded = SPEC.load(EngineConfig(model_path(), "m", EngineSettings(ctx_size=256, threads=1), SystemClock()))
    assert isinstance(loaded, LlamaCppEngine)
    yield loaded
    loaded.close(5.0)


def chains(engine: LlamaCppEngine, sampling: Sampling) -> list[SamplerChain]:
    return [
        SamplerChain(replace(sampling, seed=seed), engine._vocab, prompt, None, None)
        for seed, prompt in enumerate(PROMPTS)
    ]


@pytest.mark.parametrize("sampling", LISTED)
def test_it_takes_what_llama_cpp_takes(engine: LlamaCppEngine, sampling: Sampling) -> None:
    decoder, shortlist = engine._decoder, Shortlist(engine._decoder.context, engine._vocab.size)
    ours, theirs = chains(engine, sampling), chains(engine, sampling)
    assert all(chain.sees for chain in ours)
    assert decoder.run([Row(at, at, 0, prompt, True) for at, prompt in enumerate(PROMPTS)]) == "done"
    places = [sum(map(len, PROMPTS[: at + 1])) - 1 for at in range(len(PROMPTS))]
    for step in range(24):
        expected = [chain.sample(decoder.context, at) for chain, at in zip(theirs, places, strict=True)]
        assert shortlist.sample(places, ours) == expected
        rows = [Row(at, at, 9 + step, [token], True) for at, token in enumerate(expected)]
        assert decoder.run(rows) == "done"
        assert shortlist.sample([0], ours[:1]) is not None, "one row of several is read alone"
        theirs[0].sample(decoder.context, 0)
        places = list(range(len(PROMPTS)))
    for chain in (*ours, *theirs):
        chain.close()
    for row in range(len(PROMPTS)):
        decoder.clear(row)


def test_rows_that_want_different_numbers_of_tokens_share_a_step(engine: LlamaCppEngine) -> None:
    decoder, shortlist = engine._decoder, Shortlist(engine._decoder.context, engine._vocab.size)
    kinds = (LISTED[0], LISTED[1], LISTED[2], LISTED[4])
    ours, theirs = ([chains(engine, kind)[row] for row, kind in enumerate(kinds)] for _ in range(2))
    assert decoder.run([Row(at, at, 0, prompt, True) for at, prompt in enumerate(PROMPTS)]) == "done"
    places = [9 * at + 8 for at in range(4)]
    for _ in range(30):
        expected = [chain.sample(decoder.context, at) for chain, at in zip(theirs, places, strict=True)]
        assert shortlist.sample(places, ours) == expected
    for row in range(4):
        decoder.clear(row)


@pytest.mark.parametrize("sampling", WHOLE)
def test_what_needs_the_whole_vocabulary_gets_it(engine: LlamaCppEngine, sampling: Sampling) -> None:
    chain = chains(engine, sampling)[0]
    assert chain.sees == 0
    assert Shortlist(engine._decoder.context, engine._vocab.size).sample([0], [chain]) is None
