"""One wake word, several devices: who answers."""

from __future__ import annotations

import itertools

import pytest

from voice.session.arbitration import PHRASE_WINDOW_S, SAME_S, WINDOW_S, Arbiter, Claim


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


def test_a_device_that_is_gone_when_it_is_decided_answers_nobody() -> None:
    arbiter = Arbiter()
    for device, clear_db in (("kitchen", 30.0), ("hall", 18.0), ("bath", 9.0)):
        arbiter.claim("me", claim(device, clear_db), 5.0)
    assert not arbiter.won("me", "bath", "alexa", gone=lambda device: device == "kitchen")
    assert arbiter.won("me", "hall", "alexa"), "what is decided stays so"
    assert not arbiter.won("me", "kitchen", "alexa")


def test_a_device_that_was_away_and_brings_its_audio_later_has_lost_what_was_answered() -> None:
    """Its connection had dropped: the word reaches us when it is back. What is said then is another word."""
    arbiter = Arbiter()
    arbiter.claim("me", Claim("hall", "alexa", 0.9, 12.0, spoken_at=4.7), 5.0)
    arbiter.claim("me", Claim("kitchen", "alexa", 0.9, 30.0, spoken_at=4.8), 12.0)
    assert arbiter.won("me", "hall", "alexa") and not arbiter.won("me", "kitchen", "alexa")
    arbiter.claim("me", Claim("kitchen", "alexa", 0.9, 30.0, spoken_at=12.3), 12.6)
    assert arbiter.won("me", "kitchen", "alexa")
    arbiter.claim("me", Claim("attic", "alexa", 0.9, 30.0, spoken_at=8.0), 14.0)
    assert arbiter.won("me", "attic", "alexa"), "nobody else heard that"


def test_what_a_device_brings_late_is_not_what_is_said_just_now() -> None:
    arbiter = Arbiter()
    arbiter.claim("me", Claim("hall", "alexa", 0.9, 12.0, spoken_at=4.7), 5.0)
    arbiter.claim("me", Claim("hall", "alexa", 0.9, 12.0, spoken_at=11.9), 12.1)
    arbiter.claim("me", Claim("kitchen", "alexa", 0.9, 30.0, spoken_at=4.8), 12.2)
    assert not arbiter.won("me", "kitchen", "alexa") and arbiter.won("me", "hall", "alexa")


def test_who_is_alone_in_the_room_may_have_come_second() -> None:
    """The other one has heard it, too, and is away now."""
    arbiter = Arbiter()
    assert arbiter.wins_alone("me", "hall", "alexa")
    arbiter.claim("me", Claim("hall", "alexa", 0.9, 12.0, spoken_at=4.7), 5.0)
    assert arbiter.wins_alone("me", "hall", "alexa")
    arbiter.claim("me", Claim("kitchen", "alexa", 0.9, 30.0, spoken_at=4.8), 12.0)
    assert not arbiter.wins_alone("me", "kitchen", "alexa")
    assert not arbiter.won("me", "kitchen", "alexa", gone=lambda device: device == "hall")


def test_who_was_told_to_answer_alone_stays_the_one() -> None:
    """The other one's link comes back a moment later, and it heard the word better."""
    arbiter = Arbiter()
    arbiter.claim("me", claim("hall", 10), 5.0)
    assert arbiter.wins_alone("me", "hall", "alexa")
    arbiter.claim("me", claim("kitchen", 30), 5.1)
    assert not arbiter.won("me", "kitchen", "alexa")


def test_spellings_of_a_word_are_one_word() -> None:
    arbiter = Arbiter()
    arbiter.claim("me", claim("kitchen", 10, word="Hey_Jarvis"), 5.0)
    arbiter.claim("me", claim("hall", 20, word="hey jarvis"), 5.1)
    assert not arbiter.won("me", "kitchen", "Hey_Jarvis") and arbiter.won("me", "hall", "hey jarvis")


def phrase(device: str, clear_db: float, span: tuple[float, float]) -> Claim:
    return Claim(device, "hey computer", 1.0, clear_db, span)


