"""Clauses depend on the text alone, cover all of it, and split nothing that belongs together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voice.mouth.chunker import Chunker, Clause

WHOLE = st.sampled_from(
    [
        "3.14", "10:30", "1,000,000", "Dr. Smith", "e.g. this", "z.B. das", "3. Oktober", "J. Smith", "No. 7",
        "https://example.com/a.b,c;d?e=f!g", "first.last@mail.example.org", "U.S. army", "[a, b. c](http://x.y)",
        "`x = 1, y. z`", "👨‍👩‍👧", "v2.0.1", "+49 170 1234567",
    ]
)  # fmt: skip
WORD = st.sampled_from(
    ["and", "I", "the", "house", "weather", "is", "good", "because", "Haus", "schön", "今天", "**bold**", "_so_", "é"]
)
MARK = st.sampled_from(
    [" ", " ", " ", ", ", ". ", "! ", "? ", "; ", ": ", "\n", "\n\n", " – ", "—", "... ", "，", "。"]
)
PROSE = st.lists(st.tuples(st.one_of(WORD, WORD, WHOLE), MARK), max_size=60).map(
    lambda parts: "".join(word + mark for word, mark in parts)
)
PIECES = st.sampled_from(
    list("abcXYZ19 .,;:!?\n\t#*_`~[]()|<>&-–—…。，「」😀‍️é\"'“”\u00a0\u0301")
    + ["```", "``", "~~~\n", "\n\n", "Dr. ", "3. ", "no. ", "| ", "[a](b", "://", " and ", "\n- ", "1️⃣"]
)
NOISE = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=120).map("".join))


def at_once(text: str) -> list[Clause]:
    chunker = Chunker()
    return chunker.push(text) + chunker.flush()


def in_pieces(text: str, lengths: list[int]) -> list[Clause]:
    chunker = Chunker()
    clauses: list[Clause] = []
    at = 0
    for index in range(len(text)):
        if at >= len(text):
            break
        length = lengths[index % len(lengths)]
        clauses += chunker.push(text[at : at + length])
        at += length
    return clauses + chunker.flush()


@given(st.one_of(PROSE, NOISE), st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_same_clauses_however_the_tokens_come(text: str, lengths: list[int]) -> None:
    assert in_pieces(text, lengths) == at_once(text)


@given(st.one_of(PROSE, NOISE))
def test_spans_are_contiguous_and_cover_everything(text: str) -> None:
    at = 0
    for clause in at_once(text):
        assert clause.start == at < clause.end
        at = clause.end
    assert at == len(text)


@given(st.one_of(PROSE, NOISE))
def test_what_is_spoken_is_clean(text: str) -> None:
    for clause in at_once(text):
        assert clause.text == clause.text.strip()
        assert "\n" not in clause.text
        assert not clause.text or any(char.isalnum() for char in clause.text)
        assert "😀" not in clause.text and "```" not in clause.text


@given(st.lists(st.tuples(WORD, MARK, WHOLE), min_size=1, max_size=30))
def test_numbers_names_and_addresses_are_never_cut(parts: list[tuple[str, str, str]]) -> None:
    text, spans = "", []
    for word, mark, whole in parts:
        text += word + mark
        # Behind a mark that needs no white space an address is a word of its own all the same.
        spans.append((len(text), len(text) + len(whole)))
        text += whole + " "
    cuts = {clause.end for clause in at_once(text)}
    for start, end in spans:
        assert not any(start < cut < end for cut in cuts), text[start:end]


@given(PROSE)
def test_the_first_clause_is_short(text: str) -> None:
    first = next((clause for clause in at_once(text) if clause.text), None)
    if first is not None:
        assert len(text[first.start : first.end].split()) <= 40
