"""Frames that pass without being read are frames that a reader would have found right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.remote.text_frames import TextFrames


def _chunk(text: str) -> dict[str, Any]:
    delta = {"content": text}
    return {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta, "finish_reason": None}], "created": 1}


def _frame(text: str, ascii_only: bool) -> bytes:
    return b"data: " + json.dumps(_chunk(text), ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") + b"\n\n"


def _taught(text: str = "word0 ", ascii_only: bool = False) -> TextFrames:
    frames = TextFrames()
    frames.learn(json.dumps(_chunk(text), ensure_ascii=ascii_only), _chunk(text))
    return frames


@given(st.lists(st.text(), min_size=1, max_size=5), st.booleans())
def test_frames_of_the_kind_are_counted(texts: list[str], ascii_only: bool) -> None:
    piece = b"".join(_frame(text, ascii_only) for text in texts)
    found = _taught().count(piece)
    escaped_pair = ascii_only and any(ord(letter) > 0xFFFF for text in texts for letter in text)
    assert found == (0 if escaped_pair or _has_surrogates(texts) else len(texts))


@given(st.binary(max_size=12), st.integers(0, 200), st.integers(0, 3))
def test_what_is_counted_is_json_with_another_text_and_nothing_else(junk: bytes, at: int, cut: int) -> None:
    good = _frame("some words", False)
    at = min(at, len(good))
    piece = good[:at] + junk + good[at + cut :]
    count = _taught().count(piece)
    if not count:
        return
    events = piece.decode().removesuffix("\n\n").split("\n\n")
    assert len(events) == count
    for event in events:
        value = json.loads(event.removeprefix("data: "))
        text = value["choices"][0]["delta"]["content"]
        assert isinstance(text, str) and value == _chunk(text)


@pytest.mark.parametrize(("value", "other"), [(b"chatcmpl-1", b"chatcmpl-2"), (b'"created": 1', b'"created": 2')])
def test_a_frame_that_differs_in_more_than_its_text_is_read(value: bytes, other: bytes) -> None:
    frame = _frame("word", False)
    assert _taught().count(frame + frame) == 2 and frame.count(value) == 1
    assert _taught().count(frame + frame.replace(value, other)) == 0


def test_a_text_that_stands_elsewhere_too_teaches_nothing() -> None:
    assert _taught("chatcmpl-1").count(_frame("word", False)) == 0
    assert TextFrames().count(_frame("word", False)) == 0


def _has_surrogates(texts: list[str]) -> bool:
    return any("\ud800" <= letter <= "\udfff" for text in texts for letter in text)
