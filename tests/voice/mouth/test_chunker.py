"""Where clauses end, and what is spoken of them."""

from __future__ import annotations

import pytest

from voice.mouth.chunker import Chunker, Clause
from voice.mouth.speakable import speakable


def spoken(text: str) -> list[str]:
    chunker = Chunker()
    return [clause.text for clause in chunker.push(text) + chunker.flush() if clause.text]


def test_first_clause_leaves_before_the_sentence_is_over() -> None:
    chunker = Chunker()
    assert chunker.push("The largest planet, ") == [Clause("The largest planet,", 0, 19)]
    assert chunker.push("as you may") == []


def test_first_clause_leaves_without_any_punctuation() -> None:
    chunker = Chunker()
    clauses = chunker.push(
        "this is a reply of a model that never learned to write a single comma and goes on and on "
    )
    assert clauses[0].text == "this is a reply of a model"
    assert len(clauses[0].text.split()) <= 13


def test_later_clauses_are_longer_than_the_first() -> None:
    text = (
        "Well then, here we go. It rained, it poured, it snowed, and in the end the sun came out again for all of us."
    )
    assert spoken(text) == [
        "Well then,",
        "here we go.",
        "It rained, it poured, it snowed, and in the end the sun came out again for all of us.",
    ]


def test_a_long_sentence_is_cut_at_a_comma_or_before_a_conjunction() -> None:
    text = "Yes. " + "one two three four five six seven eight nine ten eleven, twelve " * 2 + "and then some more."
    assert spoken(text)[1].endswith("eleven,")
    endless = "Yes. " + "word " * 30 + "because " + "word " * 30
    assert spoken(endless)[1:] == [("word " * 30).strip(), ("because " + "word " * 30).strip()]


def test_the_last_word_waits_for_what_follows() -> None:
    chunker = Chunker()
    assert chunker.push("It is 3.") == []
    assert chunker.push("14 metres") == []
    assert [clause.text for clause in chunker.flush()] == ["It is 3.14 metres"]


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("It costs 3.14 euros, or 1,000 yen. At 10:30 sharp.",
         ["It costs 3.14 euros,", "or 1,000 yen.", "At 10:30 sharp."]),
        ("Ask Dr. Smith, e.g. today. Then rest.", ["Ask Doctor Smith,", "for example today.", "Then rest."]),
        ("J. R. Tolkien wrote it. It is long.", ["J. R. Tolkien wrote it.", "It is long."]),
        ("Am 3. Oktober. Der 2. große Tag. Es sind 12. Mehr nicht.",
         ["Am 3. Oktober.", "Der 2. große Tag.", "Es sind 12.", "Mehr nicht."]),
        ("Das geht, z. B. so. Danke.", ["Das geht,", "z. B. so.", "Danke."]),
        ("Mail a.b_c@example.com, please. Bye.", ["Mail a dot b_c at example dot com,", "please.", "Bye."]),
        ("See https://www.example.com/a,b?c=1. Done.", ["See example dot com.", "Done."]),
        ("He said \"no.\" Then he left.", ["He said \"no.\"", "Then he left."]),
        ("Take no. 5 of them. I said no. Then left.", ["Take number 5 of them.", "I said no.", "Then left."]),
        ("Really?! Yes... no.", ["Really?!", "Yes...", "no."]),
        ("I think so—yes—it is.", ["I think so—", "yes—it is."]),
        ("Warm – und sonnig – ist es. Gut.", ["Warm – und sonnig –", "ist es.", "Gut."]),
        ("So 5 - 3 is 2, right. Ok.", ["So 5 - 3 is 2,", "right.", "Ok."]),
        ("„Guten Tag.“ Er ging.", ["„Guten Tag.“", "Er ging."]),
        ("今天天气很好，我们去公园吧。好吗？「好。」走",
         ["今天天气很好，", "我们去公园吧。", "好吗？", "「好。」", "走"]),
        ("現在は10：30です。はい。", ["現在は10：30です。", "はい。"]),
        ("¿Qué tal? Muy bien.", ["¿Qué tal?", "Muy bien."]),
        ("It says [sic] here, as it [is] (you know). Ok.", ["It says [sic] here,", "as it [is] (you know).", "Ok."]),
        ("That is what I think — and so on.", ["That is what I think —", "and so on."]),
        ("Oh — wait.", ["Oh — wait."]),
        ("他们告诉我说：「非常好，」 然后走了。", ["他们告诉我说：", "「非常好，」 然后走了。"]),
        ("he said , and then", ["he said,", "and then"]),
    ],
)  # fmt: skip
def test_where_clauses_end(text: str, clauses: list[str]) -> None:
    assert spoken(text) == clauses


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("# Soup\n\nYou need:\n- **Onions**, two\n- _Salt_\n1. Cut.\n2. Cook\n",
         ["Soup", "You need:", "Onions, two", "Salt", "1: Cut.", "2: Cook"]),
        ("Try this:\n```python\nprint('a. b')\n\nx = 1\n```\nThat is all.",
         ["Try this:", "A code example in Python.", "That is all."]),
        ("| Name | Age |\n|:---|---:|\n| Bob, Jr. | 3 |\n", ["Name, Age", "Bob, Jr., 3"]),
        ("Read [the manual, part one](https://x.y/z) or `a, b` now. Ok.",
         ["Read the manual, part one or a, b now.", "Ok."]),
        ("Nice 😀! Family 👨‍👩‍👧‍👦 flag 🇩🇪 key 1️⃣. ❤️", ["Nice!", "Family flag key 1."]),
        ("> quoted <b>text</b> &amp; more\n---\n***\nend", ["quoted text & more", "end"]),
        ("😀 🎉\n\n...\n", []),
        ("2**3 is 8, 3 * 4 is 12, snake_case and *so* ~~on~~.", ["2**3 is 8,", "3 * 4 is 12, snake case and so on."]),
    ],
)  # fmt: skip
def test_markdown_becomes_speech(text: str, clauses: list[str]) -> None:
    assert spoken(text) == clauses


