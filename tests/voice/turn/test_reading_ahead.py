"""While the user still speaks the model reads what is sure of its prompt: the conversation, then the stable words."""

from __future__ import annotations

import pytest

from tests.voice.conversation import RATE_HZ, Conversation
from voice.agreement import agreed
from voice.session.config import AudioConfig, SessionConfig, WakeConfig
from voice.session.outgoing import TurnComplete
from voice.settings import TurnSettings
from voice.turn import events as heard
from voice.turn.actions import Listen, Prefill, Think

AUDIO = AudioConfig(sample_rate=RATE_HZ)


def read(talk: Conversation) -> list[tuple[float, str]]:
    """When, and the last message of what the model was to read."""
    return [(round(at, 2), action.messages[-1].content) for at, action in talk.actions if isinstance(action, Prefill)]


@pytest.mark.parametrize(
    ("before", "now", "sure"),
    [
        ("", "turn", ""),
        ("turn on", "turn on the", "turn on"),
        ("turn on the lie", "turn on the light in", "turn on the"),
        ("turn off the light", "turn on the light", "turn"),
        ("a b", "c d", ""),
    ],
)
def test_words_are_sure_when_two_partials_agree_and_a_word_follows(before: str, now: str, sure: str) -> None:
    assert agreed(before, now) == sure


def test_the_conversation_is_read_when_somebody_begins_to_speak_and_then_the_words_that_are_sure() -> None:
    talk = Conversation()
    talk.speak((1.0, 4.0, "turn on the light in the kitchen"))
    talk.run(1.2)
    (listen,) = [action for _, action in talk.actions if isinstance(action, Listen)]
    texts = (
        "turn",
        "turn on",
        "turn on the",
        "turn on the light",
        "turn on the light in",
        "turn on the light in the",
    )
    for number, text in enumerate(texts):
        talk.at(1.4 + 0.3 * number, heard.PartialTranscript(listen.turn, text))
    talk.run(14.0)
    (begun, told), *words = read(talk)
    assert begun == pytest.approx(1.1, abs=0.02) and told == "Be brief."
    assert [text for _, text in words] == ["turn", "turn on the", "turn on the light in"]
    assert all(later - sooner >= 0.5 for (sooner, _), (later, _) in zip(words, words[1:], strict=False))
    think = next(action for _, action in talk.actions if isinstance(action, Think))
    assert think.messages[-1].content == "turn on the light in the kitchen"
    (turn,) = talk.told(TurnComplete)
    assert turn.tokens_in == 40, "what is read ahead is not charged"


def test_a_second_turn_reads_the_first_one_too() -> None:
    talk = Conversation()
    talk.speak((1.0, 2.0, "hello"))
    talk.speak((12.0, 13.0, "and now"))
    talk.run(13.0)
    assert [text for _, text in read(talk)] == ["Be brief.", talk.answer("hello")]


@pytest.mark.parametrize(
    ("settings", "config"),
    [
        (TurnSettings(speculate=False), SessionConfig(audio=AUDIO)),
        (TurnSettings(), SessionConfig(audio=AUDIO, transcribe_only=True)),
        (TurnSettings(), SessionConfig(audio=AUDIO, wake=WakeConfig(True, ("alexa",), "pre"))),
    ],
)
def test_nothing_is_read_for_what_will_not_be_answered(settings: TurnSettings, config: SessionConfig) -> None:
    talk = Conversation(settings=settings, config=config, audible=frozenset({"alexa"}))
    talk.speak((1.0, 2.0, "hello"))
    talk.run(6.0)
    assert read(talk) == []
