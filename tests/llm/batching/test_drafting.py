"""Guesses by what followed the same tokens before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.batching.drafting import SKIP, TRIES, Payoff, PromptLookup


def bold(tokens: list[int]) -> PromptLookup:
    """One whose guesses were right."""
    lookup = PromptLookup(tokens, 8)
    for _ in range(2):
        lookup.told(1, 1)
    return lookup


def test_what_followed_the_longest_same_end_last_is_guessed() -> None:
    lookup = bold([1, 2, 3, 4, 5, 9, 2, 3, 4, 6, 7, 8, 1, 2, 3, 4])
    assert lookup.guess(2) == [5, 9], "four tokens are the same there, three elsewhere"
    lookup.add([6])
    assert lookup.guess(3) == [7, 8, 1]
    lookup.add([77])
    assert lookup.guess(3) == []


def test_a_repetition_is_guessed_on() -> None:
    assert bold([9, 1, 2, 1, 2, 1, 2]).guess(8) == [1, 2, 1, 2, 1, 2, 1, 2]
    assert bold([4, 4, 4, 4]).guess(3) == [4, 4, 4]


def test_images_are_not_guessed() -> None:
    assert bold([1, 2, 3, -7, -8, 1, 2]).guess(8) == [3]
    assert bold([1, 2, -7, 1, 2]).guess(8) == []


def test_wrong_guesses_become_shorter_and_right_ones_longer_again() -> None:
    lookup = PromptLookup([1, 2] * 20, 8)
    assert len(lookup.guess(100)) == 2, "at first few"
    lookup = bold([1, 2] * 20)
    assert len(lookup.guess(100)) == 8
    for _ in range(5):
        lookup.told(len(lookup.guess(100)), 0)
    assert len(lookup.guess(100)) == 1
    for _ in range(4):
        lookup.told(1, 1)
    assert len(lookup.guess(100)) == 8
    lookup.told(0, 0)
    assert len(lookup.guess(100)) == 8 and lookup.guess(0) == []


@pytest.mark.parametrize(("right", "after_s", "pays"), [(0, 0.01, False), (2, 0.01, True), (2, 0.04, False)])
def test_guesses_are_left_for_a_while_where_they_cost_more_than_they_gain(
    right: int, after_s: float, pays: bool
) -> None:
    """Also where only the step after them is the slower for it."""
    payoff = Payoff()
    silences = []
    for _ in range(3):
        for _ in range(3):
            payoff.ran(0, 10, 0.1)
        for _ in range(TRIES):
            assert payoff.wanted
            payoff.ran(2, 1 + right, 0.015)
            payoff.ran(0, 1, after_s)
        silence = 0
        while not payoff.wanted:
            payoff.ran(0, 1, 0.01)
            silence += 1
        silences.append(silence)
    assert silences == ([0, 0, 0] if pays else [SKIP, 2 * SKIP, 4 * SKIP])


def test_where_every_step_is_guessed_it_is_found_out_what_one_without_costs() -> None:
    payoff = Payoff()
    for _ in range(4 * TRIES):
        assert payoff.wanted
        payoff.ran(8, 1, 0.05)
    assert not payoff.wanted


@given(st.lists(st.integers(-2, 4), max_size=60), st.integers(0, 10), st.integers(0, 60))
def test_it_depends_on_the_tokens_alone_and_stays_within_its_bounds(tokens: list[int], room: int, cut: int) -> None:
    lookup = PromptLookup(tokens[:cut], 8)
    lookup.add(tokens[cut:])
    guess = lookup.guess(room)
    assert guess == PromptLookup(tokens, 8).guess(room)
    assert len(guess) <= min(room, 8) and all(token >= 0 and token in tokens for token in guess)
