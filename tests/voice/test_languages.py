"""Languages by their codes and names."""

from __future__ import annotations

import pytest

from voice.languages import code_of, name_of


@pytest.mark.parametrize(
    ("code", "name"), [("en", "english"), ("de", "german"), ("yue", "cantonese"), ("ht", "haitian creole")]
)
def test_there_and_back(code: str, name: str) -> None:
    assert name_of(code) == name and code_of(name) == code and code_of(name.title()) == code


def test_tags_and_what_is_neither() -> None:
    assert name_of("en-US") == name_of("EN_gb") == "english"
    assert name_of("") == code_of("") == "" and name_of("xx") == "xx" and code_of("de") == "de"
