from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voice.mouth.heard_words import spans
from voice.port import Word
from voice.tts.word_times import from_positions, from_units


def test_words_are_what_has_letters_or_digits() -> None:
    text = 'He said: "it\'s 25" - really!'
    assert [text[a:b] for a, b in spans(text)] == ["He", "said:", "\"it's", '25"', "really!"]


def test_positions_become_the_words_as_written() -> None:
    words = from_positions("Hi there", [(0, 0.0), (3, 0.4)], [], 1.0)
    assert words == (Word("Hi", 0.0, 0.4), Word("there", 0.4, 1.0))


def test_a_number_begun_several_times_is_one_word() -> None:
    words = from_positions("in 1997 ok", [(0, 0.0), (3, 0.2), (4, 0.9), (8, 1.5)], [1.2], 2.0)
    assert words == (Word("in", 0.0, 0.2), Word("1997", 0.2, 1.2), Word("ok", 1.5, 2.0))


def test_a_pause_ends_a_word() -> None:
    words = from_positions("one, two", [(0, 0.0), (5, 0.9)], [0.4, 1.3], 1.5)
    assert words == (Word("one,", 0.0, 0.4), Word("two", 0.9, 1.3))


def test_a_pause_within_a_word_does_not_end_it() -> None:
    words = from_positions("FBI, now", [(0, 0.0), (5, 0.9)], [0.1, 0.4, 0.7, 1.3], 1.5, [0.0, 0.2, 0.5, 0.9])
    assert words == (Word("FBI,", 0.0, 0.7), Word("now", 0.9, 1.3))


def test_words_said_in_one_breath_share_its_time() -> None:
    words = from_positions("so on the sea", [(0, 0.0), (3, 0.2), (10, 0.7)], [], 1.0)
    assert [word.text for word in words] == ["so", "on", "the", "sea"]
    assert (words[1].start_s, words[2].end_s, words[3]) == (0.2, 0.7, Word("sea", 0.7, 1.0))
    assert words[1].end_s == words[2].start_s == 0.4


def test_positions_outside_of_words_are_passed_over() -> None:
    assert from_positions("- a -", [(0, 0.0), (2, 0.1), (4, 0.2), (99, 0.3)], [], 0.4) == (Word("a", 0.1, 0.4),)
    assert from_positions("", [(0, 0.0)], [], 0.4) == ()


def test_equal_numbers_are_one_to_one() -> None:
    words = from_units(["a", "b"], [[1], [1]], [(0.0, 0.5, 1), (0.7, 1.0, 1)])
    assert words == [Word("a", 0.0, 0.5), Word("b", 0.7, 1.0)]


def test_one_word_may_be_several_units_and_the_pause_between_words_is_nobodys() -> None:
    spoken = [(0, 0.3, 3), (0.3, 0.6, 6), (0.6, 1.2, 3), (1.5, 2.1, 6)]
    words = from_units(["it's", "25", "degrees"], [[3], [6, 3], [6]], spoken)
    assert words == [Word("it's", 0, 0.3), Word("25", 0.3, 1.2), Word("degrees", 1.5, 2.1)]


def test_several_words_may_be_one_unit() -> None:
    words = from_units(["of", "the", "house"], [[2], [2], [4]], [(0.0, 0.4, 4), (0.5, 0.9, 3)])
    assert words == [Word("of", 0.0, 0.2), Word("the", 0.2, 0.4), Word("house", 0.5, 0.9)]


def test_as_many_words_as_units_are_one_to_one_only_where_each_is_one() -> None:
    spoken = [(0.0, 0.4, 6), (0.4, 0.7, 3), (0.7, 1.0, 4), (1.0, 1.2, 4), (1.2, 1.5, 3)]
    words = from_units(["25", "cars", "of", "the", "town"], [[6, 3], [4], [2], [2], [3]], spoken)
    assert [word.end_s for word in words] == [0.7, 1.0, 1.1, 1.2, 1.5]


def test_sounds_that_are_nobodys_end_the_word_before() -> None:
    assert from_units(["a", "b"], [[9], []], [(0.0, 0.5, 9), (0.5, 0.6, 1)]) == [
        Word("a", 0.0, 0.6),
        Word("b", 0.6, 0.6),
    ]
    assert from_units([], [], [(0.0, 0.5, 1)]) == from_units(["a"], [[1]], []) == []


@given(st.text("ab ,", max_size=20), st.lists(st.tuples(st.integers(0, 25), st.floats(0, 5)), max_size=9))
def test_every_word_has_its_time_once_anything_was_begun(text: str, starts: list[tuple[int, float]]) -> None:
    ordered = sorted(starts, key=lambda start: start[1])
    words = from_positions(text, ordered, [], 6.0)
    assert len(words) in (0, len(spans(text)))
    last = 0.0
    for word in words:
        assert last - 1e-9 <= word.start_s <= word.end_s + 1e-9 <= 6.0 + 1e-8
        last = word.end_s


sizes = st.integers(1, 12)
units = st.lists(st.tuples(st.floats(0, 0.5), st.floats(0.01, 1), sizes), max_size=12)
some_words = st.lists(st.tuples(st.text("ab", min_size=1, max_size=3), st.lists(sizes, max_size=3)), max_size=12)


@given(some_words, units)
def test_times_are_monotone_and_within_the_units(
    words: list[tuple[str, list[int]]], gaps: list[tuple[float, float, int]]
) -> None:
    spoken, at = [], 0.0
    for gap, length, size in gaps:
        spoken.append((at + gap, at + gap + length, size))
        at += gap + length
    found = from_units([text for text, _ in words], [alone for _, alone in words], spoken)
    assert len(found) == (len(words) if spoken else 0)
    last = 0.0
    for word in found:
        assert last - 1e-9 <= word.start_s <= word.end_s + 1e-9 <= at + 1e-8
        last = word.end_s
