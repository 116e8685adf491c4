"""Speech over a reply that it may not interrupt, and speech that the client cuts off: nothing is lost silently."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.voice.conversation import RATE_HZ, Conversation
from tests.voice.realtime_talk import RealtimeTalk, check
from voice.session.config import AudioConfig, SessionConfig, TurnConfig, WakeConfig
from voice.session.outgoing import ErrorOut, SpeechStarted, SpeechStopped, TurnComplete
from voice.turn import events as heard
from voice.turn.machine import State
from voice.turn.missed_speech import MissedSpeech

DEAF = [
    SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ, allow_interrupt=False)),
    SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), turn=TurnConfig(barge_in=False)),
]
VAD = {"type": "server_vad", "interrupt_response": False, "create_response": True}


def story(asked: str) -> str:
    return " ".join(["There was a fox and it lived by the sea."] * 4)


def over_a_reply(words: str, config: SessionConfig = DEAF[0], echo: str = "absent") -> Conversation:
    talk = Conversation(config=config)
    talk.at(0.0, heard.EchoHeard(echo))  # type: ignore[arg-type]
    talk.speak((1.0, 2.0, "go on"), (4.0, 5.0, words))
    return talk.run(25.0)


@pytest.mark.parametrize("config", DEAF, ids=["allow_interrupt", "barge_in"])
def test_it_is_answered_when_the_reply_is_over(config: SessionConfig) -> None:
    talk = over_a_reply("and of italy", config)
    turns = talk.told(TurnComplete)
    assert [turn.input_transcript for turn in turns] == ["go on", "and of italy"]
    assert not any(turn.interrupted for turn in turns)
    second = talk.told(SpeechStarted)[1]
    assert second.at_s < 4.0 and talk.told(SpeechStopped)[1].at_s == 5.0
    assert talk.time_of(SpeechStarted, 1) >= talk.time_of(TurnComplete)


def test_in_two_parts_it_is_one_turn() -> None:
    talk = Conversation(config=DEAF[0])
    talk.speak((1.0, 2.0, "go on"), (3.5, 4.0, "and of italy"), (4.6, 5.2, "and of spain"))
    talk.run(25.0)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["go on", "and of italy and of spain"]


@pytest.mark.parametrize("words", ["mm-hm", "stop"])
def test_what_only_went_with_the_reply_is_not_answered(words: str) -> None:
    talk = over_a_reply(words)
    assert len(talk.told(TurnComplete)) == 1 and talk.machine.state is State.IDLE


@pytest.mark.parametrize("sentences", [1, 4], ids=["the reply ends under it", "in the middle of a reply"])
@pytest.mark.parametrize("mode", ["post", "mid"])
def test_a_wake_word_after_a_request_over_a_reply_is_for_that_request(mode: str, sentences: int) -> None:
    wake = WakeConfig(True, ("alexa",), mode)  # type: ignore[arg-type]
    config = SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), wake=wake)
    answer = " ".join(["There was a fox and it lived by the sea."] * sentences)
    talk = Conversation(config=config, audible=frozenset({"alexa"}), answer=lambda asked: answer)
    talk.speak((1.0, 2.0, "go on"), (2.0, 2.5, ""), (4.0, 6.0, "and of italy"), (6.0, 6.5, ""))
    talk.at(2.6, heard.WakeWord("alexa", 0.9, 2.0, 2.5))
    talk.at(6.6, heard.WakeWord("alexa", 0.9, 6.0, 6.5))
    talk.run(40.0)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["go on", "and of italy"]
    assert not talk.told(ErrorOut)


def test_our_own_voice_is_not_answered() -> None:
    assert len(over_a_reply("you said go on that is all", echo="unknown").told(TurnComplete)) == 1


def test_realtime_is_told_when_the_reply_is_over() -> None:
    talk = RealtimeTalk(story, audio={"input": {"turn_detection": VAD, "transcription": {"model": "whisper-1"}}})
    talk.speak((1.0, 2.0, "go on"), (4.0, 5.0, "and of italy"))
    talk.run(30.0)
    check(talk)
    kinds = [kind for kind in talk.kinds if kind.startswith("input_audio_buffer") or kind == "response.done"]
    started = [f"input_audio_buffer.{what}" for what in ("speech_started", "speech_stopped", "committed")]
    assert kinds == [*started, "response.done", *started, "response.done"]
    assert [event["transcript"] for event in talk.of("conversation.item.input_audio_transcription.completed")] == [
        "go on",
        "and of italy",
    ]


def clear(talk: RealtimeTalk) -> None:
    talk.say("input_audio_buffer.clear")


def manual(talk: RealtimeTalk) -> None:
    talk.say("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})


def typed(talk: RealtimeTalk) -> None:
    talk._step(heard.Typed("how late is it"))


@pytest.mark.parametrize("cut", [clear, manual, typed])
def test_speech_that_is_cut_off_has_an_end(cut: Callable[[RealtimeTalk], None]) -> None:
    talk = RealtimeTalk()
    talk.speak((1.0, 3.0, "go on"))
    talk.run(2.0)
    assert len(talk.of("input_audio_buffer.speech_started")) == 1
    cut(talk)
    assert len(talk.of("input_audio_buffer.speech_stopped")) == 1
    talk.run(20.0)
    check(talk)


def test_what_is_said_after_clear_is_heard() -> None:
    talk = RealtimeTalk()
    talk.speak((1.0, 2.0, "forget it"), (2.05, 3.0, "go on"))
    talk.run(2.02)
    clear(talk)
    talk.run(20.0)
    check(talk)
    assert [item.message.content for item in talk.machine.history.items][0] == "go on"


def test_the_rest_of_a_sentence_can_be_committed_after_detection_is_switched_off() -> None:
    talk = RealtimeTalk()
    talk.speak((1.0, 3.0, "go on"))
    talk.append(3_000)
    talk.run(2.0)
    manual(talk)
    talk.run(3.5)
    talk.say("input_audio_buffer.commit")
    talk.run(10.0)
    check(talk)
    assert [item.message.content for item in talk.machine.history.items] == ["go on"]


def test_a_commit_over_a_reply_is_answered() -> None:
    talk = RealtimeTalk(story)
    talk.speak((1.0, 2.0, "go on"))
    talk.run(4.0)
    talk.append(1_000)
    talk.say("input_audio_buffer.commit", event_id="mine")
    (error,) = talk.errors
    assert error["code"] == "input_audio_buffer_commit_empty" and error["event_id"] == "mine"
    assert not talk.of("input_audio_buffer.committed")[1:]


def test_a_commit_over_speech_that_may_not_interrupt_is_done_after_the_reply() -> None:
    talk = RealtimeTalk(story, audio={"input": {"turn_detection": VAD}})
    talk.speak((1.0, 2.0, "go on"), (4.0, 5.0, "and of italy"))
    talk.run(4.6)
    talk.append(1_000)
    talk.say("input_audio_buffer.commit")
    assert not talk.errors
    talk.run(20.0)
    assert len(talk.of("input_audio_buffer.committed")) == 2


def test_two_sounds_are_one_speech_and_what_is_forgotten_still_tells_how_long_it_was_quiet() -> None:
    missed = MissedSpeech()
    assert missed.quiet_s(1.0) == 0.0
    missed.began(1.0)
    missed.ended(2.0)
    assert missed.quiet_s(2.5) == 0.5
    missed.began(3.0)
    assert (missed.from_s, missed.until_s, missed.quiet_s(4.0)) == (1.0, None, 0.0)
    missed.ended(5.0)
    missed.forget()
    assert missed.from_s is None and missed.quiet_s(6.0) == 1.0
    missed.began(7.0)
    assert (missed.from_s, missed.until_s) == (7.0, None)
