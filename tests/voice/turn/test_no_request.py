"""A hum or a grunt to which nobody has spoken is no request."""

from __future__ import annotations

import pytest

from tests.voice.conversation import RATE_HZ, Conversation
from voice.session.config import AudioConfig, SessionConfig
from voice.session.outgoing import TranscriptOut, TurnComplete
from voice.turn import events as heard
from voice.turn.no_request import ANSWER_S, says_nothing

NOTHING = ["Hmm.", "Mm-hmm.", "mm hm", "Uh.", "Oh.", "Ahh.", "Ha ha ha.", "the", "And", "i am", "You", "Äh.", "und"]
SOMETHING = [
    "Yes.",
    "okay",
    "One.",
    "on",
    "off",
    "Stop.",
    "What?",
    "And?",
    "Hm?",
    "do it",
    "you can help",
    "hello",
    "",
]


@pytest.mark.parametrize(
    ("words", "nothing"), [*((each, True) for each in NOTHING), *((e, False) for e in SOMETHING)]
)
def test_words_that_say_nothing(words: str, nothing: bool) -> None:
    assert says_nothing(words) is nothing


@pytest.mark.parametrize("words", ["Hmm.", "the"])
def test_while_nobody_speaks_it_is_shown_and_not_answered(words: str) -> None:
    talk = Conversation()
    talk.speak((1.0, 1.4, words), (6.0, 7.0, "what time is it"))
    talk.run(14.0)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["what time is it"]
    shown = [event for event in talk.told(TranscriptOut) if event.is_final]
    assert [(event.text, event.is_request) for event in shown] == [(words, False), ("what time is it", True)]
    assert [each.user for each in talk.machine.history.exchanges] == ["what time is it"]


@pytest.mark.parametrize(
    ("reply", "later_s", "answered"),
    [
        ("It is noon.", 3.0, True),
        ("It is noon.", ANSWER_S + 5, False),
        ("Shall I set an alarm?", 3.0, True),
        ("Shall I set an alarm?", ANSWER_S + 5, True),
    ],
)
def test_it_may_be_an_answer(reply: str, later_s: float, answered: bool) -> None:
    """For some time after any reply, and always after a question."""
    talk = Conversation(answer=lambda asked: reply)
    talk.speak((1.0, 2.0, "what time is it"), (4.0 + later_s, 4.4 + later_s, "mm-hm"))
    talk.run(12.0 + later_s)
    asked = [turn.input_transcript for turn in talk.told(TurnComplete)]
    assert asked == ["what time is it"] + ["mm-hm"] * answered


def test_what_the_client_says_is_a_turn_is_one() -> None:
    talk = Conversation(config=SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ)))
    talk.at(1.6, heard.Committed(1.6))
    talk.speak((1.0, 1.5, "Hmm."))
    talk.run(8.0)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["Hmm."]


def test_who_goes_on_with_it_has_asked_something() -> None:
    talk = Conversation()
    talk.speak((1.0, 1.4, "the"), (1.7, 2.4, "weather"))
    talk.run(10.0)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["the weather"]
