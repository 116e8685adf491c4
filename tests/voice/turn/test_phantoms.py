"""What Whisper writes of noise and silence is neither answered nor an interruption."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.voice.conversation import RATE_HZ, Conversation
from voice.session.config import AudioConfig, SessionConfig
from voice.session.outgoing import Interrupted, TranscriptOut, TurnComplete
from voice.turn import events as heard
from voice.turn.actions import Listen
from voice.turn.phantoms import without_phantoms


@pytest.mark.parametrize(
    "phantom",
    [
        "Thanks for watching!",
        "Thank you very much for watching this video.",
        "Please subscribe to my channel.",
        "Don't forget to like and subscribe!",
        "Like, comment and subscribe.",
        "See you in the next video!",
        "Subtitles by the Amara.org community",
        "Untertitel der Amara.org-Community",
        "Untertitelung im Auftrag des ZDF für funk, 2017",
        "Untertitel von Stephanie Geiges",
        "Copyright WDR 2021",
        "Vielen Dank fürs Zuschauen.",
        "Sous-titrage ST' 501",
        "Sous-titres réalisés par la communauté d'Amara.org",
        "¡Suscríbete al canal!",
        "¡Gracias por ver el vídeo!",
        "Sottotitoli creati dalla comunità Amara.org",
        "Продолжение следует...",
        "Субтитры сделал DimaTorzok",
        "ご視聴ありがとうございました",
        "Abone olmayı unutmayın.",
        "字幕由Amara.org社區提供",
        "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
        "시청해주셔서 감사합니다.",
        "Thanks for watching! Thanks for watching!",
    ],
)
def test_what_nobody_says_is_taken_out(phantom: str) -> None:
    assert without_phantoms(phantom) == ""
    assert without_phantoms(f"Turn on the light. {phantom}") == "Turn on the light."


@pytest.mark.parametrize(
    "said",
    [
        "Thank you.",
        "Thanks for listening.",
        "Thank you for watching the oven.",
        "Is anybody watching?",
        "Switch the subtitles on.",
        "Untertitel einschalten",
        "Wer macht die Untertitel?",
        "How do I subscribe to the newsletter?",
        "Subscribe.",
        "See you next time!",
        "What is 3.5 times 2? Tell me.",
        "Set a timer for ten minutes",
        "Go to example.org. Then read it to me.",
        "Was läuft im ZDF?",
        "",
        "...",
    ],
)
def test_what_people_say_stays_as_it_is(said: str) -> None:
    assert without_phantoms(said) == said


@given(st.text(alphabet="abc .!?,\n'", max_size=40))
def test_no_other_text_is_changed(text: str) -> None:
    assert without_phantoms(text) == text


def test_noise_that_becomes_such_a_sentence_is_not_answered() -> None:
    talk = Conversation()
    talk.speak((1.0, 1.6, "Thanks for watching!"), (8.0, 9.5, "what time is it"))
    talk.run(30.0)
    assert [turn.input_transcript for turn in talk.told(TurnComplete)] == ["what time is it"]
    assert [item.message.role for item in talk.machine.history.items] == ["user", "assistant"]


def test_noise_over_a_reply_does_not_stop_it() -> None:
    talk = Conversation(answer=lambda _: "one two three four five six seven eight nine ten eleven twelve " * 3)
    talk.speak((1.0, 2.0, "count for me"), (5.0, 5.6, "Untertitel der Amara.org-Community"))
    talk.run(30.0)
    assert not talk.told(Interrupted)
    assert [turn.heard_transcript == turn.output_transcript for turn in talk.told(TurnComplete)] == [True]


def test_such_a_sentence_is_not_shown_while_somebody_speaks() -> None:
    talk = Conversation()
    talk.speak((1.0, 4.0, "turn on the light"))
    talk.run(1.2)
    (turn,) = [action.turn for _, action in talk.actions if isinstance(action, Listen)]
    for at_s, text in ((2.0, "Thanks for watching!"), (2.5, "Turn on. Thanks for watching!")):
        talk.at(at_s, heard.PartialTranscript(turn, text))
    talk.run(10.0)
    assert [event.text for event in talk.told(TranscriptOut)] == ["Turn on.", "turn on the light"]


def test_who_dictates_may_say_it() -> None:
    talk = Conversation(config=SessionConfig(audio=AudioConfig(sample_rate=RATE_HZ), transcribe_only=True))
    talk.speak((1.0, 2.6, "Thanks for watching!"))
    talk.run(6.0)
    assert [event.text for event in talk.told(TranscriptOut) if event.is_final] == ["Thanks for watching!"]
