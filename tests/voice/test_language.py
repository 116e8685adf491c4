"""The language of what people ask an assistant."""

from __future__ import annotations

import pytest

from voice.mouth.language import guess_language


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
        ("Berlin", None),
        ("Berlin Paris 42", None),
        ("", None),
    ],
)
def test_a_language_is_known_or_none_is_guessed(text: str, language: str | None) -> None:
    assert guess_language(text) == language
