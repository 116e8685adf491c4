"""Wake phrases in transcripts: however a recogniser writes one it is found, and no other letters are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.session.config import WakeMode
from voice.turn.wake_text import WakeCut, cut

LETTERS = "abcdfghiklmnoprstuvwzäöüßé"
WRITTEN = {"ä": ("ä", "ae", "a", "a\u0308"), "ö": ("ö", "oe", "o", "o\u0308"), "ü": ("ü", "ue", "u", "u\u0308"),
           "ß": ("ß", "ss", "ẞ"), "é": ("é", "e", "e\u0301")}  # fmt: skip
"""The ways in which a letter of a phrase may be written; case aside, every other one stays what it is."""
BETWEEN_LETTERS = ("", "", "", "", "-", "'", "’", "ʼ", ".", "\u00ad", "_")
BETWEEN_WORDS = (" ", ", ", "-", "", " ... ", "! ")
words = st.text(LETTERS, min_size=2, max_size=6)
phrases = st.lists(words, min_size=1, max_size=3)


@st.composite
def written(draw: st.DrawFn, phrase: list[str]) -> str:
    """A phrase as some recogniser may write it."""
    text = ""
    for place, word in enumerate(phrase):
        text += draw(st.sampled_from(BETWEEN_WORDS)) if place else ""
        for at, letter in enumerate(word):
            text += draw(st.sampled_from(BETWEEN_LETTERS)) if at else ""
            text += draw(st.sampled_from(WRITTEN.get(letter, (letter,))))
    return draw(st.sampled_from((str, str.upper, str.title, str.lower)))(text)


@given(st.data(), phrases, st.sampled_from(("", "Äh, ", "okay, ")))
def test_a_phrase_is_found_however_it_is_written(data: st.DataObject, phrase: list[str], before: str) -> None:
    said = data.draw(written(phrase))
    assert cut(f"{before}{said}, 42 lights", [" ".join(phrase)], "pre") == WakeCut(True, "42 lights")
    assert cut(f"42 lights {said}", [" ".join(phrase)], "post") == WakeCut(True, "42 lights")


@given(st.data(), phrases)
def test_a_phrase_of_the_configuration_may_be_written_with_its_digraphs(
    data: st.DataObject, phrase: list[str]
) -> None:
    ascii_only = " ".join(phrase).translate({ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue", ord("ß"): "ss"})
    assert cut(f"{' '.join(phrase)}, lights", [ascii_only], "pre") == WakeCut(True, "lights")


@given(st.data(), phrases, st.sampled_from(("pre", "post", "mid")))
def test_one_other_letter_is_another_phrase(data: st.DataObject, phrase: list[str], mode: WakeMode) -> None:
    at = data.draw(st.integers(0, len(phrase[0]) - 1))
    other = phrase[0][:at] + "x" + phrase[0][at + 1 :]
    said = data.draw(written([other, *phrase[1:]]))
    assert cut(f"{said}, 42", [" ".join(phrase)], mode) == WakeCut(False, "")


@given(st.text(max_size=60), st.lists(st.text(max_size=12), max_size=3), st.sampled_from(("pre", "post", "mid")))
def test_any_text_is_taken(text: str, words: list[str], mode: WakeMode) -> None:
    request = cut(text, words, mode).request
    assert not set(request) - set(text) - {" "}


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("Hör zu", "Hoer zu, wie spät ist es?", True),
        ("Hör zu", "hör zu! Wie spät ist es?", True),
        ("Hoer zu", "Hör zu, wie spät ist es?", True),
        ("Hor zu", "Hör zu, wie spät ist es?", True),
        ("Hor zu", "Hoer zu, wie spät ist es?", False),
        ("Computer", "Hey, Com-puter! Wie spät ist es?", True),
        ("let's go", "Lets go, wie spät ist es?", True),
        ("lets go", "Let‘s go, wie spät ist es?", True),
        ("Weißer Riese", "WEISSER RIESE wie spät ist es?", True),
        ("okay nabu", "OK, Nabu, wie spät ist es?", True),
        ("O.K. Nabu", "okay Nabu: wie spät ist es?", True),
        ("Søren", "Soren, wie spät ist es?", True),
        ("Bö", "Bo, wie spät ist es?", True),
        ("Bö", "Bo es ist spät", True),
        ("blu", "blue, wie spät ist es?", False),
        ("Alexa", "Alexaʼs Haus", False),
        ("dua", "d\0ua wie spät", True),
    ],
)
def test_what_counts_as_the_same(phrase: str, text: str, found: bool) -> None:
    assert cut(text, [phrase], "pre").found == found
