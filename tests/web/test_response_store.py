"""Answers that are kept: whose they are, and which make room."""

from __future__ import annotations

from typing import Any

from web.response_store import ResponseStore


def _response(number: int, text: str = "") -> dict[str, Any]:
    return {"id": f"resp_{number}", "output": [{"id": f"msg_{number}", "type": "message", "content": text}]}


def test_what_is_anothers_is_not_there() -> None:
    store = ResponseStore()
    store.keep(_response(1), "anna", (), [{"id": "msg_in", "type": "message"}])
    assert store.find("resp_1", "bert") is None and store.item("msg_1", "bert") is None
    assert not store.remove("resp_1", "bert")
    assert store.item("msg_in", "anna") is not None and store.item("msg_1", "anna") is not None
    assert store.remove("resp_1", "anna")
    assert store.find("resp_1", "anna") is None and store.item("msg_1", "anna") is None


def test_the_one_that_was_used_least_lately_makes_room() -> None:
    store = ResponseStore(most_bytes=5000)
    for number in range(1, 4):
        store.keep(_response(number, "x" * 700), "anna", (), ())
    assert store.find("resp_1", "anna") is not None
    store.keep(_response(4, "x" * 1500), "anna", (), ())
    kept = [number for number in range(1, 5) if store.find(f"resp_{number}", "anna") is not None]
    assert kept == [1, 4]
    assert store.item("msg_2", "anna") is None and store.item("msg_4", "anna") is not None


def test_the_last_one_is_kept_however_large() -> None:
    store = ResponseStore(most_bytes=1000)
    store.keep(_response(1), "anna", (), ())
    store.keep(_response(2, "x" * 5000), "anna", (), ())
    assert store.find("resp_1", "anna") is None and store.find("resp_2", "anna") is not None
