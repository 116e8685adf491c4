from __future__ import annotations

import pytest

from models import secrecy
from models.errors import BadInput
from models.secrecy import hidden, keep_headers, keep_secret, keep_url


@pytest.fixture(autouse=True)
def _none_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrecy, "_known", {})


def test_what_is_kept_is_cut_out_of_every_text() -> None:
    keep_secret(" a key/with sign ")
    assert hidden("refused: a key/with sign, a%20key%2Fwith%20sign") == "refused: ..., ..."
    error = BadInput("no: a key/with sign", hint="not a key/with sign")
    assert str(error) == "no: ... (not ...)" and error.args == ("no: ...",)


def test_addresses() -> None:
    keep_url("https://me:pass%20word-1@here.example/v1")
    assert hidden("https://me:x@here.example/a@b and pass word-1") == "https://...@here.example/a@b and ..."
    assert hidden("GET http://h/v1?model=m&api_key=abc&n=1") == "GET http://h/v1?model=m&api_key=...&n=1"
    assert hidden("'http://h/?access_token=abc'") == "'http://h/?access_token=...'"
    keep_url("http://[broken")


def test_headers() -> None:
    keep_headers({"Authorization": "Bearer 0123456789ab", "X-Api-Key": "abcdefgh-ijk", "Accept": "application/json"})
    assert hidden("0123456789ab abcdefgh-ijk application/json") == "... ... application/json"


@pytest.mark.parametrize("value", ["", "ollama", "lm-studio", "not-needed", "1234567"])
def test_what_is_no_secret_stays(value: str) -> None:
    """People write such words where a key is asked for; the names of servers shall stay readable."""
    keep_secret(value)
    assert hidden(f"{value} does not answer") == f"{value} does not answer"


def test_thousands_of_them() -> None:
    for number in range(5000):
        keep_secret(f"secret-number-{number}")
    assert hidden("secret-number-4999.") == "...."
