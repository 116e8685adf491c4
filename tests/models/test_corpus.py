"""The corpus: the same for one seed, clean, and without its held-out and withheld lines."""

from __future__ import annotations

import csv
import os
import random
import re
from itertools import islice
from pathlib import Path

import pytest

from models.recipes.corpus.dialogue import (
    INTERRUPTED,
    Dialogue,
    Turn,
    fingerprint,
    is_held_out,
    is_withheld,
    load_domains,
    mixture,
    problems,
    talk,
)
from models.recipes.corpus.number_words import ordinal, words
from models.recipes.corpus.phrases import heard, say
from models.recipes.corpus.sessions import sessions
from models.recipes.corpus.slips import slip, written

DOMAINS = load_domains()
TESTDATA = Path(os.environ.get("PARLEY_TEST_MODELS", "../shared/testdata"))


def test_same_seed_same_corpus_other_seed_another() -> None:
    first = list(islice(mixture(3), 500))
    assert first == list(islice(mixture(3), 500))
    assert first != list(islice(mixture(4), 500))


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_domain_writes_clean_dialogues(domain) -> None:
    assert domain.weight > 0
    dialogues = list(islice(domain.dialogues(random.Random(1)), 1500))
    assert [found for dialogue in dialogues for found in problems(dialogue)] == []
    asked = {line for dialogue in dialogues for line in dialogue.user_lines()}
    assert len(asked) > 60, "a domain this narrow is a table, not speech"


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_reference_answer_satisfies_its_own_key(domain) -> None:
    for dialogue in islice(domain.dialogues(random.Random(2)), 500):
        answer = dialogue.turns[-1].text.lower()
        for part in dialogue.key:
            assert any(choice in answer for choice in part.lower().split("|")), (part, answer)


def test_spoken_answers_are_short() -> None:
    lengths = [
        len(dialogue.turns[-1].text)
        for dialogue in islice(mixture(5), 4000)
        if dialogue.domain not in ("stories", "counting", "language", "calendar")
    ]
    assert sorted(lengths)[int(0.99 * len(lengths))] <= 120


def test_stories_have_four_to_eight_sentences() -> None:
    stories = next(domain for domain in DOMAINS if domain.name == "stories")
    for dialogue in islice(stories.dialogues(random.Random(3)), 300):
        if INTERRUPTED not in "".join(turn.text for turn in dialogue.turns):
            story = next(turn.text for turn in dialogue.turns if turn.role == "assistant")
            assert 4 <= len(re.findall(r"[.!?](?= |$)", story)) <= 8


def test_held_out_lines_never_reach_training() -> None:
    for dialogue in islice(mixture(6), 5000):
        assert not any(is_held_out(line) for line in dialogue.user_lines())
    questions = list(islice(mixture(6, held_out=True), 200))
    assert all(is_held_out(dialogue.user_lines()[-1]) for dialogue in questions)
    assert len({dialogue.domain for dialogue in questions}) >= 10


def test_held_out_share_is_about_one_in_forty() -> None:
    lines = {f"what is {words(a)} plus {words(b)}" for a in range(60) for b in range(60)}
    share = sum(map(is_held_out, lines)) / len(lines)
    assert 0.015 < share < 0.035


def test_withheld_lines_never_reach_training_or_evaluation() -> None:
    for held_out in (False, True):
        for dialogue in islice(mixture(7, held_out=held_out), 1000 if held_out else 6000):
            assert not any(is_withheld(line) for line in dialogue.user_lines())


def test_withheld_fingerprints_cover_the_recordings() -> None:
    manifest = TESTDATA / "manifest.tsv"
    if not manifest.exists():
        pytest.skip("needs the recordings of PARLEY_TEST_MODELS")
    with manifest.open(encoding="utf-8", newline="") as file:
        spoken = [heard(row[1]) for row in list(csv.reader(file, delimiter="\t"))[1:] if not re.search(r"\d", row[1])]
    missing = [line for line in spoken if len(line.split()) > 1 and not is_withheld(line)]
    assert missing == []


def test_withheld_is_by_whole_line() -> None:
    assert not is_withheld("turn on the lights in a room that no recording names")
    assert fingerprint("a b") != fingerprint("a  b")


@pytest.mark.parametrize(
    ("dialogue", "fault"),
    [
        (talk("What is this", "A test."), "not plain lower-case"),
        (talk("what is 2 plus 2", "Four."), "not plain lower-case"),
        (talk("hello", ""), "empty"),
        (talk("hello", "Hello"), "without an end"),
        (talk("hello", "A. " * 500), "stray space"),
        (talk("hello"), "does not end with an answer"),
        (Dialogue((Turn("user", "hello"), Turn("system", "x"), Turn("assistant", "Hi."))), "not the first"),
    ],
)
def test_problems_names_the_fault(dialogue: Dialogue, fault: str) -> None:
    assert any(fault in found for found in problems(dialogue))


def test_mixture_refuses_an_unclean_domain() -> None:
    domain = DOMAINS[0]
    dirty = type(domain)("dirty", 1.0, lambda rng: iter([talk("Oops", "x")]))
    with pytest.raises(ValueError, match="dirty"):
        next(mixture(1, domains=(dirty,)))
    with pytest.raises(ValueError, match="no domain"):
        next(mixture(1, domains=()))


def test_patterns() -> None:
    rng = random.Random(1)
    seen = {say(rng, "(what is|what's) [the] {a}(|x|y(1|2))", a="b[c]") for _ in range(400)}
    starts = ("what is b[c]", "what's b[c]", "what is the b[c]", "what's the b[c]")
    assert seen == {start + end for start in starts for end in ("", "x", "y1", "y2")}
    for broken in ("(a|b", "a)", "[a", "a]"):
        with pytest.raises(ValueError, match="unbalanced|missing"):
            say(rng, broken)
    with pytest.raises(KeyError):
        say(rng, "{missing}")


@pytest.mark.parametrize(
    ("number", "spoken"),
    [(0, "zero"), (19, "nineteen"), (21, "twenty one"), (342, "three hundred forty two"), (-7, "minus seven")],
)
def test_number_words(number: int, spoken: str) -> None:
    assert words(number) == spoken


def test_ordinals_and_limits() -> None:
    assert [ordinal(n) for n in (1, 12, 20, 23)] == ["first", "twelfth", "twentieth", "twenty third"]
    with pytest.raises(ValueError, match="too large"):
        words(1_000_000)


def test_slips_change_little_and_written_style_restores_names() -> None:
    rng = random.Random(2)
    line = "what is the capital of france"
    slipped = {slip(rng, line) for _ in range(300)}
    assert len(slipped) > 5 and all(abs(len(text.split()) - len(line.split())) <= 1 for text in slipped)
    typed = {written(rng, line, frozenset(("France",))) for _ in range(100)}
    assert "What is the capital of France?" in typed
    assert "What is 7 + 5?" in {written(rng, "what is seven plus five", frozenset()) for _ in range(200)}


def test_sessions_join_dialogues_and_hide_cut_answers() -> None:
    stream = sessions(random.Random(1), mixture(1), 20)
    cut = 0
    for turns in islice(stream, 300):
        spoken = [turn for turn in turns if turn.role != "system"]
        assert [turn.role for turn in spoken] == ["user", "assistant"] * (len(spoken) // 2)
        assert all(turn.role != "system" for turn in turns[1:])
        for turn in spoken:
            if INTERRUPTED in turn.text:
                cut += 1
                assert turn.role == "assistant" and not turn.learn and turn.text.endswith(INTERRUPTED)
    assert cut > 20
