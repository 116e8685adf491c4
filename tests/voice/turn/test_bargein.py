"""What is our own voice, and what only says some of the same words."""

from __future__ import annotations

import pytest

from tests.voice.conversation import RATE_HZ, Conversation
from voice.session.config import AudioConfig, SessionConfig
from voice.session.outgoing import Interrupted, TurnComplete
from voice.turn import events as heard
from voice.turn.bargein import BargeInRules, Said, Verdict, ends_like_us, judge, sounds_like_us

SAID = "Well, the capital of France is Paris. It lies on the river Seine."


@pytest.mark.parametrize(
    "text", ["it lies on the river seine", "on the river seine", "lies on a river seine", "river seine", "seine"]
)
def test_the_end_of_a_reply_is_its_echo(text: str) -> None:
    assert ends_like_us(text, SAID)


@pytest.mark.parametrize(
    "text",
    [
        "what is the capital of france",
        "the capital of france",
        "what is on the river seine",
        "and the river",
        "stop",
        "",
    ],
)
def test_its_words_in_a_question_are_not(text: str) -> None:
    assert not ends_like_us(text, SAID)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("It is 12:30.", "it is twelve thirty"),
        ("It costs 3 dollars and 50 cents.", "it costs three dollars and fifty cents"),
        ("It was in 1984.", "it was in nineteen eighty four"),
        ("That is 1,250.", "that is one thousand two hundred and fifty"),
        ("That is 2.05.", "that is two point oh five"),
        ("It has 25% more.", "it has twenty five percent more"),
        ("It is the 21st of May.", "it is the twenty first of may"),
        ("Call 555-0123.", "call five five five oh one two three"),
    ],
)
def test_numbers_are_ours_in_the_words_that_a_recogniser_hears(said: str, text: str) -> None:
    assert sounds_like_us(text, Said(said, said)) and ends_like_us(text, said)


@pytest.mark.parametrize("text", ["1984", "1984.", "12:30", "$3.50", "the 2nd"])
def test_a_recogniser_that_writes_digits_has_heard_words(text: str) -> None:
    rules = BargeInRules(voiced_ms=350, sure_ms=700)
    assert judge(rules, 600, 900, True, text) is Verdict.INTERRUPT
    assert judge(rules, 600, 900, True, text, Said(f"It is {text}", text)) is Verdict.RESUME


def test_another_number_is_the_users() -> None:
    assert not sounds_like_us("fifty", Said("The timer is set to 15 minutes.", ""))
    for number in ("fifty", "50"):
        assert not ends_like_us(f"set it to {number} minutes", "The timer is set to 15 minutes.")
    assert ends_like_us("set to 15 minutes", "The timer is set to 15 minutes.")


@pytest.mark.parametrize(("from_s", "until_s"), [(4.5, 5.9), (7.1, 8.3)], ids=["over it", "after it"])
def test_our_own_voice_is_known_by_the_words_that_were_spoken(from_s: float, until_s: float) -> None:
    """And not by those that were written, which the history keeps."""
    price = "The price of that is $1.99, and it is 12:30 now."
    talk = Conversation(answer=lambda asked: price if asked == "go on" else "Well.")
    talk.at(0.0, heard.EchoHeard("unknown"))
    words = {4.5: "one dollar and ninety nine", 7.1: "and it is twelve thirty now"}
    talk.speak((1.0, 2.0, "go on"), (from_s, until_s, words[from_s]))
    talk.run(20.0)
    (turn,) = talk.told(TurnComplete)
    assert turn.heard_transcript == price and not turn.interrupted


def test_where_only_words_tell_a_slow_recogniser_is_waited_for() -> None:
    """The question was longer than our patience, and what was said is not known yet."""
    rules = BargeInRules(voiced_ms=350, sure_ms=700, words_needed=True)
    assert judge(rules, 900, 1600, True, None) is Verdict.WAIT
    assert judge(rules, 900, 1900, True, "wait, what time is it") is Verdict.INTERRUPT
    assert judge(rules, 100, 1600, True, None) is Verdict.RESUME
    assert judge(rules, 900, rules.deadline_ms, True, None) is Verdict.RESUME


def test_a_question_in_the_words_of_the_reply_before_is_answered() -> None:
    """Asked again at once, while it is not yet known whether the microphone hears us."""
    talk = Conversation(
        answer=lambda asked: "The capital of France is Paris.",
        config=SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ)),
    )
    talk.at(0.0, heard.EchoHeard("unknown"))
    talk.speak((1.0, 2.5, "what is the capital of france"), (6.4, 7.9, "what is the capital of france"))
    talk.run(14.0)
    turns = talk.told(TurnComplete)
    assert [turn.input_transcript for turn in turns] == ["what is the capital of france"] * 2
    assert not any(turn.interrupted for turn in turns)


@pytest.mark.parametrize("state", ["unknown", "present"])
def test_a_choice_in_our_words_is_an_answer(state: str) -> None:
    talk = Conversation(answer=lambda asked: "Would you like tea or coffee?" if "thirsty" in asked else "Coming.")
    talk.at(0.0, heard.EchoHeard(state))  # type: ignore[arg-type]
    talk.speak((1.0, 2.0, "i am thirsty"))
    talk.run(6.0)
    (first,) = talk.told(TurnComplete)
    over = next(time for time, event in talk.said if event is first)
    talk.speak((over + 0.5, over + 0.9, "coffee"))
    talk.run(over + 8)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["i am thirsty", "coffee"]


ALARM = "You can always stop the timer by saying stop, and the alarm is quiet for the rest of the night, everywhere."
LATER = "Here is a long sentence about the weather in the north, which is fine and warm today. The rain will stop."
WAITING = "I can wait for a while and you say no word, as there is nothing to do in the house today or tomorrow."
WEATHER = "The weather today is fine, and there is no rain in the whole country, not in the north, not in the south."


@pytest.mark.parametrize(
    ("reply", "words"),
    [(ALARM, "stop"), (LATER, "stop"), (WAITING, "wait no"), (WEATHER, "what is the weather")],
)
@pytest.mark.parametrize("state", ["absent", "unknown", "present"])
def test_a_word_that_the_reply_holds_stops_it(reply: str, words: str, state: str) -> None:
    """Where the microphone may hear us only what we have just said can be its echo, not what we will say."""
    talk = Conversation(answer=lambda asked: reply)
    talk.at(0.0, heard.EchoHeard(state))  # type: ignore[arg-type]
    talk.speak((1.0, 2.0, "go on"), (8.2, 8.7, words))
    talk.run(9.7)
    assert talk.told(Interrupted)


@pytest.mark.parametrize("state", ["unknown", "present"])
def test_a_stop_word_that_we_have_just_said_may_be_our_own(state: str) -> None:
    talk = Conversation(answer=lambda asked: ALARM)
    talk.at(0.0, heard.EchoHeard(state))  # type: ignore[arg-type]
    talk.speak((1.0, 2.0, "go on"), (3.8, 4.2, "stop the timer"))
    talk.run(9.0)
    assert not talk.told(Interrupted)


def test_a_stop_word_of_another_part_of_the_reply_is_the_users() -> None:
    assert not sounds_like_us("stop", Said("say stop and all is well", "all is well"))
    assert sounds_like_us("stop", Said("say stop", "say stop"))
