"""No words of a turn are lost: not where the recogniser fails, not where it is longer than the audio that is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.voice.conversation import RATE_HZ, Conversation, Delays
from tests.voice.realtime_talk import RealtimeTalk, check
from voice.session.config import AudioConfig, SessionConfig, TurnDetection
from voice.session.outgoing import ErrorOut, SpeechStarted, SpeechStopped, TranscriptOut, TurnComplete
from voice.settings import TurnSettings
from voice.turn import events as heard
from voice.turn.actions import Abandon, Transcribe

MANUAL = SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), turn_detection=TurnDetection("none"))
SHORT = TurnSettings(max_turn_s=10)


def test_a_recogniser_that_fails_in_a_pause_is_asked_again() -> None:
    talk = Conversation()
    talk.speak((1.0, 2.0, "go on"))
    talk.run(2.0)
    talk.failing = 1 + sum(isinstance(action, Transcribe) for _, action in talk.actions)
    talk.run(14.0)
    assert not talk.told(ErrorOut)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["go on"]


def test_the_user_may_go_on_after_a_failure() -> None:
    talk = Conversation()
    talk.speak((1.0, 2.0, "go on"), (2.4, 3.0, "please"))
    talk.run(2.0)
    talk.failing = 1
    talk.run(14.0)
    assert not talk.told(ErrorOut)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["go on please"]
    assert len(talk.told(SpeechStarted)) == len(talk.told(SpeechStopped)) == 1


def test_a_recogniser_that_keeps_failing_fails_an_item() -> None:
    talk = RealtimeTalk(audio={"input": {"transcription": {"model": "whisper-1"}}})
    talk.failing = 1_000
    talk.speak((1.0, 2.0, "go on"), (6.0, 7.0, "and on"))
    talk.run(20.0)
    check(talk)
    once = [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.failed",
        "error",
        "conversation.item.deleted",
    ]
    assert talk.kinds[2:] == once * 2


def dictate(talk: Conversation) -> None:
    """Three pieces: the first two are cut in the gaps, before the limit."""
    words = ((1.0, 9.0, "one"), (9.5, 18.5, "two"), (19.0, 26.0, "three"))
    talk.speak(*words)
    talk.run(27.0)
    pieces = [action for _, action in talk.actions if isinstance(action, Transcribe)]
    assert [piece.until_s for piece in pieces] == [pytest.approx(9.3, abs=0.1), pytest.approx(18.8, abs=0.1)]
    assert not talk.told(TranscriptOut) and not talk.told(SpeechStopped)


@pytest.mark.parametrize("answers", [True, False])
def test_a_long_turn_of_a_client_that_commits_is_whole(answers: bool) -> None:
    config = replace(MANUAL, turn_detection=replace(MANUAL.turn_detection, create_response=answers))
    talk = Conversation(config=config, settings=SHORT)
    dictate(talk)
    talk.at(27.0, heard.Committed(27.0))
    talk.run(45.0)
    assert [event.text for event in talk.told(TranscriptOut)] == ["one two three"]
    assert len(talk.told(TurnComplete)) == answers
    assert talk.told(SpeechStarted)[0].at_s < 1.0 and talk.told(SpeechStopped)[0].at_s == 27.0


def test_a_piece_that_is_late_is_waited_for() -> None:
    talk = Conversation(config=MANUAL, settings=SHORT)
    talk.delays = replace(talk.delays, stt=10.0)
    talk.speak((1.0, 9.0, "one"), (9.5, 11.0, "two"))
    talk.run(11.5)
    talk.delays = replace(talk.delays, stt=0.1)
    talk.at(11.6, heard.Committed(11.6))
    talk.run(15.0)
    assert not talk.told(TranscriptOut)
    talk.run(40.0)
    assert [event.text for event in talk.told(TranscriptOut)] == ["one two"]


def test_a_piece_that_is_lost_is_told_and_the_rest_is_kept() -> None:
    talk = Conversation(config=MANUAL, settings=SHORT)
    talk.failing = 1
    dictate(talk)
    talk.at(27.0, heard.Committed(27.0))
    talk.run(45.0)
    assert [error.hint for error in talk.told(ErrorOut)] == ["a part of this turn is missing"]
    assert [event.text for event in talk.told(TranscriptOut)] == ["two three"]


@pytest.mark.parametrize("answers", [True, False])
def test_a_turn_that_is_given_up_leaves_no_piece_at_work(answers: bool) -> None:
    config = replace(MANUAL, turn_detection=replace(MANUAL.turn_detection, create_response=answers))
    talk = Conversation(config=config, settings=SHORT, delays=Delays(stt=9999.0))
    dictate(talk)
    talk.at(27.0, heard.Committed(27.0))
    talk.run(120.0)
    asked = {action.revision for _, action in talk.actions if isinstance(action, Transcribe)}
    assert len(asked) == 3 and asked <= {action.revision for _, action in talk.actions if isinstance(action, Abandon)}


def test_without_a_silence_it_is_cut_at_the_limit() -> None:
    talk = Conversation(config=MANUAL, settings=SHORT)
    talk.speak((1.0, 15.0, "on and on"))
    talk.run(16.0)
    (piece,) = [action for _, action in talk.actions if isinstance(action, Transcribe)]
    assert piece.until_s is not None and piece.until_s - piece.from_s == pytest.approx(10.0, abs=0.1)


def test_what_is_cleared_is_not_committed() -> None:
    talk = Conversation(config=MANUAL, settings=SHORT)
    dictate(talk)
    talk.at(27.0, heard.Cleared(27.0))
    talk.speak((28.0, 29.0, "four"))
    talk.at(29.5, heard.Committed(29.5))
    talk.run(45.0)
    assert [event.text for event in talk.told(TranscriptOut)] == ["four"]
    assert len(talk.told(SpeechStarted)) == len(talk.told(SpeechStopped)) == 2


def test_ten_minutes_of_dictation_are_whole() -> None:
    talk = RealtimeTalk(
        kind="transcription", audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}
    )
    said = [(1.0 + 5 * number, 5.2 + 5 * number, f"part {number}") for number in range(120)]
    talk.speak(*said)
    talk.append(1_000)
    talk.run(602.0)
    talk.say("input_audio_buffer.commit")
    talk.run(606.0)
    check(talk)
    (done,) = talk.of("conversation.item.input_audio_transcription.completed")
    assert done["transcript"] == " ".join(words for _, _, words in said)
    assert done["usage"]["seconds"] > 595
