"""Guesses by what followed the same tokens before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llm.batching.drafting import PromptLookup


def test_what_followed_the_longest_same_end_last_is_guessed() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 5, 9, 2, 3, 4, 6, 7, 8, 1, 2, 3, 4], 8)
    assert lookup.guess(2) == [5, 9], "four tokens are the same there, three elsewhere"
    lookup.add([6])
    assert lookup.guess(3) == [7, 8, 1]
    lookup.add([77])
    assert lookup.guess(3) == []


def test_a_repetition_is_guessed_on() -> None:
    assert PromptLookup([9, 1, 2, 1, 2, 1, 2], 8).guess(8) == [1, 2, 1, 2, 1, 2, 1, 2]
    assert PromptLookup([4, 4, 4, 4], 8).guess(3) == [4, 4, 4]


def test_images_are_not_guessed() -> None:
    assert PromptLookup([1, 2, 3, -7, -8, 1, 2], 8).guess(8) == [3]
    assert PromptLookup([1, 2, -7, 1, 2], 8).guess(8) == []


def test_wrong_guesses_become_shorter_and_right_ones_longer_again() -> None:
    lookup = PromptLookup([1, 2] * 20, 8)
    assert len(lookup.guess(100)) == 8
    for _ in range(5):
        lookup.told(len(lookup.guess(100)), 0)
    assert len(lookup.guess(100)) == 1
    for _ in range(4):
        lookup.told(1, 1)
    assert len(lookup.guess(100)) == 8
    lookup.told(0, 0)
    assert len(lookup.guess(100)) == 8 and lookup.guess(0) == []


@given(st.lists(st.integers(-2, 4), max_size=60), st.integers(0, 10), st.integers(0, 60))
def test_it_depends_on_the_tokens_alone_and_stays_within_its_bounds(tokens: list[int], room: int, cut: int) -> None:
    lookup = PromptLookup(tokens[:cut], 8)
    lookup.add(tokens[cut:])
    guess = lookup.guess(room)
    assert guess == PromptLookup(tokens, 8).guess(room)
    assert len(guess) <= min(room, 8) and all(token >= 0 and token in tokens for token in guess)
