"""Tokens guessed ahead change nothing but the number of steps: the same engine, with and without. In this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from llm.engine import EngineConfig, EngineEvent, EngineJob, EngineState
from llm.engines.llama_cpp import SPEC, LlamaCppEngine
from llm.messages import Sampling
from llm.settings import EngineSettings
from models.clock import SystemClock
from tests.llm.engines.test_llama_cpp import Events, state_of
from tests.llm.worker_process import model_path

PROMPTS = (
    "the cat and the dog and the cat and the dog and",
    "What is the capital of France? The capital of France is Paris. What is the capital of France? The capital",
    "one two three four one two three four one two",
    "Once upon a time there was a little girl who",
)
GRAMMAR = 'root ::= ("yes " | "no ")+'


@contextmanager
def engine(draft: int) -> Iterator[tuple[LlamaCppEngine, Events]]:
    settings = EngineSettings(parallel=3, voice_places=0, threads=1, draft_tokens=draft)
    loaded = SPEC.load(EngineConfig(model_path(), "m", settings, SystemClock()))
    assert isinstance(loaded, LlamaCppEngine)
    events = Events()
    loaded.start(events.sink, lambda reason: setattr(events, "death", reason))
    yield loaded, events
    assert loaded.close(20.0) and events.death == ""


def jobs(loaded: LlamaCppEngine) -> list[EngineJob]:
    """Greedy, with seeds, with penalties, with stop strings, with a grammar; conversations that go on."""
    plain = Sampling(max_tokens=60, ignore_eos=True)
    samplings = (
        replace(plain, temperature=0.0),
        replace(plain, temperature=0.9, seed=2),
        replace(plain, temperature=0.0, repeat_penalty=1.2, frequency_penalty=0.4),
        replace(plain, temperature=0.0, stop=("the dog", "two three four")),
        Sampling(temperature=0.0, max_tokens=60),
    )
    found = []
    for prompt in PROMPTS:
        tokens = loaded.tokenize(prompt, add_special=True, parse_special=False)
        found += [EngineJob(0, tokens, sampling, None, "c") for sampling in samplings]
        found.append(EngineJob(0, tokens, replace(plain, temperature=0.0), GRAMMAR))
        found.append(EngineJob(0, tokens, replace(plain, temperature=0.0, logprobs=1)))
    return found


def one_by_one(draft: int) -> tuple[list[tuple[str, EngineEvent]], EngineState]:
    with engine(draft) as (loaded, events):
        for number, job in enumerate(jobs(loaded)):
            loaded.submit(replace(job, id=number))
            events.wait(number + 1)
        state, held = state_of(loaded)
        assert [0 if row.offloaded else row.tokens for row in state.sequences] == held, (
            "what was wrong has left the cache"
        )
        return [(events.text[number], events.ended[number]) for number in sorted(events.ended)], state


def test_replies_are_the_same_in_fewer_steps() -> None:
    plain, before = one_by_one(0)
    drafted, after = one_by_one(8)
    assert before.counters["guessed_tokens"] == 0
    for (text, ended), (same, also) in zip(plain, drafted, strict=True):
        assert same == text
        assert ended.finish is not None and also.finish is not None
        assert (also.finish.reason, also.finish.stopped_by) == (ended.finish.reason, ended.finish.stopped_by)
        assert also.finish.usage.completion_tokens == ended.finish.usage.completion_tokens
        assert also.finish.usage.cached_tokens == ended.finish.usage.cached_tokens
    assert after.counters["completion_tokens"] == before.counters["completion_tokens"]
    assert 0 < after.counters["right_tokens"] <= after.counters["guessed_tokens"]
    assert after.counters["steps"] <= before.counters["steps"] - after.counters["right_tokens"]


def test_without_a_seed_it_is_guessed_and_with_one_it_is_not() -> None:
    with engine(8) as (loaded, events):
        tokens = loaded.tokenize(PROMPTS[0], add_special=True, parse_special=False)
        free = Sampling(temperature=0.1, max_tokens=60, ignore_eos=True)
        loaded.submit(EngineJob(0, tokens, replace(free, seed=1)))
        events.wait(1)
        assert state_of(loaded)[0].counters["guessed_tokens"] == 0
        for number in range(1, 21):  # a free reply is another each time: not in each something comes again
            loaded.submit(EngineJob(number, tokens, free))
            events.wait(number + 1)
            if state_of(loaded)[0].counters["guessed_tokens"]:
                return
        raise AssertionError("nothing was guessed in twenty replies")
