"""The language of what people ask an assistant."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.voice.conversation import Conversation
from voice.ears.ring import AudioRing
from voice.mouth.language import guess_language
from voice.port import SpeakRequest, SpeechChunk
from voice.session.config import SessionConfig, VoiceConfig
from voice.session.work import Work
from voice.settings import SpeechServiceSettings, VoiceSettings
from voice.tts.espeak import EspeakTts
from voice.turn import events as heard
from voice.turn.actions import Speak, Transcribe


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Wie wird denn das Wetter morgen in Berlin?", "de"),
        ("schalte bitte das licht an", "de"),
        ("what is the weather like tomorrow", "en"),
        ("turn on the light in the kitchen please", "en"),
        ("Quel temps fait-il aujourd’hui à Paris ?", "fr"),
        ("¿Qué tiempo hará mañana en Madrid?", "es"),
        ("che tempo fa domani a Roma", "it"),
        ("wat voor weer wordt het vandaag", "nl"),
        ("jaka jest jutro pogoda", "pl"),
        ("vad är klockan", "sv"),
        ("какая завтра погода", "ru"),
        ("яка завтра погода у Києві", "uk"),
        ("明日の天気は", "ja"),
        ("明天天气怎么样", "zh"),
        ("the der", None),
        ("Berlin", None),
        ("Berlin Paris 42", None),
        ("", None),
    ],
)
def test_a_language_is_known_or_none_is_guessed(text: str, language: str | None) -> None:
    assert guess_language(text) == language


# ---- the voice ------------------------------------------------------------------------------------------------


def _languages(talk: Conversation) -> set[str]:
    return {action.voice.language for _, action in talk.actions if isinstance(action, Speak)}


def _asked(text: str, language: str = "auto", heard_as: str | None = None) -> set[str]:
    talk = Conversation(config=SessionConfig(voice=VoiceConfig(language=language)))
    if heard_as is None:
        talk.at(1.0, heard.Typed(text))
        return _languages(talk.run(12.0))
    talk.speak((1.0, 2.0, ""))
    talk.run(2.05)
    asked = [action for _, action in talk.actions if isinstance(action, Transcribe)][-1]
    talk.at(2.06, heard.TranscriptReady(asked.revision, text, heard_as))
    return _languages(talk.run(12.0))


def test_the_answer_is_spoken_in_the_language_of_the_question() -> None:
    assert _asked("wie wird das wetter morgen") == {"de"}
    assert _asked("what is the weather today") == {"en"}
    assert _asked("wie wird das wetter morgen", language="fr") == {"fr"}, "the session's own goes before"
    assert _asked("hm") == {"auto"}


def test_the_recogniser_is_believed_where_the_words_tell_nothing_and_are_several() -> None:
    assert _asked("aa bb cc dd", heard_as="sw") == {"sw"}
    assert _asked("aa bb", heard_as="sw") == {"auto"}
    assert _asked("wie wird das wetter morgen", heard_as="nl") == {"de"}


async def _requested(asked: str, session: SessionConfig | None = None, **tts: str) -> list[SpeakRequest]:
    """What the synthesiser is asked, which speaks German and English, for a reply in the language `asked`."""
    voice, requests = EspeakTts(), []

    class Engine:
        name = "espeak"

        async def speak(self, request: SpeakRequest) -> AsyncGenerator[SpeechChunk]:
            requests.append(request)
            for chunk in voice.synthesize(request.text, request.voice, request.speed, request.language):
                yield chunk

    parts = SimpleNamespace(tts=Engine())
    settings = VoiceSettings(tts=SpeechServiceSettings(**tts))  # type: ignore[arg-type]
    told: list[Any] = []
    work = Work("s", "u", session or SessionConfig(), settings, parts, AudioRing(1.0), told.append)  # type: ignore[arg-type]
    await work._speak(Speak(1, 0, "Guten Tag.", VoiceConfig(language=asked)))
    assert isinstance(told[-1], heard.ClauseAudio) and told[-1].is_last and sum(len(each.pcm) for each in told) > 1000
    return requests


async def test_what_the_engine_does_not_speak_is_said_in_its_own_language() -> None:
    assert [request.language for request in await _requested("de")] == ["de"]
    assert [request.language for request in await _requested("xx")] == ["xx", None]
    assert [request.language for request in await _requested("auto")] == [None]
    assert [request.language for request in await _requested("de", language="de")] == ["de"]


async def test_a_reply_that_was_begun_keeps_its_language() -> None:
    """The session's may be another one by now."""
    english = SessionConfig(voice=VoiceConfig(language="en"))
    assert [request.language for request in await _requested("de", english)] == ["de"]
