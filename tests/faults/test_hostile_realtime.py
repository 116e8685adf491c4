"""Realtime clients that send nonsense, and clients that do not read: an `error` event each, or a typed end."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.parley_process import ParleyProcess

PATH = "/v1/realtime?model=scripted/any"
NEST = json.loads("[" * 300 + "]" * 300)
WRONG = (None, [], {}, "x", 1, True, -1, 2**63, 1.5, NEST, ["x"], [None], {"type": None}, {"type": "x"})
MESSAGE = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}


def open_socket(server: ParleyProcess) -> ClientConnection:
    return connect(server.ws_url + PATH, additional_headers=server.headers, max_size=None, proxy=None)


@pytest.fixture(scope="module")
def socket(scripted_parley: ParleyProcess) -> Iterator[ClientConnection]:
    """One connection for all of them: none of it may end it."""
    with open_socket(scripted_parley) as found:
        yield found


def answers(socket: ClientConnection, *messages: dict[str, Any] | str | bytes) -> list[dict[str, Any]]:
    """What is said until everything before the mark is answered."""
    for message in messages:
        socket.send(json.dumps(message) if isinstance(message, dict) else message)
    socket.send('{"type": "conversation.item.retrieve", "item_id": "nobody", "event_id": "mark"}')
    seen: list[dict[str, Any]] = []
    while True:
        said = json.loads(socket.recv(timeout=60))
        if said["type"] == "error":
            assert set(said["error"]) == {"type", "code", "message", "param", "event_id"}
            if said["error"]["event_id"] == "mark":
                return seen
        seen.append(said)


def errors(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event["error"] for event in said if event["type"] == "error"]


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "[]",
        "null",
        "1",
        '"x"',
        '{"n":NaN}',
        '{"n":1e999}',
        "[" * 50_000,
        '{"a":' * 50_000,
        '{"n":' + "1" * 5000 + "}",
        b"\0" * 640,
    ],
    ids=lambda frame: repr(frame[:8]),
)
def test_what_is_no_event(socket: ClientConnection, frame: str | bytes) -> None:
    (error,) = errors(answers(socket, frame))
    assert (error["type"], error["code"], error["event_id"]) == ("invalid_request_error", "invalid_json", None)


FIELDS = [
    ("conversation.item.truncate", "item_id"),
    ("conversation.item.truncate", "content_index"),
    ("conversation.item.truncate", "audio_end_ms"),
    ("conversation.item.delete", "item_id"),
    ("conversation.item.retrieve", "item_id"),
    ("input_audio_buffer.append", "audio"),
    ("conversation.item.create", "item"),
    ("conversation.item.create", "previous_item_id"),
    ("response.cancel", "response_id"),
    ("no.such.event", "type"),
]


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_wrong_values_are_answered_with_the_clients_event_id(socket: ClientConnection, kind: str, field: str) -> None:
    rest = {"item_id": "nobody", "content_index": 0, "audio_end_ms": 0, "item": MESSAGE}
    for number, wrong in enumerate(WRONG):
        if (field, wrong) in (("previous_item_id", None), ("audio", "")) or (field == "type" and wrong == kind):
            continue
        name = f"{field}-{number}"
        said = answers(socket, {"type": kind, **rest, "event_id": name, field: wrong})
        (error,) = errors(said)
        assert error["type"] == "invalid_request_error" and error["code"] and error["event_id"] == name, (
            wrong,
            error,
        )
        assert len(error["message"]) < 600


def test_wrong_sessions_are_answered(socket: ClientConnection) -> None:
    """Each is refused with the client's name for it, or it is an update; and the session goes on."""
    sides = {
        side: ("format", "transcription", "noise_reduction", "turn_detection", "voice", "speed")
        for side in ("input", "output")
    }
    updates: list[dict[str, Any]] = [
        {"audio": {side: {name: wrong}}} for side, names in sides.items() for name in names for wrong in WRONG
    ]
    fields = ("output_modalities", "instructions", "audio", "tools", "tool_choice", "max_output_tokens", "tracing")
    updates += [{name: wrong} for name in fields for wrong in WRONG]
    updates += [{"tools": [{"type": "function", "name": name}]} for name in ("", "a b", "a\n", "x" * 300)]
    names = [f"update-{number}" for number in range(len(updates))]
    said = answers(
        socket,
        *(
            {"type": "session.update", "session": {"type": "realtime", **update}, "event_id": name}
            for name, update in zip(names, updates, strict=True)
        ),
    )
    refused = {error["event_id"] for error in errors(said)}
    assert refused <= set(names) and set(names[-4:]) <= refused
    assert len(refused) + sum(event["type"] == "session.updated" for event in said) == len(updates)
    for event in said:
        if event["type"] == "session.updated":
            assert set(event["session"]["audio"]["output"]) == {"format", "voice", "speed"}


def test_wrong_asides_are_answered(socket: ClientConnection) -> None:
    for field in ("input", "instructions", "tools", "tool_choice", "metadata", "output_modalities", "conversation"):
        wishes = {"conversation": "none", "output_modalities": ["text"], "input": [{"type": "item_reference"}]}
        (error,) = errors(
            answers(
                socket,
                {"type": "response.create", "event_id": field, "response": {**wishes, field: [{"nothing": 1}]}},
            )
        )
        assert error["event_id"] == field and error["param"].startswith("response."), error


def test_ten_thousand_events_before_the_first_is_read(scripted_parley: ParleyProcess) -> None:
    """The client is heard more slowly; nothing is lost, and it is not thrown out."""
    with open_socket(scripted_parley) as socket:
        events = (json.dumps({"type": "response.dance", "event_id": f"{number}"}) for number in range(10_000))
        assert len(errors(answers(socket, *events))) == 10_000


def test_an_append_that_is_too_large_ends_it_with_its_code(scripted_parley: ParleyProcess) -> None:
    audio = base64.b64encode(bytes(13 * 2**20)).decode()
    with open_socket(scripted_parley) as socket, pytest.raises(ConnectionClosed):
        answers(socket, {"type": "input_audio_buffer.append", "audio": audio})
    with open_socket(scripted_parley) as socket:
        (error,) = errors(answers(socket, {"type": "input_audio_buffer.append", "audio": "A" * (15 * 2**20 + 4)}))
        assert error["param"] == "audio"
