"""Clients whose link stalls in the middle of a reply, while what they send still arrives: they have heard what their
own system took, whatever our clock says."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import socket
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from tests.scripted.process import ScriptedProcess
from tests.web.house import KEY, House, house
from tests.web.raw_socket import frame, open_raw

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what has arrived")

STORY = " ".join(f"The {thing} is gone and nobody has seen it." for thing in ("fox", "hen", "cat", "cow", "dog") * 3)
MS_PER_CHARACTER = 60
RATE_HZ = 24_000
STALL_S = 2.0


@pytest.fixture
async def home(tmp_path: Path, scripted_service: ScriptedProcess) -> AsyncIterator[House]:
    scripted_service.reset()
    scripted_service.script(
        first_token_ms=10, tokens_per_s=400, tts_delay_ms=10, tts_ms_per_character=MS_PER_CHARACTER, replies=[STORY]
    )
    config = scripted_service.parley_config('[llm]\nmodel = "none"\n')
    async with house(tmp_path, config) as found:
        yield found


class Link:
    """A client with a small buffer that reads when it is told to."""

    def __init__(self, raw: socket.socket, path: str) -> None:
        self.path = path
        self._raw, self._loop = raw, asyncio.get_running_loop()
        self._bytes = b""
        self._came_s = self._ends = 0.0

    async def say(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            await self._loop.sock_sendall(self._raw, frame(json.dumps(message).encode()))

    async def read(self, seconds: float) -> None:
        """Until so much audio of the reply has come; a loudspeaker plays it as it comes."""
        while (came_s := self.received_s) < seconds:
            now = self._loop.time()
            self._ends = max(self._ends, now) + came_s - self._came_s
            self._came_s = came_s
            piece = await asyncio.wait_for(self._loop.sock_recv(self._raw, 1024), 60)
            assert piece, "the server has closed the connection"
            self._bytes += piece

    @property
    def played_s(self) -> float:
        """What the loudspeaker has played by now, of what was read."""
        return self._came_s - max(0.0, self._ends - self._loop.time())

    def close(self) -> None:
        self._raw.close()

    @property
    def received_s(self) -> float:
        """Seconds of audio that were read, or that the system has taken and can be read."""
        waits = struct.unpack("i", fcntl.ioctl(self._raw, termios.FIONREAD, b"\0" * 4))[0]
        there = self._bytes + (self._raw.recv(waits, socket.MSG_PEEK) if waits else b"")
        return sum(map(_samples, _frames(there))) / RATE_HZ


def _frames(data: bytes) -> list[tuple[int, bytes]]:
    """(opcode, payload) of the server's frames; of the last one what is there."""
    found, at = [], 0
    while at + 2 <= len(data):
        opcode, length, at = data[at] & 15, data[at + 1], at + 2
        if length == 126:
            length, at = int.from_bytes(data[at : at + 2], "big"), at + 2
        elif length == 127:
            length, at = int.from_bytes(data[at : at + 8], "big"), at + 8
        found.append((opcode, data[at : at + length]))
        at += length
    return found


