from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import llm
import models
import voice
import web
from models.errors import BadInput, ParleyError
from web.errors import TABLE, NotReady, Unauthorized, body_of, close_code, codes_of, headers_of


def _all_errors(root: type[ParleyError]) -> Iterator[type[ParleyError]]:
    yield root
    for child in root.__subclasses__():
        yield from _all_errors(child)


def _import_everything() -> None:
    for package in (models, llm, voice, web):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "recipes" not in info.name and not info.name.endswith("__main__"):
                importlib.import_module(info.name)


def test_every_error_has_a_row_and_every_row_an_error() -> None:
    _import_everything()
    codes = {error.code for error in _all_errors(ParleyError) if error.__module__.split(".")[0] != "tests"}
    assert sorted(codes - set(TABLE)) == [], "errors without a row in web/errors.py"
    assert sorted(set(TABLE) - codes) == [], "rows without an error"


def test_faces_are_possible() -> None:
    for code, codes in TABLE.items():
        assert 400 <= codes.status <= 599, code
        assert codes.close in (1008, 1009, 1011, 1013) or 4000 <= codes.close <= 4999, code
        assert (codes.type == "server_error") == (codes.status >= 500), code


def test_bodies_have_openais_four_keys() -> None:
    body = body_of(BadInput("n is too large", hint="at most 8", param="n"))
    assert body == {
        "error": {
            "message": "n is too large",
            "type": "invalid_request_error",
            "param": "n",
            "code": "invalid_request",
            "hint": "at most 8",
        }
    }
    assert body_of(BadInput("no"), detail=True) == {
        "detail": "no",
        "error": {"message": "no", "type": "invalid_request_error", "param": None, "code": "invalid_request"},
    }


def test_headers_and_close_codes() -> None:
    assert headers_of(Unauthorized("x")) == {"www-authenticate": "Bearer"}
    assert "retry-after" in headers_of(NotReady("x"))
    assert headers_of(BadInput("x")) == {}
    assert close_code(NotReady("x")) == 1013
    assert codes_of("never heard of").status == 500
