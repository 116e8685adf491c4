"""Slow answers: what the client is told meanwhile, the few words that are spoken, and when they are given up."""

from __future__ import annotations

import pytest

from tests.voice.conversation import RATE_HZ, Conversation, Delays
from tests.voice.realtime_talk import RealtimeTalk, check
from voice.session.config import AudioConfig, SessionConfig, VoiceConfig, WakeConfig
from voice.session.outgoing import AudioOut, ErrorOut, TextOut, TurnComplete, TurnNoted, Waiting
from voice.settings import ToolSettings, TurnSettings
from voice.turn import events as heard
from voice.turn.actions import Think

GERMAN = SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), voice=VoiceConfig(language="de"))


def slow(first_token_s: float, **more: object) -> Conversation:
    talk = Conversation(delays=Delays(first_token=first_token_s), answer=lambda asked: "It is noon.", **more)  # type: ignore[arg-type]
    talk.at(1.0, heard.Typed("what time is it"))
    return talk


def said(talk: Conversation) -> str:
    return "".join(event.text for event in talk.told(TextOut))


def test_an_answer_that_is_slow_is_bridged_and_then_given() -> None:
    talk = slow(9.0).run(20.0)
    assert 5.0 <= talk.time_of(Waiting) < 5.01 and talk.told(Waiting)[0].awaits == "answer"
    assert 5.0 < talk.time_of(AudioOut) < 5.5
    (turn,) = talk.told(TurnComplete)
    assert turn.status == "completed"
    assert turn.output_transcript == turn.heard_transcript == said(talk).strip() == "One moment. It is noon."
    assert talk.machine.history.exchanges[0].assistant == "One moment. It is noon."


def test_one_that_is_quick_is_not() -> None:
    talk = slow(3.0).run(20.0)
    assert not talk.told(Waiting) and said(talk).strip() == "It is noon."


def test_one_that_is_being_spoken_is_not_slow() -> None:
    talk = slow(0.1, settings=TurnSettings(slow_after_ms=250)).run(20.0)
    assert talk.told(AudioOut) and not talk.told(Waiting)


def test_the_words_are_the_users_and_the_operators() -> None:
    assert said(slow(9.0, config=GERMAN).run(20.0)).startswith("Einen Moment. ")
    own = ToolSettings(filler={"en": "Let me think."})
    assert said(slow(9.0, tool_settings=own).run(20.0)).startswith("Let me think. ")
    never = TurnSettings(slow_after_ms=0)
    talk = slow(9.0, settings=never).run(20.0)
    assert said(talk).strip() == "It is noon." and not talk.told(Waiting)


def test_written_answers_are_not_bridged() -> None:
    written = SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), spoken=False)
    talk = slow(9.0, config=written).run(20.0)
    assert said(talk).strip() == "It is noon." and talk.told(Waiting)


def test_a_model_that_loads_is_waited_for_as_long_as_it_does() -> None:
    """Longer than any answer may hang, and the client sees how far it is."""
    talk = slow(150.0)
    talk.run(1.1)
    (think,) = (action for _, action in talk.actions if isinstance(action, Think))
    for second in range(148):
        talk.at(2.0 + second, heard.MindWaits(think.revision, loading=True, progress=second / 150))
    talk.run(170.0)
    progress = [event.progress for event in talk.told(Waiting) if event.awaits == "loading"]
    assert len(progress) > 50 and progress == sorted(progress, key=lambda each: each or 0.0)
    assert not talk.told(ErrorOut)
    (turn,) = talk.told(TurnComplete)
    assert turn.status == "completed" and turn.output_transcript.endswith("It is noon.")
    assert 5 < turn.output_transcript.count("One moment.") <= 11, "every 15 s"


def test_whoever_waits_in_line_is_told_their_place() -> None:
    talk = slow(9.0)
    talk.run(1.1)
    talk.at(2.0, heard.MindWaits(1, position=3))
    talk.run(20.0)
    assert (talk.told(Waiting)[0].awaits, talk.told(Waiting)[0].position) == ("queue", 3)


def test_an_answer_that_never_comes_ends_with_a_word_to_those_who_listen() -> None:
    talk = slow(999.0).run(90.0)
    assert [event.code for event in talk.told(ErrorOut)] == ["reply_timeout"]
    assert 61.0 <= talk.time_of(ErrorOut) < 61.1, "the bridges are no sign of an answer"
    (turn,) = talk.told(TurnComplete)
    assert (turn.status, turn.reason) == ("failed", "reply_timeout")
    assert turn.heard_transcript.endswith("Sorry, I cannot answer right now.")
    assert not talk.machine.busy


@pytest.mark.parametrize("excuse", [True, False])
def test_a_model_that_fails_is_excused_once(excuse: bool) -> None:
    talk = slow(999.0, settings=TurnSettings(excuse=excuse))
    talk.at(2.0, heard.MindFailed(1, "backend_failed", "down", ""))
    talk.at(2.1, heard.TokensArrived(1, "too late"))
    talk.run(20.0)
    (turn,) = talk.told(TurnComplete)
    assert (turn.status, turn.reason) == ("failed", "backend_failed")
    assert turn.heard_transcript == ("Sorry, I cannot answer right now." if excuse else "")