def test_code_is_never_cut_and_a_missing_fence_ends_with_the_reply() -> None:
    chunker = Chunker("de")
    assert chunker.push("```sh\n" + "echo hello. world, again\n" * 400) == []
    assert [clause.text for clause in chunker.flush()] == ["Ein Codebeispiel in shell."]


def test_an_opened_bracket_does_not_hold_the_reply_for_ever() -> None:
    text = "Look [here, " + "this is a sentence. " * 30
    assert len(spoken(text)) > 10


def test_unspaced_text_is_cut_in_the_end() -> None:
    assert len(spoken("我" * 200)) > 2
    assert max(map(len, spoken("我" * 200))) <= 110


def test_a_first_clause_does_not_end_with_an_article_or_a_number() -> None:
    assert spoken("take one two three five six seven eight nine the green bottle over there")[0].endswith("green")
    assert spoken("take one two three five six seven eight nine 10 bottles over there")[0].endswith("bottles")
    assert spoken("one two three four five six 7 and eight nine ten eleven")[0].endswith("nine")


def test_what_says_nothing_is_a_span_without_text() -> None:
    chunker = Chunker()
    assert chunker.push("Good. ") == [Clause("Good.", 0, 5)]
    assert chunker.flush() == [Clause("", 5, 6)]
    assert Chunker().flush() == []


def test_numbers_with_spaces_stay_together() -> None:
    text = "you can call me at any time on +49 170 123 45 67 89 and I will answer"
    assert any("+49 170 123 45 67 89" in clause for clause in spoken(text))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("```\nx\n```", "A code example."),
        ("```rust\nx", "A code example in Rust."),
        ("![a cat](cat.png)", "a cat"),
        ("www.example.org/x, too", "example dot org, too"),
        ("<https://user@host.example/>", "host.example"),
        ("- [x] done", "done"),
        ("It is -5 degrees", "It is -5 degrees"),
        ("$5 & 10%", "5 dollars & 10%"),
        ("a footnote[^1] here", "a footnote here"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a, b 1, 2"),
        ("**", ""),
        ("- ", ""),
    ],
)
def test_speakable(raw: str, said: str) -> None:
    assert speakable(raw) == said
