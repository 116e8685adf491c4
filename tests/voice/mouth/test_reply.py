"""One reply: held back, spoken clause by clause, and what of it was heard at any moment."""

from __future__ import annotations

import numpy as np
import pytest

from voice.mouth.reply import PREFETCH_S, Reply
from voice.port import Word

RATE_HZ = 8_000
TEXT = "Well, there was a fox. It lived by the sea, and it was happy there."


def pcm(seconds: float) -> np.ndarray:
    return np.ones(round(seconds * RATE_HZ), np.int16)


def made(text: str = TEXT, second_per_word: float = 0.5, timed: bool = True) -> Reply:
    """A finished reply whose every word takes the same time."""
    reply = Reply("r", RATE_HZ, lead_s=1000.0)
    reply.add_tokens(text, 5)
    reply.finish_text()
    while (clause := reply.next_clause()) is not None:
        words = clause[1].split()
        times = tuple(Word(w, i * second_per_word, (i + 1) * second_per_word) for i, w in enumerate(words))
        reply.add_audio(clause[0], pcm(len(words) * second_per_word), times if timed else (), True)
        reply.release()
        reply.pump(0.0)  # so that the next clause is not held back by the prefetch
    return reply


class TestHolding:
    def test_nothing_leaves_before_the_release(self) -> None:
        reply = Reply("r", RATE_HZ, 0.3)
        reply.add_tokens("Hello there. ", 2)
        reply.finish_text()
        index, _ = reply.next_clause() or (0, "")
        reply.add_audio(index, pcm(1.0), (), True)
        assert reply.take_text() == "" and reply.pump(0.0) == [] and reply.pumps_at(0.0) is None
        reply.release()
        assert reply.take_text() == "Hello there. "
        assert sum(len(piece.pcm) for piece in reply.pump(0.0)) == pytest.approx(0.3 * RATE_HZ)

    def test_text_is_told_once(self) -> None:
        reply = Reply("r", RATE_HZ, 0.3)
        reply.release()
        reply.add_tokens("one ", 1)
        assert reply.take_text() == "one "
        reply.add_tokens("two ", 1)
        assert reply.take_text() == "two "
        assert reply.take_text() == ""


class TestSpeaking:
    def test_one_clause_at_a_time(self) -> None:
        reply = Reply("r", RATE_HZ, 0.3)
        reply.add_tokens(TEXT, 5)
        reply.finish_text()
        first = reply.next_clause()
        assert first is not None and reply.next_clause() is None
        reply.add_audio(first[0], pcm(0.5), (), True)
        second = reply.next_clause()
        assert second is not None and second[0] == first[0] + 1

    def test_no_clause_is_made_far_ahead_of_playout(self) -> None:
        reply = Reply("r", RATE_HZ, 0.3)
        reply.add_tokens(TEXT, 5)
        reply.finish_text()
        first = reply.next_clause()
        assert first is not None
        reply.add_audio(first[0], pcm(PREFETCH_S + 1), (), True)
        assert reply.next_clause() is None

    def test_late_and_foreign_audio_is_ignored(self) -> None:
        reply = made()
        sent = reply.playout.sent_s
        reply.add_audio(0, pcm(1.0), (), False)
        reply.add_audio(77, pcm(1.0), (), False)
        reply.fail_clause(77)
        reply.pump(0.0)
        assert reply.playout.sent_s == sent

    def test_what_cannot_be_spoken_is_passed_over(self) -> None:
        reply = Reply("r", RATE_HZ, 0.3)
        reply.release()
        reply.add_tokens("🙂", 1)
        reply.finish_text()
        assert reply.next_clause() is None
        assert reply.pump(0.0) == []
        assert reply.is_over(0.0) and reply.heard(0.0) == ""


class TestHeard:
    def test_nothing_before_the_first_word_is_over(self) -> None:
        assert made().heard(0.2) == ""

    @pytest.mark.parametrize("timed", [True, False])
    def test_it_grows_word_by_word(self, timed: bool) -> None:
        reply = made(timed=timed)
        words = TEXT.split()
        before = -1
        for tenth in range(0, 90):
            at = tenth / 10
            heard = reply.heard(at).split()
            assert heard == words[: len(heard)], "always a prefix, cut at a word"
            assert len(heard) >= before
            if timed:
                assert len(heard) == min(int(at * 2 + 0.06 + 1e-9), len(words))
            else:
                assert abs(len(heard) - min(at * 2, len(words))) <= 2
            before = len(heard)
        assert reply.heard(99.0) == TEXT

    def test_numbers_read_out_as_several_words_are_cut_in_proportion(self) -> None:
        reply = Reply("r", RATE_HZ, 1000.0)
        reply.add_tokens("It is 25 degrees. ", 5)
        reply.finish_text()
        reply.release()
        index, _ = reply.next_clause() or (0, "")
        spoken = ["it", "is", "twenty", "five", "degrees"]
        times = tuple(Word(w, i * 0.5, i * 0.5 + 0.5) for i, w in enumerate(spoken))
        reply.add_audio(index, pcm(2.5), times, True)
        reply.pump(0.0)
        assert reply.heard(1.0) == "It"
        assert reply.heard(1.5) == "It is"
        assert reply.heard(2.5) == "It is 25 degrees."

    def test_a_clause_still_being_made_is_never_overstated(self) -> None:
        reply = Reply("r", RATE_HZ, 1000.0)
        reply.add_tokens("There was a very long sentence here. ", 5)
        reply.finish_text()
        reply.release()
        index, _ = reply.next_clause() or (0, "")
        reply.add_audio(index, pcm(0.5), (), False)
        reply.pump(0.0)
        assert len(reply.heard(0.5)) <= 0.5 * 15

    def test_a_failed_clause_was_not_heard(self) -> None:
        reply = Reply("r", RATE_HZ, 0.3)
        reply.release()
        reply.add_tokens("Hello. ", 1)
        reply.finish_text()
        index, _ = reply.next_clause() or (0, "")
        reply.fail_clause(index)
        assert reply.next_clause() is None
        reply.pump(0.0)
        assert reply.heard(9.0) == "" and reply.is_over(9.0)


