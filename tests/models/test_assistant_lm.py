"""The recipe of the recogniser's language model: smoothing, files, scoring."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.recipes.assistant_lm import arpa, evaluate, kneser_ney, text, vocabulary

SENTENCES = [
    (("turn", "on", "the", "light"), 3),
    (("turn", "off", "the", "light"), 2),
    (("stop",), 5),
    (("turn", "the", "light", "on"), 1),
]
FLOOR = {word: 1.0 for word in ("turn", "on", "off", "the", "light", "stop", "kitchen", kneser_ney.END)}


@pytest.fixture(scope="module")
def model() -> kneser_ney.Model:
    return kneser_ney.estimate(kneser_ney.count(SENTENCES), FLOOR)


@pytest.mark.parametrize(
    "context", [(), (kneser_ney.START,), ("turn",), (kneser_ney.START, "turn"), ("the", "light"), ("kitchen",)]
)
def test_after_every_context_the_probabilities_add_up_to_one(
    model: kneser_ney.Model, context: tuple[str, ...]
) -> None:
    assert sum(model.prob((*context, word)) for word in model.vocabulary()) == pytest.approx(1.0)


def test_what_was_seen_is_likelier_than_what_was_not(model: kneser_ney.Model) -> None:
    assert model.prob(("the", "light")) > model.prob(("the", "kitchen")) > 0
    assert model.prob(("martian",)) == 0


def test_a_file_says_what_the_model_says_and_the_recogniser_reads_it(model: kneser_ney.Model, tmp_path: Path) -> None:
    arpa.write(model, tmp_path / "a.arpa")
    read = {ngram: probability for ngram, probability, _ in arpa.read(tmp_path / "a.arpa")}
    assert read[("the", "light")] == pytest.approx(model.probs[1][("the", "light")], rel=1e-3)
    arpa.to_binary(tmp_path / "a.arpa", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").stat().st_size > 100


def test_sentences_are_the_same_for_the_same_seed_and_none_is_refused() -> None:
    words = vocabulary.load().entries
    first, none = text.sentences(500, 3, words, lambda line: False)
    again, _ = text.sentences(500, 3, words, lambda line: False)
    assert first == again and none == 0
    unwanted = next(iter(first))
    fewer, refused = text.sentences(500, 3, words, lambda line: tuple(line.split()) == unwanted)
    assert unwanted not in fewer and refused >= 1


@pytest.mark.parametrize(
    "said, heard, errors",
    [("turn on the light", "turn on the light", 0), ("turn on the light", "turn the lights", 2), ("stop", "", 1)],
)
def test_distance_counts_words(said: str, heard: str, errors: int) -> None:
    assert evaluate.distance(tuple(said.split()), tuple(heard.split())) == errors


def test_numbers_and_spellings_are_compared_as_they_are_said() -> None:
    assert evaluate.spoken("Set a timer for 20 minutes!") == ("set", "a", "timer", "for", "twenty", "minutes")
    assert evaluate.spoken("nevermind") == ("never", "mind")
