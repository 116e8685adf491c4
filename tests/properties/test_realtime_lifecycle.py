"""Random walks through Realtime sessions: a user who speaks, a client that asks anything, a machine that answers."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.messages import ToolCall
from tests.voice.conversation import Delays
from tests.voice.realtime_talk import RealtimeTalk, check

IDS = st.sampled_from(["$0", "$0", "$1", "$2", "mine_1", "root", "nothing"])
"""$n: the nth item from the end that the client was told of."""
TEXT = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and then?"}]}
MINE = st.sampled_from(["mine_1", "mine_2"])
ITEMS = st.one_of(
    st.builds(lambda name: {**TEXT, "id": name}, MINE),
    st.just(TEXT),
    st.just({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so it was"}]}),
    st.just({"type": "function_call", "name": "lamp", "call_id": "c1", "arguments": "{}"}),
    st.just({"type": "function_call_output", "call_id": "c1", "output": "on"}),
    st.just({"type": "message", "role": "user", "content": [{"type": "input_image"}]}),
)
RESPONSES = st.one_of(
    st.none(),
    st.just({"output_modalities": ["text"]}),
    st.just({"conversation": "none", "output_modalities": ["text"], "metadata": {"a": "b"}}),
    st.just({"conversation": "none", "input": [TEXT]}),
    st.just({"input": [{"type": "item_reference", "id": "$0"}], "max_output_tokens": 5}),
    st.just({"metadata": 7}),
)
UPDATES = st.sampled_from(
    [
        {"output_modalities": ["text"]},
        {"output_modalities": ["audio"]},
        {"audio": {"input": {"turn_detection": None}}},
        {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}},
        {"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}},
        {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "interrupt_response": False}}}},
        {"audio": {"input": {"transcription": {"model": "whisper-1"}}}},
        {"audio": {"output": {"format": {"type": "audio/pcmu"}}}},
        {"instructions": 7},
    ]
)


def event(type: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(type), **fields})


ASKED = st.one_of(
    event("session.update", session=UPDATES),
    event("input_audio_buffer.commit"),
    event("input_audio_buffer.clear"),
    event("output_audio_buffer.clear"),
    event("conversation.item.create", item=ITEMS, previous_item_id=st.none() | IDS),
    event("conversation.item.retrieve", item_id=IDS),
    event("conversation.item.delete", item_id=IDS),
    event("conversation.item.truncate", item_id=IDS, content_index=st.just(0), audio_end_ms=st.integers(0, 1200)),
    event("response.create", response=RESPONSES),
    event("response.cancel"),
)
STEPS = st.lists(
    st.one_of(
        ASKED.map(lambda asked: ("ask", asked)),
        st.integers(100, 1500).map(lambda ms: ("speak", ms)),
        st.integers(20, 2500).map(lambda ms: ("wait", ms)),
        st.integers(0, 300).map(lambda ms: ("append", ms)),
    ),
    min_size=1,
    max_size=30,
)


def _named(talk: RealtimeTalk, frame: str) -> str:
    told = [event["item"]["id"] for event in talk.of("conversation.item.added")]
    for number in range(3):
        frame = frame.replace(f"${number}", told[-1 - number] if number < len(told) else "nothing")
    spoken = talk.of("response.output_audio.delta")
    return frame.replace("$spoken", spoken[-1]["item_id"] if spoken else "nothing")


def walk(talk: RealtimeTalk, steps: list[tuple[str, Any]], every: int = 1) -> None:
    at_s = 0.0
    for number, (what, value) in enumerate(steps):
        match what:
            case "ask":
                talk.put(_named(talk, json.dumps(value)))
            case "append":
                talk.append(value)
            case "speak":
                began_s = max(at_s, talk.now) + 0.01
                talk.speak((began_s, began_s + value / 1000, "what then"))
                at_s = began_s + value / 1000 + 0.2
                talk.run(at_s - 0.15)
            case "wait":
                talk.run(talk.now + value / 1000)
        if every and number % every == 0:
            check(talk, settled=False)
    talk.run(talk.now + 3)
    talk.put(json.dumps({"type": "response.cancel"}))
    talk.run(talk.now + 70)
    check(talk)


@settings(max_examples=50, deadline=None)
@given(steps=STEPS, words=st.integers(0, 60), slow=st.booleans())
def test_whatever_is_asked_the_lifecycle_holds(steps: list[tuple[str, Any]], words: int, slow: bool) -> None:
    delays = Delays(stt=0.4, first_token=0.5, tts=0.4) if slow else Delays()
    walk(RealtimeTalk(lambda asked: "word and more. " * words, delays=delays), steps)


@settings(max_examples=20, deadline=None)
@given(steps=STEPS)
def test_a_transcription_session_never_answers(steps: list[tuple[str, Any]]) -> None:
    talk = RealtimeTalk(kind="transcription")
    walk(talk, steps)
    assert not talk.of("response.created")


def _likely(dice: random.Random) -> tuple[str, Any]:
    """A step of a client that mostly knows what it does."""
    name = f"${dice.randrange(3)}"
    asks: list[dict[str, Any]] = [
        {"type": "response.create"},
        {"type": "response.create", "response": {"conversation": "none", "output_modalities": ["text"]}},
        {"type": "response.create", "response": {"output_modalities": [dice.choice(["text", "audio"])]}},
        {"type": "conversation.item.create", "item": TEXT, "previous_item_id": dice.choice([None, "root", name])},
        {"type": "conversation.item.delete", "item_id": name},
        {"type": "conversation.item.retrieve", "item_id": name},
        {
            "type": "conversation.item.truncate",
            "item_id": "$spoken",
            "content_index": 0,
            "audio_end_ms": dice.randrange(900),
        },
        {"type": "response.cancel"},
        {"type": "session.update", "session": {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}},
        {"type": "session.update", "session": {"output_modalities": [dice.choice(["text", "audio", "audio"])]}},
    ]
    kind = dice.choices(["ask", "speak", "wait"], [3, 2, 4])[0]
    values = {"ask": dice.choice(asks), "speak": dice.randrange(150, 1500), "wait": dice.randrange(50, 4000)}
    return kind, values[kind]


@pytest.mark.parametrize("seed", range(4))
def test_long_conversations(seed: int) -> None:
    dice = random.Random(seed)
    talk = RealtimeTalk(lambda asked: "and so it went on. " * dice.randrange(12))
    walk(talk, [_likely(dice) for _ in range(200)], every=50)
    seen = Counter(talk.kinds)
    for kind in ("conversation.item.deleted", "conversation.item.truncated", "conversation.item.retrieved"):
        assert seen[kind], f"the walk met no {kind}"
    assert seen["response.done"] > 20


LAMP = {"type": "function", "name": "lamp", "parameters": {"type": "object", "properties": {}}}


def _told_of(talk: RealtimeTalk) -> list[str]:
    """The items of the conversation in the order that the events give them."""
    items: list[str] = []
    for said in talk.events:
        if said["type"] == "conversation.item.added":
            before = said["previous_item_id"]
            items.insert(items.index(before) + 1 if before is not None else 0, said["item"]["id"])
        elif said["type"] == "conversation.item.deleted":
            items.remove(said["item_id"])
    return items


@pytest.mark.parametrize("seed", range(8))
def test_the_client_knows_every_item_and_its_place(seed: int) -> None:
    """Also of replies that are words and a call, and of those that are cut off before their first word."""
    dice = random.Random(seed)
    numbers = itertools.count()

    def answer(asked: str) -> str | tuple[str | ToolCall, ...]:
        call = ToolCall(f"call_{next(numbers)}", "lamp", "{}")
        replies = ("and so it went on. " * dice.randrange(12), (call,), ("one moment", call))
        return dice.choices(replies, (6, 1, 1))[0]

    talk = RealtimeTalk(answer, tools=[LAMP])
    walk(talk, [_likely(dice) for _ in range(120)], every=0)
    assert _told_of(talk) == [item.id for item in talk.machine.history.items]
