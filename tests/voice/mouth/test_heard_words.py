"""What was written laid beside what was said of it: no word counts as heard before it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.mouth.heard_words import expected_s, raw_ends, spans, words_over
from voice.mouth.reply import Reply
from voice.mouth.speakable import speakable

RATE_HZ = 8_000


def heard_after(text: str, share: float) -> tuple[str, str]:
    """What is said of one clause in that share of its time, every character alike; and what counts as heard of it."""
    reply = Reply("r", RATE_HZ, lead_s=1000.0)
    reply.add_tokens(text, 1)
    reply.finish_text()
    reply.release()
    index, said = reply.next_clause() or (0, "")
    reply.add_audio(index, np.ones(len(said) * 400, np.int16), (), True)
    assert all(piece.text_end in (len(text), 0) for piece in reply.pump(0.0))
    return said[: int(len(said) * share)], reply.heard_at(len(said) * 400 / RATE_HZ * share)


def test_an_address_that_is_not_said_takes_no_time() -> None:
    text = "Look at this nice page [link](https://example.com/a/very/long/path/that/goes/on)."
    assert heard_after(text, 0.3) == ("Look at ", "Look at")
    assert heard_after(text, 0.9) == ("Look at this nice page li", "Look at this nice page")
    assert heard_after(text, 1.0)[1] == text


def test_code_counts_with_its_notice() -> None:
    raw = "```\nprint('hello world')\nfor i in range(10):\n    print(i)\n```\n"
    said = speakable(raw)
    assert said == "A code example."
    ends = raw_ends(raw, said)
    assert ends[:2] == [0, 0] and raw[: ends[2]].endswith("print(i)")


@pytest.mark.parametrize(
    ("raw", "after"),
    [
        ("You get 😀 a lot", ["You", "You get", "You get 😀 a", "You get 😀 a lot"]),
        ("# A **bold** start", ["# A", "# A **bold**", "# A **bold** start"]),
        ("a snake_case name", ["a", "a", "a snake_case", "a snake_case name"]),
        ("今天很好，走吧。", ["今", "今天", "今天很", "今天很好，", "今天很好，走", "今天很好，走吧。"]),
        ("ไปไหน", ["ไ", "ไป", "ไปไ", "ไปไห", "ไปไหน"]),
        ("It costs 5 € now", ["It", "It costs", "It costs 5", "It costs 5", "It costs 5 € now"]),
        ("It costs $5 now", ["It", "It costs", "It costs", "It costs $5", "It costs $5 now"]),
        ("$3.50 each", ["", "", "", "", "$3.50", "$3.50 each"]),
        (
            "on 2026-11-21 at 10:00",
            ["on", "on", "on", "on 2026-11-21", "on 2026-11-21 at", "on 2026-11-21 at", "on 2026-11-21 at 10:00"],
        ),
    ],
)
def test_words_one_after_the_other(raw: str, after: list[str]) -> None:
    assert [raw[:end] for end in raw_ends(raw, speakable(raw))] == after


@pytest.mark.parametrize(
    ("language", "raw", "said", "after"),
    [
        ("en", "$3 million now", "3 million dollars now", ["", "", "$3 million", "$3 million now"]),
        ("en", "€5, $2 now", "5 euros, 2 dollars now", ["", "€5,", "€5,", "€5, $2", "€5, $2 now"]),
        ("de", "um 10:30 Uhr los", "um 10 Uhr 30 los", ["um", "um", "um", "um 10:30 Uhr", "um 10:30 Uhr los"]),
        ("en", "at 1.2.3.1, #1", "at 1 dot 2 dot 3 dot 1, number 1", [*["at"] * 9, "at 1.2.3.1, #1"]),
    ],
)
def test_a_word_that_is_said_elsewhere_than_it_is_written_is_awaited(
    language: str, raw: str, said: str, after: list[str]
) -> None:
    assert speakable(raw, language) == said
    assert [raw[:end] for end in raw_ends(raw, said, language)] == after


def test_digits_and_signs_take_longer_than_letters() -> None:
    """For a voice that tells no times."""
    text = "Number 1234567890 is mine"  # about 8 + 50 + 8 letters
    assert [words_over(text, share) for share in (0.05, 0.5, 0.88, 0.95, 1.0)] == [0, 1, 2, 3, 4]
    assert words_over("今天 it is good", 0.3) == 1, "each of the signs takes as long as three letters"
    assert words_over("", 1.0) == 0


PIECES = (
    "plain words",
    "**bold**",
    "`code_here`",
    "[a link](https://example.com/x/y/z)",
    "😀",
    "天气",
    "1,234.5",
    "|",
    "- x",
)


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=8), st.sampled_from((" ", "\n")))
def test_every_word_said_has_its_end_and_they_never_go_back(pieces: list[str], between: str) -> None:
    raw = between.join(pieces)
    said = speakable(raw)
    ends = raw_ends(raw, said)
    assert len(ends) == len(spans(said))
    assert ends == sorted(ends) and all(0 <= end <= len(raw) for end in ends)


def test_a_clause_that_is_still_made_is_taken_to_be_long() -> None:
    def heard(text: str, speed: float) -> str:
        reply = Reply("r", RATE_HZ, lead_s=1000.0, speed=speed)
        reply.add_tokens(text, 1)
        reply.release()
        reply.finish_text()
        index, _ = reply.next_clause() or (0, "")
        reply.add_audio(index, np.ones(RATE_HZ, np.int16), (), False)
        reply.pump(0.0)
        return reply.heard_at(1.0)

    assert heard("one two three four five six seven", 1.0) == "one two"
    assert heard("one two three four five six seven", 0.5) == "one"
    assert heard("今天天气很好我们去公园", 1.0) == "今天天"
    assert expected_s("天") == pytest.approx(0.28)


def test_a_slow_voice_that_sends_its_audio_as_it_speaks_is_credited_with_no_word_more() -> None:
    """It needs 6 s for the sentence, and half of it is there."""
    text = "The weather will be fine tomorrow, and on Sunday it may rain."
    reply = Reply("r", RATE_HZ, lead_s=1000.0)
    reply.add_tokens(text, 1)
    reply.finish_text()
    reply.release()
    said = []
    while (clause := reply.next_clause()) is not None:
        said.append(clause[1])
        if len(said) == 2:
            break
        reply.add_audio(clause[0], np.ones(len(clause[1]) * RATE_HZ // 10, np.int16), (), True)
    reply.add_audio(1, np.ones(len(said[1]) * RATE_HZ // 20, np.int16), (), False)
    reply.pump(0.0)
    assert said[1] == "and on Sunday it may rain."
    assert reply.heard_at((len(said[0]) + len(said[1]) / 2) / 10) == f"{said[0]} and on"