@pytest.mark.parametrize(
    ("failed", "made_s", "heard"),
    [
        (0, 0.0, "She had one very big house. Nobody knew."),
        (1, 0.0, "It was a fox. Nobody knew."),
        (1, 0.6, "It was a fox. She Nobody knew."),
        (2, 0.0, "It was a fox. She had one very big house."),
    ],
)
def test_what_was_heard_around_a_clause_that_failed(failed: int, made_s: float, heard: str) -> None:
    reply = Reply("r", RATE_HZ, lead_s=1000.0)
    clauses = ["It was a fox.", "She had one very big house.", "Nobody knew."]
    reply.add_tokens(" ".join(clauses), 9)
    reply.finish_text()
    reply.release()
    for index, text in enumerate(clauses):
        assert reply.next_clause() == (index, text)
        if index == failed:
            reply.add_audio(index, pcm(made_s), (), False)
            reply.fail_clause(index)
        else:
            reply.add_audio(index, pcm(len(text) / 15), (), True)
        reply.pump(0.0)
    assert reply.heard(99.0) == heard
    before: list[str] = []
    for tenth in range(70):
        words = reply.heard(tenth / 10).split()
        assert words[: len(before)] == before and heard.split()[: len(words)] == words
        before = words


def test_the_words_around_a_clause_that_failed_are_two_words() -> None:
    """The space between them may be part of that clause: the model stopped there to call a tool."""
    reply = Reply("r", RATE_HZ, lead_s=1000.0)
    reply.add_tokens("It was a fox. Let me look, ", 7)
    reply.end_sentence()
    reply.add_tokens("Nobody knew.", 2)
    reply.finish_text()
    reply.release()
    for number, text in enumerate(("It was a fox.", "Let me look,", "Nobody knew.")):
        assert reply.next_clause() == (number, text)
        if number == 1:
            reply.fail_clause(number)
        else:
            reply.add_audio(number, pcm(len(text) / 15), (), True)
        reply.pump(0.0)
    assert reply.heard(99.0) == "It was a fox. Nobody knew."


def test_it_is_over_when_written_spoken_sent_and_played() -> None:
    reply = made()
    assert reply.all_sent and not reply.is_over(1.0)
    assert reply.is_over(reply.playout.sent_s + 0.01)
    assert reply.pumps_at(1.0) == pytest.approx(reply.playout.sent_s)


def test_it_is_over_when_its_client_plays_no_more_of_it() -> None:
    """And only what it had played by then was heard."""
    reply = made()
    for second in range(1, 20):
        reply.playout.report(min(second, 3.0), float(second))
    assert reply.playout.sent_s > 6.0 and not reply.is_over(7.0)
    assert reply.is_over(19.0) and reply.heard(19.0, whole=True).split() == TEXT.split()[:6]


class TestSaid:
    def test_it_is_what_was_spoken_and_the_history_what_was_written(self) -> None:
        reply = made("That is **$3.50**, Dr. Smith. It is 5 km to [the sea](http://sea.example).")
        assert reply.said(0.0) == "That is 3 dollars and 50 cents, Doctor Smith. It is 5 kilometers to the sea."
        assert reply.said(7.0 * 0.5) == "Doctor Smith. It is 5 kilometers to the sea."
        assert reply.heard_at(2.0) == "That is"
        assert reply.heard_at(3.5) == "That is **$3.50**,"

    def test_it_is_no_more_than_was_sent_and_the_word_under_way(self) -> None:
        reply = Reply("r", RATE_HZ, lead_s=1.1)
        reply.add_tokens("It is 5 km to the sea.", 5)
        reply.finish_text()
        assert reply.said(0.0) == ""
        index, words = reply.next_clause() or (0, "")
        times = tuple(Word(word, i * 0.5, (i + 1) * 0.5) for i, word in enumerate(words.split()))
        reply.add_audio(index, pcm(len(times) * 0.5), times, True)
        reply.release()
        assert reply.said(0.0) == ""
        reply.pump(0.0)
        assert reply.said(0.0) == "It is 5"
