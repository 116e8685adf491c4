"""A wake word in what has been going on for minutes: a television, music with words."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.voice.conversation import RATE_HZ, Conversation
from voice.session.config import AudioConfig, SessionConfig, WakeConfig
from voice.session.outgoing import SpeechStarted, SpeechStopped, TurnComplete
from voice.settings import TurnSettings
from voice.turn import events as heard
from voice.turn.actions import Transcribe

MAX_TURN_S = 20.0


def called_over_a_television(mode: Literal["pre", "post", "mid"]) -> Conversation:
    """It has spoken for 50 s without a pause when the user says "alexa"."""
    config = SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), wake=WakeConfig(True, ("alexa",), mode))
    talk = Conversation(config=config, settings=TurnSettings(max_turn_s=MAX_TURN_S), audible=frozenset({"alexa"}))
    talk.speak((1.0, 25.0, "the news"), (25.0, 51.0, ""), (51.0, 51.6, ""), (51.6, 53.0, "what time is it"))
    talk.at(51.7, heard.WakeWord("alexa", 0.9, 51.0, 51.6))
    return talk.run(70.0)


@pytest.mark.parametrize("mode", ["pre", "mid"])
def test_what_is_said_after_it_is_heard_to_the_end(mode: Literal["pre", "mid"]) -> None:
    (turn,) = called_over_a_television(mode).told(TurnComplete)
    assert turn.input_transcript == "what time is it"


@pytest.mark.parametrize("mode", ["post", "mid"])
def test_no_more_is_transcribed_than_a_turn_may_have(mode: Literal["post", "mid"]) -> None:
    asked = [(at, action) for at, action in called_over_a_television(mode).actions if isinstance(action, Transcribe)]
    assert asked
    for at, action in asked:
        assert (at if action.until_s is None else action.until_s) - action.from_s <= MAX_TURN_S + 1


@pytest.mark.parametrize("words", [(), ("computer",)], ids=["no wake word any more", "one found in the transcript"])
def test_what_is_said_after_the_wake_word_has_changed_is_heard(words: tuple[str, ...]) -> None:
    """In the middle of a sentence, and none of what was said before."""
    audio, asked = AudioConfig(sample_rate=RATE_HZ), "computer what time is it" if words else "what time is it"
    asleep = SessionConfig(audio=audio, wake=WakeConfig(True, ("alexa",)))
    talk = Conversation(config=asleep, audible=frozenset({"alexa"}))
    talk.speak((1.0, 2.0, "between ourselves"), (2.0, 3.0, asked))
    talk.at(2.0, heard.ConfigChanged(SessionConfig(audio=audio, wake=WakeConfig(bool(words), words))))
    talk.run(12.0)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["what time is it"]
    assert len(talk.told(SpeechStarted)) == len(talk.told(SpeechStopped)) == 1