def _samples(each: tuple[int, bytes]) -> int:
    opcode, payload = each
    if opcode == 2:
        return len(payload) // 2
    _, is_delta, rest = payload.partition(b'"response.output_audio.delta"')
    _, _, audio = rest.partition(b'"delta":')
    coded = audio.strip(b' "').partition(b'"')[0]
    return len(base64.b64decode(coded[: len(coded) // 4 * 4])) // 2 if is_delta else 0


async def _live(home: House, grace_s: float = 0.0) -> Link:
    audio = {"output_format": "pcm", "sample_rate": RATE_HZ, "binary_audio": True}
    wishes = {"audio_config": audio, "resume_grace_s": grace_s}
    async with home.client.post("/v1/audio/live", json=wishes) as response:
        path = (await response.json())["websocket_url"]
    return Link(await open_raw(home.url, path, receive_buffer=4096), path)


async def _realtime(home: House) -> Link:
    headers = {"Authorization": f"Bearer {KEY}"}
    path = "/v1/realtime?model=scripted/any"
    return Link(await open_raw(home.url, path, receive_buffer=4096, headers=headers), path)


def _asks_live(words: str) -> list[dict[str, Any]]:
    return [{"type": "end_turn", "transcript": words}]


def _asks_realtime(words: str) -> list[dict[str, Any]]:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}
    return [{"type": "conversation.item.create", "item": item}, {"type": "response.create"}]


PROTOCOLS = [
    pytest.param(_live, _asks_live, "interrupt", id="live"),
    pytest.param(_realtime, _asks_realtime, "response.cancel", id="realtime"),
]


async def _remembered(service: ScriptedProcess, count: int) -> str:
    """What the model is told of the reply before its `count`th question."""
    with anyio.fail_after(60):
        while len(asked := service.requests("llm")) < count:
            await asyncio.sleep(0.05)
    messages = asked[count - 1]["request"]["messages"]
    said = [message["content"] for message in messages if message["role"] == "assistant"]
    return str(said[-1]).removesuffix("[INTERRUPTED BY USER]").strip() if said else ""


def _check(text: str, received_s: float) -> None:
    words, kept = STORY.split(), text.split()
    assert kept == words[: len(kept)]
    sounds = len(text) - text.count(". ")  # between two sentences there is no space in the audio
    assert sounds * MS_PER_CHARACTER / 1000 <= received_s + 0.04, f"{text!r} was not heard in {received_s:.2f} s"


@pytest.mark.parametrize(("connect", "asks", "stop"), PROTOCOLS)
async def test_what_a_stalled_link_holds_was_not_heard(
    home: House,
    scripted_service: ScriptedProcess,
    connect: Callable[[House], Any],
    asks: Callable[[str], list[dict[str, Any]]],
    stop: str,
) -> None:
    with closing(await connect(home)) as link:
        await link.say(*asks("tell me a story"))
        await link.read(1.0)
        await asyncio.sleep(STALL_S)
        received_s = link.received_s
        await link.say({"type": stop}, *asks("go on"))
        _check(await _remembered(scripted_service, 2), received_s)


async def test_after_a_stall_the_clock_is_that_of_what_came_late(
    home: House, scripted_service: ScriptedProcess
) -> None:
    with closing(await _live(home)) as link:
        await link.say(*_asks_live("tell me a story"))
        await link.read(1.0)
        await asyncio.sleep(STALL_S)
        await link.read(2.0)
        await link.say({"type": "interrupt"}, *_asks_live("go on"))
        heard = await _remembered(scripted_service, 2)
        _check(heard, link.played_s)


async def test_who_comes_back_after_a_stall_goes_on_where_the_link_had_come(
    home: House, scripted_service: ScriptedProcess
) -> None:
    with closing(await _live(home, grace_s=30.0)) as link:
        await link.say(*_asks_live("tell me a story"))
        await link.read(1.0)
        await asyncio.sleep(STALL_S)
        received_s, path = link.received_s, link.path
        async with home.client.ws_connect(f"{path}?resume=1") as client:
            ready = await client.receive_json(timeout=60)
            assert ready["resumed"] and ready["reply"]["ms"] / 1000 <= received_s
            await client.send_json({"type": "resume"})
            came, begun = 0, asyncio.get_running_loop().time()
            while came < 3 * RATE_HZ * 2:
                message = await client.receive(timeout=60)
                came += len(message.data) if message.type is aiohttp.WSMsgType.BINARY else 0
            await client.send_json({"type": "interrupt"})
            await client.send_json(_asks_live("go on")[0])
            heard = await _remembered(scripted_service, 2)
            _check(heard, ready["reply"]["ms"] / 1000 + asyncio.get_running_loop().time() - begun)
            await client.send_json({"type": "close"})


async def test_a_stalled_link_that_breaks_leaves_what_had_come_over_it(home: House) -> None:
    with closing(await _live(home)) as link:
        await link.say(*_asks_live("tell me a story"))
        await link.read(1.0)
        await asyncio.sleep(STALL_S)
        received_s = link.received_s
    token = link.path.rpartition("/")[2]
    with anyio.fail_after(60):
        while home.services.hub.live:
            await asyncio.sleep(0.02)
    async with home.client.get(f"/v1/audio/live/{token}") as response:
        history = (await response.json())["history"]
    (said,) = (each["content"] for each in history if each["role"] == "assistant")
    _check(said.removesuffix("[INTERRUPTED BY USER]").strip(), received_s)