EXCUSE = "Sorry, I cannot answer right now."


def unheard(**more: object) -> Conversation:
    """The recogniser is gone while somebody asks something, and is there again for their next words."""
    talk = Conversation(answer=lambda asked: "It is noon.", **more)  # type: ignore[arg-type]
    talk.speak((1.0, 2.0, "what time is it"), (9.0, 10.0, "what time is it"))
    talk.failing = 1_000
    talk.run(8.0)
    talk.failing = 0
    return talk.run(20.0)


@pytest.mark.parametrize("excuse", [True, False])
def test_a_recogniser_that_fails_is_excused_too(excuse: bool) -> None:
    talk = unheard(settings=TurnSettings(excuse=excuse))
    assert [event.code for event in talk.told(ErrorOut)] == ["stt_failed"]
    assert said(talk).strip() == (f"{EXCUSE}It is noon." if excuse else "It is noon.")
    assert len(talk.told(TurnNoted)) == (0 if excuse else 1)
    turns = [(turn.input_transcript, turn.heard_transcript, turn.status) for turn in talk.told(TurnComplete)]
    assert turns == ([("", EXCUSE, "failed")] if excuse else []) + [("what time is it", "It is noon.", "completed")]
    exchanges = [(each.user, each.assistant) for each in talk.machine.history.exchanges]
    assert exchanges == ([("", EXCUSE)] if excuse else []) + [("what time is it", "It is noon.")]


def test_one_that_never_answers_is_excused_when_it_is_given_up() -> None:
    talk = Conversation(delays=Delays(stt=999.0))
    talk.speak((1.0, 2.0, "what time is it"))
    talk.run(90.0)
    assert [event.code for event in talk.told(ErrorOut)] == ["reply_timeout"]
    assert said(talk) == EXCUSE and [turn.reason for turn in talk.told(TurnComplete)] == ["reply_timeout"]
    assert not talk.machine.busy


def test_what_may_not_have_been_for_us_is_not_excused() -> None:
    """An excuse whose echo fails, too, would be said for ever; without its wake word nobody was addressed."""
    audio = AudioConfig(sample_rate=RATE_HZ)
    phrase = SessionConfig(audio=audio, wake=WakeConfig(True, ("hey computer",)))
    assert said(unheard(config=phrase)) == ""
    written = SessionConfig(audio=audio, spoken=False)
    assert said(unheard(config=written)).strip() == "It is noon."
    talk = Conversation(failing=1_000)
    talk.at(0.0, heard.EchoHeard("present"))
    for number in range(20):
        talk.speak((1.0 + 3 * number, 2.8 + 3 * number, ""))
    talk.run(80.0)
    assert len(talk.told(TurnComplete)) < len(talk.told(ErrorOut))


def test_one_that_fails_in_the_middle_is_not() -> None:
    talk = Conversation(answer=lambda asked: "It is noon, and the sun is high. " * 3)
    talk.at(1.0, heard.Typed("what time is it"))
    talk.at(1.3, heard.MindFailed(1, "backend_failed", "down", ""))
    talk.run(20.0)
    (turn,) = talk.told(TurnComplete)
    assert turn.status == "failed" and turn.heard_transcript and "Sorry" not in turn.heard_transcript


def test_a_voice_and_a_recogniser_that_hang_are_told_of() -> None:
    talk = Conversation(delays=Delays(tts=99.0), answer=lambda asked: "Fine.")
    talk.at(1.0, heard.Typed("hello"))
    talk.run(9.0)
    assert {event.awaits for event in talk.told(Waiting)} == {"voice"}
    talk = Conversation(delays=Delays(stt=99.0))
    talk.speak((1.0, 2.0, "hello there"))
    talk.run(12.0)
    assert {event.awaits for event in talk.told(Waiting)} == {"transcript"} and talk.time_of(Waiting) < 7.0


def test_whoever_interrupts_the_bridge_has_heard_no_answer() -> None:
    talk = slow(30.0)
    talk.at(5.5, heard.InterruptAsked())
    talk.run(60.0)
    (turn,) = talk.told(TurnComplete)
    assert turn.interrupted and "One moment.".startswith(turn.heard_transcript)
    assert not [time for time, _ in talk.said if time > 6.0]


def test_a_tool_may_take_longer_than_an_answer() -> None:
    from llm.messages import ToolCall

    calls = (ToolCall("call_9", "crawl", "{}"),)
    talk = Conversation(
        answer=lambda asked: calls if asked == "go" else "Done.",
        tools={"crawl": (100.0, "found")},
        tool_settings=ToolSettings(timeout_s=120.0),
    )
    talk.at(1.0, heard.Typed("go"))
    talk.run(130.0)
    (turn,) = talk.told(TurnComplete)
    assert turn.status == "completed" and turn.output_transcript.endswith("Done.")


def test_a_realtime_client_is_bridged_and_never_excused() -> None:
    talk = RealtimeTalk(delays=Delays(first_token=999.0))
    talk.say("response.create")
    talk.run(90.0)
    check(talk)
    (done,) = talk.of("response.done")
    assert done["response"]["status"] == "failed"
    (item,) = done["response"]["output"]
    assert set(item["content"][0]["transcript"].strip().split(". ")) <= {"One moment", "One moment."}
