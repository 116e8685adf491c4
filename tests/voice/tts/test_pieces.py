from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.tts.pieces import pieces, plain


@given(st.text(max_size=400), st.integers(1, 60))
def test_pieces_are_the_text_and_within_the_limit(text: str, limit: int) -> None:
    found = pieces(text, limit)
    assert "".join(found) == text
    assert all(0 < len(piece) <= limit for piece in found)


@pytest.mark.parametrize(
    ("text", "limit", "first"),
    [
        ("One. Two three four five.", 10, "One. "),
        ("One two, three four", 12, "One two, "),
        ("One, two three four five", 16, "One, two three "),  # the comma comes too early to be worth a cut
        ("abcdefghij", 4, "abcd"),
        ("Short enough.", 40, "Short enough."),
        ("你好。再见。", 4, "你好。"),
    ],
)
def test_cuts_are_where_a_speaker_would_breathe(text: str, limit: int, first: str) -> None:
    assert pieces(text, limit)[0] == first


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        pieces("a", 0)


def test_control_characters_are_spaces_and_places_stay() -> None:
    assert plain("a\0b\ud800c\x1bd\ne\tf ü😀") == "a b c d\ne\tf ü😀"
