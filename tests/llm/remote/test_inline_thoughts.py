"""Thoughts that a server leaves in the text, told apart however a stream is cut, and in answers that pass too."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.remote.backend_http import loads
from llm.remote.chunk_reader import ChunkReader
from llm.remote.inline_thoughts import InlineThoughts
from llm.remote.llamacpp_completion import CompletionReader
from llm.remote.ollama_wire import OllamaReader
from llm.remote.passthrough import StreamRelay, relayed_whole
from llm.stream import Finish, ReasoningDelta, Relayed, StreamEvent, TextDelta

HEAD = {"id": "a", "model": "m", "created": 1}
REPLY = "\n<think>They greet me.</think>\n\nHello <think>!"
THOUGHT, SAID = "They greet me.", "Hello <think>!"


def _chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}


def _heard(events: list[StreamEvent]) -> tuple[str, str]:
    thought = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    return thought, "".join(event.text for event in events if isinstance(event, TextDelta))


def _openai(pieces: list[str]) -> list[StreamEvent]:
    reader = ChunkReader()
    events = [event for piece in pieces for event in reader.read(_chunk({"content": piece}))]
    return [*events, *reader.close()]  # no finish_reason: nothing may be lost


def _ollama(pieces: list[str]) -> list[StreamEvent]:
    reader = OllamaReader()
    lines = [{"message": {"content": piece}} for piece in pieces]
    return [event for line in [*lines, {"done": True}] for event in reader.read(line)]


def _completion(pieces: list[str]) -> list[StreamEvent]:
    reader = CompletionReader()
    lines: list[dict[str, Any]] = [{"content": piece} for piece in pieces]
    return [event for line in [*lines, {"content": "", "stop": True}] for event in reader.read(line)]


@pytest.mark.parametrize("server", [_openai, _ollama, _completion])
@given(cuts=st.sets(st.integers(1, len(REPLY) - 1)))
def test_they_are_told_apart_wherever_it_is_cut(
    server: Callable[[list[str]], list[StreamEvent]], cuts: set[int]
) -> None:
    events = server([REPLY[a:b] for a, b in pairwise([0, *sorted(cuts), len(REPLY)])])
    assert _heard(events) == (THOUGHT, SAID) and isinstance(events[-1], Finish)


@pytest.mark.parametrize("reply", ["<", " <thin", "<html>", "say <think>x</think>", "\n"])
def test_what_only_resembles_them_is_text(reply: str) -> None:
    assert _heard(_openai(list(reply))) == ("", reply)


def test_a_server_that_tells_them_apart_is_believed() -> None:
    reader = ChunkReader()
    events = reader.read(_chunk({"reasoning": "hm"})) + reader.read(_chunk({"content": "<think>x</think>y"}))
    assert _heard(events) == ("hm", "<think>x</think>y")
    ours = ChunkReader(thoughts=InlineThoughts(split=False))
    assert _heard(ours.read(_chunk({"content": "<think>x</think>y"}))) == ("", "<think>x</think>y")


def test_each_choice_has_its_own() -> None:
    reader = ChunkReader(choices=2)
    events = [
        event
        for index, piece in [(0, "<think>a"), (1, "no"), (0, "</think>b")]
        for event in reader.read(_chunk({"content": piece}, index=index))
    ]
    assert events == [ReasoningDelta("a", 0), TextDelta("no", 1), TextDelta("b", 0)]


@pytest.mark.parametrize(("pieces", "passes"), [(["<", "html>", " x"], True), (["<", "think>a</think>", "b"], False)])
def test_of_answers_that_pass_only_those_with_thoughts_are_converted(pieces: list[str], passes: bool) -> None:
    relay = StreamRelay(ChunkReader(), usage=False)
    chunks = [_chunk({"role": "assistant"}), *(_chunk({"content": piece}) for piece in pieces), _chunk({}, "stop")]
    events = [event for line in map(json.dumps, chunks) for event in relay.read(line, loads(line))]
    if passes:
        relayed = b"".join(event.data for event in events if isinstance(event, Relayed))
        assert relayed.count(b"data: ") == len(chunks)
    else:
        assert events == [ReasoningDelta("a"), TextDelta("b")]
    message = {"role": "assistant", "content": "".join(pieces)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = {**HEAD, "object": "chat.completion", "choices": [choice]}
    assert (relayed_whole(whole, json.dumps(whole).encode()) is not None) is passes
