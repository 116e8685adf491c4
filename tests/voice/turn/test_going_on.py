"""Who goes on speaking when they were taken to be done: nothing of what they say is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from tests.voice.conversation import RATE_HZ, Conversation, Delays
from voice.mouth.reply_options import ReplyOptions
from voice.session.config import AudioConfig, SessionConfig, TurnConfig, TurnDetection, WakeConfig
from voice.session.outgoing import ErrorOut, TurnComplete
from voice.settings import TurnSettings
from voice.turn import events as heard
from voice.turn.actions import Transcribe
from voice.turn.machine import State

CONFIG = SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), turn_detection=TurnDetection(silence_duration_ms=500))
SLOW = Delays(first_token=1.5)
WHOLE = "book a table near the station"


def requests(talk: Conversation) -> list[str]:
    return [turn.input_transcript for turn in talk.told(TurnComplete)]


@pytest.mark.parametrize("echo", ["auto", "speaker"])
def test_before_anything_was_answered_a_voice_is_enough(echo: Literal["auto", "speaker"]) -> None:
    """The recogniser need not have said a word of it: it cannot be our own voice."""
    slow = Delays(stt=1.2, first_token=4.0)
    talk = Conversation(config=replace(CONFIG, turn=TurnConfig(echo=echo)), delays=slow)
    talk.speak((1.0, 2.0, "book a table"), (3.6, 6.0, "near the station"))
    talk.run(4.5)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["book a table"]
    assert talk.machine.state is State.HEARING


@pytest.mark.parametrize("echo", ["unknown", "absent", "present"])
@pytest.mark.parametrize("spoken", [True, False], ids=["words", "no words"])
def test_before_anything_was_answered(echo: str, spoken: bool) -> None:
    """Where nothing was sent there is no echo to wait for. A recogniser that makes out no words in the second half
    alone may hear them in the whole."""
    talk = Conversation(config=CONFIG, delays=SLOW)
    talk.at(0.0, heard.EchoHeard(echo))  # type: ignore[arg-type]
    talk.speak((1.0, 2.0, "book a table"), (2.8, 3.5, "near the station" if spoken else ""))
    talk.run(14.0)
    assert requests(talk) == ["book a table", WHOLE if spoken else "book a table"]
    cut, answered = talk.told(TurnComplete)
    assert cut.interrupted and not cut.heard_transcript and not answered.interrupted


@pytest.mark.parametrize("echo", ["unknown", "absent"])
def test_just_before_the_first_sound_of_the_answer_leaves(echo: str) -> None:
    """The voice is noticed when the answer is being sent already, and is no echo of it all the same."""
    talk = Conversation(config=CONFIG)
    talk.at(0.0, heard.EchoHeard(echo))  # type: ignore[arg-type]
    talk.speak((1.0, 2.0, "book a table"), (2.515, 3.2, "near the station"))
    talk.run(14.0)
    assert requests(talk)[-1] == WHOLE


def test_a_murmur_before_the_answer_changes_nothing() -> None:
    talk = Conversation(config=CONFIG, delays=SLOW)
    talk.speak((1.0, 2.0, "book a table"), (2.8, 3.3, "mm-hm"))
    talk.run(14.0)
    assert requests(talk) == ["book a table"]


def test_a_cough_before_the_answer_changes_nothing() -> None:
    talk = Conversation(config=CONFIG, delays=SLOW)
    talk.speak((1.0, 2.0, "book a table"), (2.8, 3.05, ""))
    talk.run(14.0)
    assert requests(talk) == ["book a table"]


@pytest.mark.parametrize("echo", ["unknown", "present"])
@pytest.mark.parametrize("length_s", [0.6, 1.4, 2.2, 2.7])
def test_a_recogniser_that_is_slow_keeps_nobody_awake(echo: str, length_s: float) -> None:
    """While the words of a sound over a reply are awaited there is a time at which something happens next, and it is
    not now: the server would do nothing else. (Conversation.run counts.)"""
    talk = Conversation(config=CONFIG, delays=Delays(stt=9.0), answer=lambda asked: "That is a long story. " * 9)
    talk.at(0.5, heard.EchoHeard(echo))  # type: ignore[arg-type]
    talk.at(1.0, heard.Typed("tell me a story"))
    talk.speak((4.0, 4.0 + length_s, "and how does it end"))
    talk.run(60.0)
    assert not talk.machine.busy


@pytest.mark.parametrize("stt_s", [0.3, 2.4, 4.0])
def test_what_is_said_over_the_first_reply_is_heard_however_late_its_words_come(stt_s: float) -> None:
    """The client says that it cancels the echo: until a reply has shown it, words are needed."""
    talk = Conversation(config=CONFIG, delays=Delays(stt=stt_s), answer=lambda asked: "That is a long story. " * 9)
    talk.at(0.5, heard.EchoHeard("absent"))
    talk.at(1.0, heard.Typed("tell me a story"))
    talk.speak((4.0, 5.2, "and how does it end"))
    talk.run(60.0)
    assert requests(talk) == ["tell me a story", "and how does it end"]
    assert talk.told(TurnComplete)[0].interrupted


@pytest.mark.parametrize("known_s", [None, 6.5], ids=["never known", "known late"])
@pytest.mark.parametrize("stt_s", [0.3, 2.5, 4.0])
def test_a_long_sentence_over_a_reply_is_whole_while_it_is_not_known_whether_we_are_heard(
    stt_s: float, known_s: float | None
) -> None:
    """Each gap in it asks the recogniser anew, so its words come after the reply had to go on."""
    talk = Conversation(config=CONFIG, delays=Delays(stt=stt_s), answer=lambda asked: "That is a long story. " * 9)
    talk.at(0.5, heard.EchoHeard("unknown"))
    talk.at(1.0, heard.Typed("tell me a story"))
    if known_s is not None:
        talk.at(known_s, heard.EchoHeard("absent"))
    talk.speak((5.2, 7.2, "tell me how"), (7.6, 10.5, "the cat came home"))
    talk.run(60.0)
    assert requests(talk) == ["tell me a story", "tell me how the cat came home"]
    assert talk.told(TurnComplete)[0].interrupted


@pytest.mark.parametrize("stt_s", [0.1, 2.5])
@pytest.mark.parametrize("gap_s", [0.6, 0.8, 1.1], ids=["before the answer", "at its beginning", "over it"])
def test_a_short_last_word_is_part_of_the_turn(gap_s: float, stt_s: float) -> None:
    """It is no louder, longer or clearer than a cough; but who had just paused says it, and it is no murmur."""
    talk = Conversation(config=CONFIG, delays=Delays(stt=stt_s), answer=lambda asked: "It rains all day long. " * 5)
    talk.speak((1.0, 2.0, "how is the weather"), (2.0 + gap_s, 2.25 + gap_s, "tomorrow"))
    talk.run(40.0)
    assert "tomorrow" in requests(talk)[-1]


def test_a_short_word_before_the_answer_to_a_typed_turn_is_not() -> None:
    talk = Conversation(config=CONFIG, delays=SLOW)
    talk.at(1.0, heard.Typed("how is the weather"))
    talk.speak((1.5, 1.75, "tomorrow"))
    talk.run(14.0)
    assert requests(talk) == ["how is the weather"] and not talk.told(TurnComplete)[0].interrupted


def test_a_short_word_in_the_middle_of_a_reply_is_not() -> None:
    talk = Conversation(config=CONFIG, answer=lambda asked: "It rains all day long. " * 5)
    talk.speak((1.0, 2.0, "how is the weather"), (5.0, 5.25, "tomorrow"))
    talk.run(40.0)
    assert requests(talk) == ["how is the weather"]


@pytest.mark.parametrize(
    ("delays", "words"),
    [
        (Delays(stt=4.0, first_token=1.5), ((3.85, 4.15, "please"), (4.7, 5.7, "near the station"))),
        (Delays(stt=2.5, tts=0.4), ((3.6, 4.1, "please"), (4.6, 5.6, "near the"), (6.5, 8.5, "old station"))),
    ],
    ids=["one goes on", "one after the other"],
)
def test_words_after_a_cut_pause_are_whole(delays: Delays, words: tuple[tuple[float, float, str], ...]) -> None:
    """The recogniser says what the first one was when all are said."""
    talk = Conversation(config=CONFIG, delays=delays)
    talk.speak((1.0, 3.0, "book a table"), *words)
    talk.run(60.0)
    told = " ".join(requests(talk))
    assert all(said in told for _, _, said in words), told


def questions(talk: Conversation) -> list[str]:
    return [item.message.content for item in talk.machine.history.items if item.message.role == "user"]


@pytest.mark.parametrize("stt_s", [0.1, 2.5])
def test_who_talks_on_and_on_is_heard_to_the_last_word(stt_s: float) -> None:
    """Each pause was taken for the end, and no answer came in time. No turn outgrows the audio that is kept."""
    settings = TurnSettings(max_turn_s=6.0)
    talk = Conversation(config=CONFIG, settings=settings, delays=Delays(stt=stt_s, first_token=5.0))
    parts = [f"part {chr(ord('a') + number)} of it" for number in range(20)]
    talk.speak(*((1.0 + 2.8 * at, 3.0 + 2.8 * at, part) for at, part in enumerate(parts)))
    talk.run(120.0)
    assert " ".join(questions(talk)) == " ".join(parts)
    asked = [(at, action) for at, action in talk.actions if isinstance(action, Transcribe)]
    assert max((action.until_s or at) - action.from_s for at, action in asked) <= settings.max_turn_s + 0.1
    assert talk.machine.state is State.IDLE


@pytest.mark.parametrize("mode", ["pre", "post"])
def test_a_wake_word_takes_no_request_back(mode: str) -> None:
    """Said again before the answer, by whoever is impatient: what was asked before it was asked."""
    wake = WakeConfig(True, ("alexa",), mode)  # type: ignore[arg-type]
    config = replace(CONFIG, wake=wake, turn=TurnConfig(follow_up_s=6.0))
    talk = Conversation(config=config, audible=frozenset({"alexa"}), delays=Delays(first_token=3.0))
    first, second = (1.0, 1.7, "") if mode == "pre" else (2.0, 2.7, ""), (4.0, 4.45, "")
    talk.speak(*sorted([first, (1.7, 2.9, "light on") if mode == "pre" else (1.0, 2.0, "light on")]), second)
    for begin, end, _ in (first, second):
        talk.at(end + 0.1, heard.WakeWord("alexa", 0.9, begin, end))
    talk.run(30.0)
    assert questions(talk) == ["light on"]


@pytest.mark.parametrize("delays", [SLOW, Delays(stt=2.5)], ids=["answer awaited", "words awaited"])
@pytest.mark.parametrize("mode", ["pre", "mid"])
def test_who_was_cut_off_after_the_wake_word_need_not_say_it_again(mode: str, delays: Delays) -> None:
    wake = WakeConfig(True, ("alexa",), mode)  # type: ignore[arg-type]
    talk = Conversation(config=replace(CONFIG, wake=wake), audible=frozenset({"alexa"}), delays=delays)
    talk.speak((1.0, 1.7, ""), (1.7, 2.9, "book a table"), (3.8, 4.6, "near the station"))
    talk.at(1.8, heard.WakeWord("alexa", 0.9, 1.0, 1.7))
    talk.run(30.0)
    assert requests(talk)[-1] == WHOLE
    assert users(talk) == [WHOLE]


@pytest.mark.parametrize("again", ["wake word", "typed"])
def test_what_was_asked_before_the_user_went_on_is_kept_also_while_its_words_are_awaited(again: str) -> None:
    """They go on, and then begin anew: with the wake word, or by hand."""
    wake = WakeConfig(again == "wake word", ("alexa",), "pre")
    talk = Conversation(config=replace(CONFIG, wake=wake), audible=frozenset({"alexa"}), delays=Delays(stt=2.5))
    talk.speak((1.0, 1.7, ""), (1.7, 2.9, "book a table"), (3.8, 5.2, ""), (5.2, 6.2, "what time is it"))
    talk.at(1.8, heard.WakeWord("alexa", 0.9, 1.0, 1.7))
    if again == "typed":
        talk.at(4.6, heard.Typed("what time is it"))
    else:
        talk.at(5.3, heard.WakeWord("alexa", 0.9, 4.5, 5.2))
    talk.run(30.0)
    assert users(talk)[:2] == ["book a table", "what time is it"]


def test_words_over_the_answer_need_the_wake_word_as_before() -> None:
    config = replace(CONFIG, wake=WakeConfig(True, ("alexa",), "pre"))
    talk = Conversation(
        config=config, audible=frozenset({"alexa"}), answer=lambda asked: "That is a long story. " * 4
    )
    talk.speak((1.0, 1.7, ""), (1.7, 2.9, "tell me a story"), (5.5, 6.9, "what shall we eat"))
    talk.at(1.8, heard.WakeWord("alexa", 0.9, 1.0, 1.7))
    talk.run(30.0)
    assert requests(talk) == ["tell me a story"] and not talk.told(TurnComplete)[0].interrupted


def users(talk: Conversation) -> list[str]:
    return [item.message.content for item in talk.machine.history.items if item.message.role == "user"]


def gone_on(config: SessionConfig = CONFIG, **options: object) -> Conversation:
    """A request that was taken to be whole, and goes on before its answer is heard."""
    talk = Conversation(config=config, delays=SLOW, **options)  # type: ignore[arg-type]
    talk.speak((1.0, 2.0, "book a table"), (2.8, 3.6, "near the station"))
    talk.run(3.5)
    assert requests(talk) == ["book a table"] and not users(talk) and talk.machine.state is State.HEARING
    return talk


def test_what_was_understood_is_answered_where_the_rest_cannot_be_made_out() -> None:
    talk = gone_on()
    talk.failing = 9
    talk.run(20.0)
    assert requests(talk)[1:] == users(talk) == ["book a table"]
    assert talk.told(ErrorOut)[0].code == "stt_failed" and not talk.told(TurnComplete)[-1].interrupted


def test_what_was_understood_is_in_the_question_that_is_typed_instead() -> None:
    talk = gone_on()
    talk.at(3.55, heard.Typed("no, call a taxi"))
    talk.run(20.0)
    assert users(talk)[:2] == ["book a table", "no, call a taxi"]


@pytest.mark.parametrize("mode", ["pre", "post"])
def test_what_was_understood_outlives_the_wake_word_of_the_next_request(mode: Literal["pre", "post"]) -> None:
    """The word opens or closes the second one; the first had its own."""
    config = replace(CONFIG, wake=WakeConfig(True, ("jarvis",), mode), turn=TurnConfig(follow_up_s=5.0))
    talk = Conversation(config=config, delays=SLOW, audible=frozenset({"jarvis"}))
    first, second = (heard.WakeWord("jarvis", 0.9, at_s, at_s + 0.4) for at_s in WORDS_S[mode])
    talk.speak(*SPOKEN[mode])
    talk.at(first.end_s + 0.1, first)
    talk.at(second.end_s + 0.1, second)
    talk.run(20.0)
    assert "book a table" in requests(talk), "it was taken to be over"
    asked = "book a table for" if mode == "pre" else "book a table"  # before the word, that is the second one's
    assert users(talk) == [asked, "call a taxi"]


def test_where_the_rest_of_it_cannot_be_made_out_what_was_understood_is_kept() -> None:
    config = replace(CONFIG, wake=WakeConfig(True, ("jarvis",)))
    talk = Conversation(config=config, delays=SLOW, audible=frozenset({"jarvis"}))
    first, second = (heard.WakeWord("jarvis", 0.9, at_s, at_s + 0.4) for at_s in WORDS_S["pre"])
    talk.speak(*SPOKEN["pre"])
    talk.at(first.end_s + 0.1, first)
    talk.run(second.end_s + 0.05)
    assert requests(talk)[-1] == "book a table" and not users(talk)
    talk.failing = 1
    talk.at(second.end_s + 0.1, second)
    talk.run(20.0)
    assert users(talk) == ["book a table", "call a taxi"]
    assert [error.hint for error in talk.told(ErrorOut)] == ["a part of this turn is missing"]


@pytest.mark.parametrize("next_one", ["typed", "cancelled", "pre", "post", "mid"])
def test_words_that_are_awaited_outlive_what_comes_next(next_one: str) -> None:
    """The recogniser is slow; the turn is over, and the client was told so."""
    mode = next_one if next_one in ("pre", "post", "mid") else None
    wake = WakeConfig() if mode is None else WakeConfig(True, ("jarvis",), mode)  # type: ignore[arg-type]
    config = replace(CONFIG, wake=wake)
    talk = Conversation(config=config, delays=Delays(stt=3.0), audible=frozenset({"jarvis"}))
    if mode is not None:
        first, second = (heard.WakeWord("jarvis", 0.9, at_s, at_s + 0.4) for at_s in WORDS_S[mode])
        talk.speak(*SPOKEN[mode])
        talk.at(first.end_s + 0.1, first)
        talk.at(second.end_s + 0.1, second)
    else:
        talk.speak((1.0, 2.0, "book a table"))
        talk.at(3.0, heard.Respond(ReplyOptions(key="k")))
        talk.at(3.2, heard.Typed("call a taxi") if next_one == "typed" else heard.CancelResponse())
    talk.run(30.0)
    second_words = [] if next_one == "cancelled" else ["call a taxi"]
    # in mid mode the word may stand anywhere: they may as well be going on
    first_words = "book a table for" if next_one == "pre" else "book a table"
    asked = ["book a table for call a taxi"] if next_one == "mid" else [first_words, *second_words]
    assert users(talk) == asked
    assert len([turn for turn in talk.told(TurnComplete) if not turn.interrupted]) == (next_one != "cancelled")


def test_turns_that_are_committed_faster_than_they_are_made_out_are_all_kept() -> None:
    """Push to talk, and a slow recogniser."""
    manual = replace(CONFIG, turn_detection=TurnDetection(type="none"))
    talk = Conversation(config=manual, delays=Delays(stt=3.0))
    talk.speak((1.0, 2.0, "book a table"), (3.0, 4.0, "call a taxi"))
    talk.at(2.1, heard.Committed(2.1))
    talk.at(4.1, heard.Committed(4.1))
    talk.run(40.0)
    assert users(talk) == ["book a table", "call a taxi"] and requests(talk) == ["call a taxi"]


SPOKEN = {
    "pre": [
        (1.0, 1.4, ""),
        (1.45, 2.0, "book a table"),
        (2.8, 3.6, "for"),
        (3.6, 4.0, ""),
        (4.1, 4.9, "call a taxi"),
    ],
    "post": [(1.0, 2.0, "book a table"), (2.0, 2.4, ""), (2.8, 3.6, "call a taxi"), (3.6, 4.0, "")],
}
SPOKEN["mid"] = SPOKEN["pre"]
WORDS_S = {"pre": (1.0, 3.6), "post": (2.0, 3.6), "mid": (1.0, 3.6)}
