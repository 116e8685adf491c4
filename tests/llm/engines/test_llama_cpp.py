"""The llama.cpp engine in this process: what the batcher believes the KV cache holds is what llama.cpp holds."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence

import pytest

from llm.batching.events import Row
from llm.engine import EngineConfig, EngineEvent, EngineJob, EngineState
from llm.engines.llama_cpp import SPEC, LlamaCppEngine
from llm.llamacpp.decoder import Outcome
from llm.messages import Priority, Sampling
from llm.settings import EngineSettings
from models.clock import SystemClock
from models.errors import ModelUnreadable
from tests.llm.worker_process import model_path


class Events:
    """A sink that a test can wait on."""

    def __init__(self) -> None:
        self.text: dict[int, str] = {}
        self.ended: dict[int, EngineEvent] = {}
        self._changed = threading.Condition()
        self.death = ""

    def sink(self, events: list[EngineEvent]) -> None:
        with self._changed:
            for event in events:
                assert event.job_id not in self.ended, "something after the end"
                self.text[event.job_id] = self.text.get(event.job_id, "") + event.text
                if event.finish is not None or event.error is not None:
                    self.ended[event.job_id] = event
            self._changed.notify_all()

    def wait(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.ended) >= count, 60), f"{len(self.ended)} of {count} ended"


SETTINGS = (EngineSettings(parallel=3, voice_places=1), EngineSettings(parallel=3, kv_budget_mib=1))


@pytest.fixture(params=[(SETTINGS[0], 1024), (SETTINGS[1], 1024), (SETTINGS[0], 30)])
def engine(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[LlamaCppEngine, Events]]:
    """With a large cache, a small one, and one that offloads nearly all that is idle."""
    settings, resident = request.param
    monkeypatch.setattr("llm.llamacpp.plan.RESIDENT_TOKENS", resident)
    loaded = SPEC.load(EngineConfig(model_path(), "m", settings, SystemClock()))
    assert isinstance(loaded, LlamaCppEngine)
    events = Events()
    loaded.start(events.sink, lambda reason: setattr(events, "death", reason))
    yield loaded, events
    assert loaded.close(20.0)
    assert events.death == ""


def state_of(engine: LlamaCppEngine) -> tuple[EngineState, list[int]]:
    """The batcher's view, and llama.cpp's own, of the same moment."""
    found: list[tuple[EngineState, list[int]]] = []
    here = threading.Event()

    def answer(state: EngineState) -> None:  # in the engine's thread: nothing moves meanwhile
        found.append((state, [engine._decoder.held(row.id) for row in state.sequences]))
        here.set()

    engine.ask_state(answer)
    assert here.wait(60)
    return found[0]


def test_the_books_are_right_after_a_random_crowd(engine: tuple[LlamaCppEngine, Events]) -> None:
    loaded, events = engine
    rng = random.Random(5)
    words = loaded.tokenize(
        "what is the capital of france and of italy please", add_special=False, parse_special=True
    )
    head = words * 4
    for number in range(60):
        tail = rng.choices(words, k=rng.randint(1, 40))
        sampling = Sampling(temperature=1.0, seed=number, max_tokens=rng.randint(1, 20))
        name = rng.choice([None, "a", "b", "c", "d"])
        loaded.submit(EngineJob(number, head + tail, sampling, None, name, rng.choice(list(Priority))))
        if rng.random() < 0.3:
            loaded.cancel(rng.randrange(number + 1))
        if rng.random() < 0.1:
            loaded.forget(rng.choice("abcd"))
        if rng.random() < 0.2:
            state, held = state_of(loaded)
            assert [0 if row.offloaded else row.tokens for row in state.sequences] == held
    events.wait(60)
    state, held = state_of(loaded)
    assert [0 if row.offloaded else row.tokens for row in state.sequences] == held
    assert state.busy == state.waiting == 0 and not any(row.busy for row in state.sequences)
    assert state.counters["cached_tokens"] > 0
    done = [event.finish for event in events.ended.values() if event.finish is not None]
    assert {finish.reason for finish in done} >= {"length"}
    for name in "abcd":
        loaded.forget(name)
    assert not any(row.conversation for row in state_of(loaded)[0].sequences)


def test_a_reply_is_the_same_whatever_was_cached(engine: tuple[LlamaCppEngine, Events]) -> None:
    """Fresh, from its own sequence, from a copied beginning, after others were evicted: always the same text."""
    loaded, events = engine
    prompt = loaded.tokenize("tell me about the capital of france " * 6, add_special=True, parse_special=True)
    plan = [("x", 0), ("x", 0), ("y", 0), (None, 0), ("x", 7), ("x", 0)]
    for number, (name, cut) in enumerate(plan):
        tokens = prompt[: len(prompt) - cut]
        loaded.submit(EngineJob(number, tokens, Sampling(temperature=0.0, max_tokens=15), None, name))
        events.wait(number + 1)
    same = [events.text[number] for number, (_, cut) in enumerate(plan) if cut == 0]
    assert len(set(same)) == 1
    cached = [event.finish.usage.cached_tokens for event in events.ended.values() if event.finish is not None]
    assert cached[0] == 0 and cached[1] == len(prompt) - 1 and cached[2] == len(prompt) - 1
    state, held = state_of(loaded)
    offloaded = [row.offloaded for row in state.sequences if row.tokens]
    if loaded._loaded.limits.resident == 30:
        assert all(offloaded) and not any(held) and state.counters["reloaded"] >= 4
    else:
        assert not any(offloaded)


def test_only_text_models_are_loaded(tmp_path: object) -> None:
    from pathlib import Path

    from tests.models.test_gguf import write

    path = write(Path(str(tmp_path)) / "projector.gguf", "clip")
    with pytest.raises(ModelUnreadable, match="projector"):
        SPEC.load(EngineConfig(path, "m", EngineSettings(), SystemClock()))


def writing(loaded: LlamaCppEngine, events: Events, most: int | None = None) -> tuple[Sequence[int], Sampling]:
    """A reply is under way, to a long prompt or its first `most` tokens. Gives the prompt, and how it is sampled."""
    prompt = loaded.tokenize("tell me about the capital of france " * 6, add_special=True, parse_special=True)
    sampling = Sampling(temperature=0.0, max_tokens=20, ignore_eos=True)
    loaded.submit(EngineJob(0, prompt[:most], sampling, None))
    events.wait(1)
    return prompt, sampling


def test_a_voice_turn_breaks_off_the_step_of_others_and_they_go_on_as_if_nothing_had_been(
    engine: tuple[LlamaCppEngine, Events], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, events = engine
    prompt, sampling = writing(loaded, events)
    decode, steps = loaded._decoder._decode, 0
    decoded: list[tuple[int, Outcome]] = []

    def while_it_runs(exact: bool) -> Outcome:
        nonlocal steps
        steps += 1
        if steps == 4:
            loaded.submit(EngineJob(2, prompt[:20], sampling, None, None, Priority.VOICE))
        if steps == 6:
            loaded.submit(EngineJob(3, prompt[:9], sampling, None, None, Priority.VOICE))
        decoded.append((loaded._batcher._running[0].job_id, decode(exact)))
        return decoded[-1][1]

    monkeypatch.setattr(loaded._decoder, "_decode", while_it_runs)
    monkeypatch.setattr("llm.llamacpp.preemption.SOONEST_S", 60.0)
    loaded.submit(EngineJob(1, prompt, sampling, None, None, Priority.BATCH))
    events.wait(4)
    assert decoded[3:5] == [(1, "preempted"), (2, "done")]
    assert [outcome for _, outcome in decoded].count("preempted") == 1, "the next one is not broken off so soon"
    assert events.text[1] == events.text[0]
    state, held = state_of(loaded)
    assert [0 if row.offloaded else row.tokens for row in state.sequences] == held
    assert state.counters["preempted"] == 1


def test_voice_turns_break_off_what_costs_little_and_sooner_where_it_costs_less(
    engine: tuple[LlamaCppEngine, Events],
) -> None:
    preemption = engine[0]._decoder.preemption
    assert preemption is not None
    voice = EngineJob(9, [1], Sampling(), None, None, Priority.VOICE)

    def breaks_off(begun_at: float, heard_at: float) -> bool:
        preemption.begin({0: 1}, False, begun_at)
        preemption.heard(voice, heard_at)
        wanted = preemption.wanted
        preemption.end()
        return wanted

    assert breaks_off(10.0, 10.1)
    assert not breaks_off(10.11, 10.119), "not even at once where another has just been broken off"
    assert not breaks_off(10.11, 10.15)
    assert breaks_off(10.13, 10.135)
    assert not breaks_off(10.2, 10.4)
    assert breaks_off(10.2, 10.44), "in the end voice goes first, whatever it costs"
    assert not preemption.wanted


def test_who_writes_beside_a_long_prompt_that_is_given_up_does_not_wait_for_it(
    engine: tuple[LlamaCppEngine, Events], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, events = engine
    prompt, sampling = writing(loaded, events, 9)
    decode = loaded._decoder._decode
    decoded: list[tuple[int, Outcome]] = []

    def while_it_runs(exact: bool) -> Outcome:
        rows = loaded._batcher._running
        if not decoded:
            loaded.submit(EngineJob(2, prompt, sampling, None))
        if [row.job_id for row in rows] == [1, 2]:
            loaded.cancel(2)
        decoded.append((len(rows), decode(exact)))
        return decoded[-1][1]

    monkeypatch.setattr(loaded._decoder, "_decode", while_it_runs)
    loaded.submit(EngineJob(1, prompt[:9], sampling, None))
    events.wait(3)
    assert decoded[1:3] == [(2, "preempted"), (1, "done")]
    assert events.text[1] == events.text[0]
    state, held = state_of(loaded)
    assert [0 if row.offloaded else row.tokens for row in state.sequences] == held


def test_a_step_ends_when_nobody_wants_it_any_more(
    engine: tuple[LlamaCppEngine, Events], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, events = engine
    prompt = loaded.tokenize("tell me about the capital of france " * 6, add_special=True, parse_special=True)
    run = loaded._decoder.run
    outcomes: list[Outcome] = []

    def while_it_runs(rows: Sequence[Row], exact: bool) -> Outcome:
        loaded.cancel(rows[0].job_id)
        outcomes.append(run(rows, exact))
        return outcomes[-1]

    monkeypatch.setattr(loaded._decoder, "run", while_it_runs)
    loaded.submit(EngineJob(0, prompt, Sampling(max_tokens=20), None))
    events.wait(1)
    assert outcomes == ["preempted"]
    state, held = state_of(loaded)
    assert sum(held) == 0 and state.busy == 0
