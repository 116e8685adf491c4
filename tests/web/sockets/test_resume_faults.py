"""Connections that are cut again and again, at any moment, by clients that are honest and by clients that are not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from tests.scripted.process import ScriptedProcess
from tests.web.house import House, house
from tests.web.sockets.test_resume import OUT_HZ, Client, Samples, _connect, _open, _whole, same

STORY = "There was a house by the sea, and nobody lived in it."
PACE = {"tts_ms_per_character": 25}


@pytest.fixture
async def home(tmp_path: Path, service: ScriptedProcess) -> AsyncIterator[House]:
    config = service.parley_config('[llm]\nmodel = "none"\n[voice]\nresume_grace_s = 2.0\n')
    async with house(tmp_path, config) as found:
        yield found


async def _come_back(home: House, url: str, position: dict[str, Any] | None) -> tuple[Client, dict[str, Any]]:
    client = await _connect(home, url + "?resume=1")
    ready = await client.wait("ready")
    if position is not None:
        await client.socket.send_json({"type": "resume", **position})
    return client, ready


async def _cut_often(home: House, whole: Samples, chance: random.Random) -> None:
    """An honest client: what it played of the reply, over all its connections, is the reply."""
    url = await _open(home)
    client = await _connect(home, url)
    await client.socket.send_json({"type": "end_turn", "transcript": "tell me a story"})
    played = np.zeros(0, np.int16)
    for _ in range(4):
        if chance.random() < 0.75:
            await client.wait_samples(chance.randrange(OUT_HZ // 5))
        await client.cut()
        got = client.samples()
        if any(message["type"] == "turn_complete" for message in client.messages):
            break  # a slow machine: it was over before the cut
        played = np.concatenate((played, got[: chance.randint(0, min(len(got), OUT_HZ // 5))]))  # the rest: buffered
        if chance.random() < 0.3:  # a network that is back for a moment only: not a word is said on it
            blink = Client(await home.client.ws_connect(url + "?resume=1"))
            await blink.wait("ready")
            await blink.cut()
        position = {"reply": "reply-1" if len(played) else "", "ms": 1000 * len(played) / OUT_HZ}
        client, ready = await _come_back(home, url, position)
        assert ready["resumed"] is True
    turn = await client.wait("turn_complete")
    assert same(np.concatenate((played, client.samples())), whole), "a sample lost, or heard twice"
    assert not turn["interrupted"] and turn["heard_transcript"] == STORY
    async with home.client.get(url.replace("/ws/", "/")) as response:
        [asked, told] = (await response.json())["history"]
    assert (asked["content"], told["content"]) == ("tell me a story", STORY)
    await client.socket.close()


async def test_cut_again_and_again(home: House, service: ScriptedProcess) -> None:
    service.script(replies=[STORY], **PACE)
    whole = await _whole(home)
    async with asyncio.TaskGroup() as group:
        for seed in range(8):
            group.create_task(_cut_often(home, whole, random.Random(seed)))


LIES: list[list[dict[str, Any]]] = [
    [{"type": "resume", "reply": "reply-7", "ms": 400}],
    [{"type": "resume", "reply": "reply-1", "ms": 600_000}],
    [{"type": "resume", "reply": "reply-1", "ms": -5}],
    [{"type": "resume", "reply": 1, "ms": "x"}],
    [{"type": "resume", "reply": "reply-1", "ms": 100}, {"type": "resume", "reply": "reply-1", "ms": 50}],
    [{"type": "played", "reply": "reply-9", "ms": 900}, {"type": "played", "reply": "reply-1", "ms": 1}],
    [{"type": "played", "reply": "reply-1", "ms": 900_000}, {"type": "resume", "reply": "reply-1", "ms": 0}],
    [{"type": "truncate", "reply": "reply-1", "ms": 800_000}, {"type": "tool_result", "call_id": "x", "output": "y"}],
]


async def _lied_to(home: House, lies: list[dict[str, Any]]) -> None:
    """Whatever it says, the turn ends once, and nothing counts as heard that was not said."""
    url = await _open(home)
    first = await _connect(home, url)
    await first.socket.send_json({"type": "end_turn", "transcript": "tell me a story"})
    await first.wait_samples(OUT_HZ // 4)
    await first.cut()
    second, ready = await _come_back(home, url, None)
    assert ready["resumed"] is True
    for lie in lies:
        await second.socket.send_json(lie)
    turn = await second.wait("turn_complete")
    assert STORY.startswith(turn["heard_transcript"]) and len(turn["heard_transcript"]) > len(STORY) // 2, turn
    await second.socket.send_json({"type": "ping"})
    await second.wait("pong")
    kinds = [message["type"] for message in (*first.messages, *second.messages)]
    assert kinds.count("turn_complete") == 1
    await second.leave()


async def test_positions_and_reports_that_cannot_be(home: House, service: ScriptedProcess) -> None:
    service.script(replies=[STORY], **PACE)
    async with asyncio.TaskGroup() as group:
        for lies in LIES:
            group.create_task(_lied_to(home, lies))


@pytest.mark.parametrize("moment", ["transcribing", "tool", "filler"])
async def test_cut_while_somebody_else_works(home: House, service: ScriptedProcess, moment: str) -> None:
    lamp = {"type": "function", "function": {"name": "lamp", "parameters": {"type": "object"}}}
    tools = {"llm_config": {"tools": [lamp]}} if moment != "transcribing" else {}
    service.script(replies=["It is on."], stt_delay_ms=600, tool_calls=[["lamp", "{}"]] if tools else [], **PACE)
    url = await _open(home, **tools)
    client = await _connect(home, url)
    if moment == "transcribing":
        tone = (8000 * np.sin(np.arange(OUT_HZ) / 5)).astype("<i2")
        await client.socket.send_bytes(tone.tobytes())
        await client.socket.send_json({"type": "end_turn"})
        await client.wait("state", state="thinking")
    else:
        await client.socket.send_json({"type": "end_turn", "transcript": "light on"})
        call = await client.wait("tool_call")
    for _ in range(2):
        await client.cut()
        await asyncio.sleep(0.2 if moment == "tool" else 1.2)
        client, ready = await _come_back(home, url, {"reply": "", "ms": 0})
        assert ready["resumed"] is True
        if moment != "transcribing":
            assert [each["call_id"] for each in ready["tool_calls"]] == [call["call_id"]]
    if moment != "transcribing":
        await client.socket.send_json({"type": "tool_result", "call_id": call["call_id"], "output": "done"})
        await client.socket.send_json({"type": "tool_result", "call_id": call["call_id"], "output": "done twice"})
    turn = await client.wait("turn_complete")
    assert turn["heard_transcript"].endswith("It is on."), turn
    assert len(service.requests("llm")) == (1 if moment == "transcribing" else 2), "nothing is asked twice"
    assert [message for message in client.messages if message["type"] == "turn_complete"] == [turn]
    await client.leave()


async def test_a_token_opens_its_own_session_and_no_other(home: House) -> None:
    url = await _open(home)
    first = await _connect(home, url)
    for token in ("live-" + "A" * 32, url.rsplit("/", 1)[1][:-1], url.rsplit("/", 1)[1].swapcase()):
        async with home.client.ws_connect(f"/v1/audio/live/ws/{token}?resume=1") as socket:
            message = await socket.receive(timeout=60)
            assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 4004
    await first.socket.send_json({"type": "ping"})
    await first.wait("pong")
    await first.leave()