@pytest.mark.parametrize("late_s", [0.1, 3.0, 12.0])
def test_an_utterance_has_one_winner_however_late_it_is_reported(late_s: float) -> None:
    arbiter = Arbiter()
    assert arbiter.claim("me", phrase("hall", 12, (2.0, 4.0)), 5.0) == 5.0 + PHRASE_WINDOW_S
    arbiter.claim("me", phrase("kitchen", 30, (2.1, 4.2)), 5.0 + late_s)
    winner, loser = ("kitchen", "hall") if late_s < PHRASE_WINDOW_S else ("hall", "kitchen")
    assert arbiter.won("me", winner, "hey computer") and not arbiter.won("me", loser, "hey computer")


def test_two_utterances_are_two_contests_however_soon_they_are_reported() -> None:
    arbiter = Arbiter()
    arbiter.claim("me", phrase("hall", 12, (2.0, 4.0)), 5.0)
    arbiter.claim("me", phrase("kitchen", 30, (3.9, 5.0)), 5.1)
    assert arbiter.won("me", "hall", "hey computer") and arbiter.won("me", "kitchen", "hey computer")
    arbiter.claim("me", phrase("hall", 12, (3.9, 5.0)), 5.2)
    assert not arbiter.won("me", "hall", "hey computer")


def test_a_request_that_goes_on_is_contested_anew() -> None:
    """The hall had answered the first half; the kitchen hears the second half, with the word in it, better."""
    arbiter = Arbiter()
    arbiter.claim("me", phrase("hall", 20, (2.0, 4.0)), 5.0)
    arbiter.claim("me", phrase("kitchen", 9, (2.0, 4.0)), 5.1)
    assert arbiter.won("me", "hall", "hey computer")
    arbiter.claim("me", phrase("hall", 12, (2.0, 7.0)), 8.0)
    arbiter.claim("me", phrase("kitchen", 30, (5.5, 7.0)), 8.1)
    assert arbiter.won("me", "kitchen", "hey computer") and not arbiter.won("me", "hall", "hey computer")


def test_a_device_that_hears_it_again_is_answered_again() -> None:
    arbiter = Arbiter()
    arbiter.claim("me", claim("kitchen", 30), 5.0)
    arbiter.claim("me", claim("hall", 20), 5.1)
    assert not arbiter.won("me", "hall", "alexa")
    arbiter.claim("me", claim("hall", 20), 5.6)
    assert arbiter.won("me", "hall", "alexa")


def asking(device: str, clear_db: float, span: tuple[float, float], *, asks: bool = True) -> Claim:
    return Claim(device, "hey computer", 1.0, clear_db, span, asks=asks)


def test_who_heard_the_request_beats_who_heard_but_the_word() -> None:
    arbiter = Arbiter()
    arbiter.claim("me", asking("kitchen", 30, (2.0, 2.5), asks=False), 5.0)
    arbiter.claim("me", asking("hall", 12, (2.0, 4.0)), 5.1)
    assert arbiter.won("me", "hall", "hey computer") and not arbiter.won("me", "kitchen", "hey computer")


def follow_up(device: str, span: tuple[float, float], *words: str) -> Claim:
    return Claim(device, "", 1.0, 20.0, span, asks=True, words=words or ("alexa",))


@pytest.mark.parametrize("span", [(4.9, 7.0), (4.3, 7.0), (2.0, 4.3), (2.0, 4.8)])
def test_what_needs_no_word_here_may_have_been_said_to_another_device(span: tuple[float, float]) -> None:
    """The word was lost here, or is part of what was heard, before the request or after it."""
    arbiter = Arbiter()
    arbiter.claim("me", Claim("hall", "alexa", 0.9, 12.0, spoken_at=4.8), 5.0)
    assert arbiter.won("me", "hall", "alexa")
    arbiter.claim("me", follow_up("kitchen", span), 7.5)
    assert not arbiter.won("me", "kitchen", "")


