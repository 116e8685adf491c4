"""One wake word, several devices: who answers."""

from __future__ import annotations

import itertools

import pytest

from voice.session.arbitration import SAME_S, WINDOW_S, Arbiter, Claim


def claim(device: str, clear_db: float, score: float = 0.9, word: str = "alexa") -> Claim:
    return Claim(device, word, score, clear_db)


@pytest.mark.parametrize("order", list(itertools.permutations([("kitchen", 30.0), ("hall", 18.0), ("bath", 9.0)])))
def test_the_nearest_wins_whoever_reports_first(order: tuple[tuple[str, float], ...]) -> None:
    arbiter = Arbiter()
    for late, (device, clear_db) in enumerate(order):
        assert arbiter.claim("me", claim(device, clear_db), 5.0 + late * 0.05) == 5.0 + WINDOW_S
    assert [device for device, _ in order if arbiter.won("me", device, "alexa")] == ["kitchen"]


def test_who_comes_after_the_decision_has_lost() -> None:
    arbiter = Arbiter()
    arbiter.claim("me", claim("kitchen", 10), 5.0)
    assert arbiter.claim("me", claim("hall", 40), 5.0 + WINDOW_S + 0.1) == 5.0 + WINDOW_S + 0.1
    assert arbiter.won("me", "kitchen", "alexa")
    assert not arbiter.won("me", "hall", "alexa")


def test_other_users_other_words_and_later_times_are_contests_of_their_own() -> None:
    arbiter = Arbiter()
    arbiter.claim("me", claim("kitchen", 10), 5.0)
    arbiter.claim("you", claim("hall", 5), 5.0)
    arbiter.claim("me", claim("bath", 5, word="hey jarvis"), 5.0)
    assert arbiter.won("me", "kitchen", "alexa")
    assert arbiter.won("you", "hall", "alexa")
    assert arbiter.won("me", "bath", "hey jarvis")
    arbiter.claim("me", claim("hall", 1), 5.0 + SAME_S)
    assert arbiter.won("me", "hall", "alexa")


def test_a_device_that_hears_it_again_is_answered_again() -> None:
    arbiter = Arbiter()
    arbiter.claim("me", claim("kitchen", 30), 5.0)
    arbiter.claim("me", claim("hall", 20), 5.1)
    assert not arbiter.won("me", "hall", "alexa")
    arbiter.claim("me", claim("hall", 20), 5.6)
    assert arbiter.won("me", "hall", "alexa")


def test_the_better_score_counts_where_both_are_as_clear() -> None:
    arbiter = Arbiter()
    arbiter.claim("me", claim("kitchen", 20, score=0.55), 5.0)
    arbiter.claim("me", claim("hall", 19, score=0.95), 5.1)
    assert arbiter.won("me", "hall", "alexa")
