"""What voices misread is written as it is said, and nothing else is changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scripted.process import ScriptedProcess
from tests.web.house import house
from voice.mouth.chunker import Chunker
from voice.mouth.normalisation import normalised
from voice.mouth.speakable import speakable

ENGLISH = [
    ("It is 3.5 km, about 20°C.", "It is 3.5 kilometers, about 20 degrees Celsius."),
    ("5 min, 1 h, 130 km/h, a 5 ft. wall", "5 minutes, 1 hour, 130 kilometers per hour, a 5 feet wall"),
    ("€5, $3.50, $0.99, $1 or 5 €", "5 euros, 3 dollars and 50 cents, 99 cents, 1 dollar or 5 euros"),
    ("$1.5 million, $5–10 per head, £3/month", "1.5 million dollars, 5 to 10 dollars per head, 3 pounds per month"),
    ("10-20 km in 5–6 minutes", "10 to 20 kilometers in 5 to 6 minutes"),
    ("on 2026-11-21 or 11/21/2026", "on November 21st, 2026 or November 21st, 2026"),
    ("Nov. 21, 2026 and 3 Dec", "November 21, 2026 and 3 December"),
    ("at 10:00, 10:05 or 10:00 a.m.", "at 10 o'clock, 10 oh 5 or 10 a.m."),
    ("the 1990s, 24/7", "the 19 nineties, 24 7"),
    ("1/2 cup, 2 1/2 cups, 2¾", "one half cup, 2 and a half cups, 2 and three quarters"),
    ("Dr. Smith vs. Mrs. Jones, No. 5, etc.", "Doctor Smith versus Missus Jones, number 5, et cetera."),
    ("St. John lives in Main St.", "Saint John lives in Main Street."),
    ("user@example.org or my-site.co.uk", "user at example dot org or my-site dot co dot uk"),
    ("IPv6, 192.168.1.1, #1, ~5", "IP version 6, 192 dot 168 dot 1 dot 1, number 1, about 5"),
    ("CO₂, 100 m², x²", "C O 2, 100 square meters, x squared"),
]
GERMAN = [
    ("3,5 km bei 20 °C", "3,5 Kilometer bei 20 Grad Celsius"),
    ("1 h, 5 Min. Pause, 3 Std.", "eine Stunde, 5 Minuten Pause, 3 Stunden."),
    ("5 €, 3,50 €, 0,99 € oder 1 €", "5 Euro, 3 Euro 50, 99 Cent oder ein Euro"),
    ("1,5 Mio. € und 10 €/Monat", "1,5 Millionen Euro und 10 Euro pro Monat"),
    ("10–20 Minuten", "10 bis 20 Minuten"),
    ("Heute ist der 21.11.2026.", "Heute ist der einundzwanzigste November 2026."),
    ("Am Montag, dem 3. Oktober 1990", "Am Montag, dem dritten Oktober neunzehnhundertneunzig"),
    ("vom 1. bis 3. Mai", "vom ersten bis dritten Mai"),
    ("im 19. Jahrhundert, der 2. Weltkrieg", "im neunzehnten Jahrhundert, der zweite Weltkrieg"),
    ("2026-11-21", "einundzwanzigster November 2026"),
    ("seit 1990, die 1990er", "seit neunzehnhundertneunzig, die neunzehnhundertneunziger"),
    ("um 10:30 Uhr und 8:00 Uhr", "um 10 Uhr 30 und 8 Uhr"),
    ("2½ Liter", "zweieinhalb Liter"),
    ("z. B. bzw. d.h. usw.", "zum Beispiel beziehungsweise das heißt und so weiter."),
    ("Dr. Müller, Hauptstr. 5, Nr. 3", "Doktor Müller, Hauptstraße 5, Nummer 3"),
    ("user@example.org, 10.0.0.1", "user ät example Punkt org, 10 Punkt 0 Punkt 0 Punkt 1"),
]
LEFT_ALONE = [
    ("en", "COVID-19, an F-16, v2.0, 3.14 and 1,234,567"),
    ("en", "call 555-1234 or 555-123-4567; it was 3-1"),
    ("en", "It's 5g, 4G and 1:10, in 1990."),
    ("de", "Zähle bis 10. Es sind 42. Das ist viel: 1.234.567"),
    ("fr", "3,5 km à 20 °C le 21.11.2026"),
    ("auto", "3,5 km"),
]


@pytest.mark.parametrize(("written", "said"), ENGLISH)
def test_english(written: str, said: str) -> None:
    assert normalised(written, "en-GB") == said


@pytest.mark.parametrize(("written", "said"), GERMAN)
def test_german(written: str, said: str) -> None:
    assert normalised(written, "de") == said


@pytest.mark.parametrize(("language", "text"), LEFT_ALONE)
def test_left_alone(language: str, text: str) -> None:
    assert normalised(text, language) == text


PIECES = [
    *"0123456789.,:/-–€$°²½#~ ",
    "12",
    "km",
    " km",
    "Mio.",
    "z. B.",
    "am ",
    "der ",
    "a@b.de",
    "Dr. ",
    "Uhr",
    "00",
]


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.sampled_from(("en", "de")))
def test_no_number_is_lost_and_nothing_fails(text: str, language: str) -> None:
    assert bool(normalised(text, language).strip()) == bool(text.strip())


WORDS_WITHOUT_END = ["1'", "1.", "1-", "a.", "a-", "a@", "€1 ", "der 1. ", "1/2", "[", "[a](", " ", "|-", "`", "1:"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", WORDS_WITHOUT_END)
def test_a_word_of_any_length_keeps_nobody_waiting(piece: str) -> None:
    """A model that has gone astray writes the same for ever. In squared time some of these took minutes."""
    assert isinstance(speakable(piece * (100_000 // len(piece)), "de"), str)


def test_an_ordinal_ends_no_sentence() -> None:
    chunker = Chunker("de")
    clauses = chunker.push("Das war im 19. Jahrhundert. Der 2. Weltkrieg kam später.") + chunker.flush()
    assert [c.text for c in clauses] == ["Das war im neunzehnten Jahrhundert.", "Der zweite Weltkrieg kam später."]


def test_the_answer_tells_its_language() -> None:
    chunker = Chunker("auto")
    clauses = chunker.push("Das ist nicht weit. Nur 3,5 km.\n```python\nx\n```") + chunker.flush()
    assert [c.text for c in clauses if c.text] == [
        "Das ist nicht weit.",
        "Nur 3,5 Kilometer.",
        "Ein Codebeispiel in Python.",
    ]


async def test_in_the_language_of_the_server(
    tmp_path_factory: pytest.TempPathFactory, scripted_service: ScriptedProcess
) -> None:
    """The operator's voice is German, and the question in no language that can be told."""
    scripted_service.reset()
    scripted_service.script(replies=["Nur 3,5 km."], first_token_ms=10, tokens_per_s=400)
    config = scripted_service.parley_config('[llm]\nmodel = "none"\n').replace(
        "[voice.tts]\n", '[voice.tts]\nlanguage = "de"\n'
    )
    async with house(tmp_path_factory.mktemp("home"), config) as home:
        async with home.client.post("/v1/audio/live", json={"audio_config": {"output_format": "pcm"}}) as response:
            url = (await response.json())["websocket_url"]
        async with home.client.ws_connect(url) as socket:
            await socket.send_json({"type": "end_turn", "transcript": "Köln Bonn?"})
            async for message in socket:
                event = message.json()
                if event["type"] == "turn_complete":
                    assert event["heard_transcript"] == "Nur 3,5 km."
                    break
        for given in ({"input": "5 €"}, {"input": "$5", "language": "en"}):
            async with home.client.post("/v1/audio/speech", json=given) as response:
                assert response.status == 200 and await response.read()
    said = [record["request"]["input"] for record in scripted_service.requests("tts")]
    assert said == ["Nur 3,5 Kilometer.", "5 Euro", "5 dollars"]