@pytest.mark.parametrize(
    "claim",
    [
        follow_up("kitchen", (5.8, 8.0)),
        follow_up("kitchen", (1.0, 3.0)),
        follow_up("kitchen", (2.0, 9.0)),
        follow_up("kitchen", (4.9, 7.0), "hey jarvis"),
        follow_up("hall", (4.9, 7.0)),
    ],
    ids=["later", "before", "all the time", "listens for another word", "it was woken itself"],
)
def test_what_needs_no_word_is_answered_where_no_other_device_was_woken_for_it(claim: Claim) -> None:
    arbiter = Arbiter()
    arbiter.claim("me", Claim("hall", "alexa", 0.9, 12.0, spoken_at=4.8), 5.0)
    assert arbiter.won("me", "hall", "alexa")
    assert arbiter.claim("me", claim, 9.5) == 9.5
    assert arbiter.won("me", claim.device, "")


def test_two_follow_up_windows_give_one_answer() -> None:
    arbiter = Arbiter()
    arbiter.claim("me", follow_up("kitchen", (5.0, 7.0)), 7.5)
    arbiter.claim("me", follow_up("hall", (5.1, 7.0)), 7.6)
    assert arbiter.won("me", "kitchen", "") and not arbiter.won("me", "hall", "")
    arbiter.claim("me", Claim("bath", "alexa", 0.9, 12.0, spoken_at=4.9), 9.0)
    assert not arbiter.won("me", "bath", "alexa"), "its link was slow, and what it brings was answered"


@pytest.mark.parametrize("phrase_first", [True, False])
def test_who_finds_the_word_in_its_text_and_who_hears_it_contend(phrase_first: bool) -> None:
    arbiter = Arbiter()
    claims = [
        Claim("hall", "alexa", 1.0, 12.0, (2.0, 4.0), asks=True),
        Claim("kitchen", "alexa", 0.9, 30.0, spoken_at=2.5),
    ]
    for claim in claims if phrase_first else reversed(claims):
        arbiter.claim("me", claim, 5.0)
    assert [claim.device for claim in claims if arbiter.won("me", claim.device, "alexa")] == ["hall"]


def test_a_request_passes_to_the_next_best_and_is_nobodys_when_it_was_answered() -> None:
    arbiter = Arbiter()
    for device, clear_db in (("kitchen", 30.0), ("hall", 18.0), ("bath", 9.0)):
        arbiter.claim("me", claim(device, clear_db), 5.0)
    assert arbiter.won("me", "kitchen", "alexa")
    assert arbiter.heirs("me", "kitchen") == ["hall", "bath"] and arbiter.heirs("me", "hall") == []
    assert arbiter.to_answer("me", "hall") == "kitchen" and arbiter.to_answer("me", "kitchen") is None
    assert arbiter.hand_to("me", "hall") == "kitchen"
    assert arbiter.heirs("me", "hall") == ["bath"], "the kitchen has had its chance"
    arbiter.answered("me", "hall")
    assert arbiter.heirs("me", "hall") == [] and arbiter.to_answer("me", "bath") is None


def test_what_nobody_has_is_answered_by_whoever_brings_it_later() -> None:
    arbiter = Arbiter()
    arbiter.claim("me", Claim("kitchen", "alexa", 0.9, 30.0, spoken_at=4.8), 5.0)
    assert arbiter.won("me", "kitchen", "alexa")
    arbiter.gives_up("me", "kitchen")
    arbiter.claim("me", Claim("hall", "alexa", 0.9, 12.0, spoken_at=4.8), 14.0)
    assert arbiter.won("me", "hall", "alexa") and not arbiter.won("me", "kitchen", "alexa")


def test_the_better_score_counts_where_both_are_as_clear() -> None:
    arbiter = Arbiter()
    arbiter.claim("me", claim("kitchen", 20, score=0.55), 5.0)
    arbiter.claim("me", claim("hall", 19, score=0.95), 5.1)
    assert arbiter.won("me", "hall", "alexa")
