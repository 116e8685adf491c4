"""Parley-mini: the bundled file answers held-out questions, and the recipe's steps fit llama.cpp."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import gguf
import pytest
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from models.recipes.corpus.dialogue import INTERRUPTED, Turn, mixture, talk
from models.recipes.corpus.sessions import sessions
from models.recipes.parley_mini import tokens
from models.recipes.parley_mini.card import BUNDLED
from models.recipes.parley_mini.evaluation import Answerer, evaluate, held_out, is_right

MODEL = BUNDLED / "parley-mini.gguf"


@pytest.fixture(scope="module")
def answerer() -> Iterator[Answerer]:
    made = Answerer(MODEL)
    yield made
    made.close()


def _field(name: str) -> object:
    return gguf.GGUFReader(MODEL).fields[name].contents()


def test_file_is_small_and_says_what_it_is() -> None:
    assert MODEL.stat().st_size < 20_000_000
    assert _field("general.architecture") == "llama"
    assert _field("general.license") == "apache-2.0"
    assert _field("llama.context_length") == 1024
    assert _field("tokenizer.ggml.pre") == "gpt-2"
    pieces = _field("tokenizer.ggml.tokens")
    assert isinstance(pieces, list)
    assert pieces[int(str(_field("tokenizer.ggml.eos_token_id")))] == tokens.IM_END


def test_card_states_licence_limits_and_figures() -> None:
    card = (BUNDLED / "parley-mini.md").read_text(encoding="utf-8")
    for needed in ("Apache-2.0", "cannot", "held-out", "no outside text", f"{MODEL.stat().st_size / 1e6:.1f} MB"):
        assert needed in card, needed


def test_template_in_the_file_renders_what_training_saw() -> None:
    formatter = Jinja2ChatFormatter(str(_field("tokenizer.chat_template")), eos_token=tokens.IM_END, bos_token="")
    turns = [Turn("system", "You are Parley."), Turn("user", "hello"), Turn("assistant", "Hi!"), Turn("user", "bye")]
    rendered = formatter(messages=[{"role": turn.role, "content": turn.text} for turn in turns])  # type: ignore[list-item]
    assert rendered.prompt == tokens.prompt(turns)


def test_held_out_questions_of_many_domains(answerer: Answerer) -> None:
    questions = held_out(99, 18, per_domain=3)
    assert len(questions) >= 15 and len({dialogue.domain for dialogue in questions}) >= 8
    misses: list[str] = []
    scores = evaluate(answerer, questions, misses)
    right, asked = sum(s.right for s in scores.values()), sum(s.asked for s in scores.values())
    assert right / asked >= 0.7, misses


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        (("who are you",), "Parley"),
        (("what is the capital of france",), "Paris"),
        (("What is the capital of France?",), "Paris"),
        (("what is the capital of france", "The capital of France is Paris.", "and of italy"), "Rome"),
        (("my name is anna", "Nice to meet you, Anna.", "what is my name"), "Anna"),
        (("what is the opposite of hot",), "cold"),
        (("what is two plus three",), "five"),
        (("count from one to twenty",), "One, two, three, four, five, six, seven, eight, nine, ten, eleven"),
        (("tell me a story", f"Once upon a time {INTERRUPTED}", "what is the capital of spain"), "Madrid"),
    ],
)
def test_everyday_questions(answerer: Answerer, turns: tuple[str, ...], expected: str) -> None:
    assert expected in answerer.answer(talk(*turns, "").turns[:-1])


def test_a_story_is_long_enough_to_interrupt(answerer: Answerer) -> None:
    story = answerer.answer([Turn("user", "tell me a story")])
    assert len(re.findall(r"[.!?](?= |$)", story)) >= 4


def test_judging_needs_the_value() -> None:
    question = talk("what is the capital of france", "It is Paris.", key=("Paris",))
    assert is_right(question, "The capital of France is Paris.")
    assert not is_right(question, "The capital of France is Rome.")
    free = talk("turn on the kitchen light", "Okay, the kitchen light is on.")
    assert is_right(free, "Done, the kitchen light is on.")
    assert not is_right(free, "Okay, the bedroom lamp is on.")


def test_a_fresh_model_answers_in_llama_cpp_as_in_torch(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the recipes extra")
    from models.recipes.parley_mini import checks
    from models.recipes.parley_mini.export import export
    from models.recipes.parley_mini.network import Shape
    from models.recipes.parley_mini.training import Plan, load, train

    def stream() -> Iterator[list[Turn]]:
        return sessions(tokens.seeded(1, "test"), mixture(1), 6)

    tokenizer = tokens.train(stream(), vocabulary=600, sample_turns=500)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    encoder = tokens.Encoder(tokenizer)
    ids, learn = encoder.session(next(stream()))
    assert len(ids) == len(learn) and any(learn) and not learn[0]

    shape = Shape(vocabulary=640, width=64, layers=2, heads=2, hidden=96)
    plan = Plan(steps=6, batch_tokens=256, short_row=64, long_row=128, long_every=3, fuse=False)
    outcome = train(
        shape, tokens.rows(encoder, stream(), 64), tokens.rows(encoder, stream(), 128), plan, tmp_path / "model.pt"
    )
    assert outcome.steps == 6 and outcome.tokens == 6 * 256
    export(load(tmp_path / "model.pt"), tokenizer, tmp_path / "parley-mini.gguf")
    fresh = Answerer(tmp_path / "parley-mini.gguf")
    try:
        found = checks.compare(fresh, tmp_path, texts=40, questions=5)
    finally:
        fresh.close()
    assert found.same_tokens == "40 of 40"
    # Six steps leave a model that babbles, so its words may part after a near tie; its logits may not.
    assert found.logit_gap < 0.02


def test_schedule_warms_up_and_ends_low() -> None:
    pytest.importorskip("torch", reason="needs the recipes extra")
    from models.recipes.parley_mini.training import learning_rate

    rates = [learning_rate(step / 100, 0.02) for step in range(101)]
    assert rates[0] < 0.1 and max(rates) == pytest.approx(1.0, abs=0.01) and rates[-1] == pytest.approx(0.02)
    assert rates[3:] == sorted(rates[3:], reverse=True)


def test_rows_are_of_one_length() -> None:
    tokenizer = tokens.train(sessions(tokens.seeded(1, "rows"), mixture(1)), vocabulary=400, sample_turns=200)
    stream = tokens.rows(tokens.Encoder(tokenizer), sessions(tokens.seeded(2, "rows"), mixture(2)), 100)
    for ids, learn in islice(stream, 20):
        assert len(ids) == len(learn) == 101
