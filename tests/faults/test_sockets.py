"""Clients that vanish, stall, flood or talk nonsense: the session ends or goes on, and nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import pytest

from tests.scripted.process import ScriptedProcess
from tests.web.house import House, house
from tests.web.raw_socket import frame, open_raw, read_to_end

LONG = " ".join(f"This is sentence number {number} of a very long answer." for number in range(60))


@pytest.fixture
def service(scripted_service: ScriptedProcess) -> ScriptedProcess:
    scripted_service.reset()
    scripted_service.script(first_token_ms=10, tokens_per_s=200, tts_delay_ms=10, replies=[LONG])
    return scripted_service


@pytest.fixture
async def home(tmp_path: Path, service: ScriptedProcess) -> AsyncIterator[House]:
    config = service.parley_config(
        '[llm]\nmodel = "none"\n[server]\nsend_timeout_s = 0.5\n[voice]\nresume_grace_s = 0\n'
    )
    async with house(tmp_path, config) as found:
        yield found


async def _open(home: House, **body: Any) -> str:
    async with home.client.post("/v1/audio/live", json=body) as response:
        assert response.status == 200
        return str((await response.json())["websocket_url"])


async def _eventually(holds: Callable[[], bool], what: str, within_s: float = 60.0) -> None:
    for _ in range(int(within_s / 0.02)):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(what)


def _settled(home: House) -> Callable[[], bool]:
    return lambda: home.services.hub.live == 0 and home.services.ears.statistics().ears == 0


# ---- gone -------------------------------------------------------------------------------------------------------


async def test_a_client_that_vanishes_in_the_middle_of_a_reply(home: House, service: ScriptedProcess) -> None:
    raw = await open_raw(home.url, await _open(home))
    await asyncio.get_running_loop().sock_sendall(
        raw, frame(json.dumps({"type": "end_turn", "transcript": "tell me a story"}).encode())
    )
    await _eventually(lambda: len(service.requests("tts")) > 1, "no reply began")
    # No close frame, no FIN: a reset, as when a phone loses its network and the system gives up.
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()
    await _eventually(_settled(home), "the session went on")
    await _eventually(
        lambda: all(record["end_s"] is not None for record in service.requests()), "a request was left open"
    )
    asked = len(service.requests())
    await asyncio.sleep(0.5)
    assert len(service.requests()) == asked, "somebody still works for a client that is gone"


async def test_a_client_that_reads_nothing_is_cut_off(home: House) -> None:
    raw = await open_raw(
        home.url,
        await _open(home, audio_config={"output_format": "pcm", "sample_rate": 48000, "binary_audio": True}),
        receive_buffer=4096,
    )
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(raw, frame(json.dumps({"type": "end_turn", "transcript": "go on"}).encode()))
    await _eventually(lambda: home.services.hub.live == 1, "never connected")

    async def flood() -> None:
        # Every change is answered with the whole configuration, far faster than anything that is paced by speech: the
        # system's own buffer, megabytes, is soon full.
        changes = frame(b'{"type":"update","voice_config":{"speed":1.0}}') * 100
        try:
            while True:
                await loop.sock_sendall(raw, changes)
        except OSError:
            return

    flooding = asyncio.create_task(flood())
    await _eventually(_settled(home), "a client that does not read still has its session")
    flooding.cancel()
    await asyncio.gather(flooding, return_exceptions=True)
    raw.close()
    await _still_well(home)


async def test_a_client_that_only_opens_the_door(home: House) -> None:
    parts = urlsplit(home.url)
    idle = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(20)]
    idle[0][1].write(b"POST /v1/audio/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{")
    await idle[0][1].drain()
    await _still_well(home)
    for _, writer in idle:
        writer.close()
        await writer.wait_closed()


# ---- nonsense ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "{",
        "[]",
        "null",
        '"ping"',
        "{}",
        '{"type": 5}',
        '{"type": "no-such-type"}',
        '{"type": "audio"' + ', "x": {"y": ' * 2000,
        '{"type": "audio", "audio": "%%%"}',
        '{"type": "audio", "audio": 7}',
        '{"type": "played"}',
        '{"type": "played", "reply": "x", "ms": "soon"}',
        '{"type": "played", "reply": "x", "ms": -1e400}',
        '{"type": "update"}',
        '{"type": "update", "audio": {"input_rate": 3}}',
        '{"type": "update", "config": 4}',
        '{"type": "tool_result", "call_id": "none", "output": "x"}',
        b"\x00",
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    ],
)
async def test_nonsense_gets_an_error_and_the_session_goes_on(home: House, nonsense: str | bytes) -> None:
    async with home.client.ws_connect(await _open(home)) as client:
        if isinstance(nonsense, str):
            await client.send_str(nonsense)
        else:
            await client.send_bytes(nonsense)
        await client.send_json({"type": "ping"})
        seen = []
        while not seen or seen[-1]["type"] != "pong":
            seen.append(await client.receive_json(timeout=60))
        [error] = [message for message in seen if message["type"] == "error"]
        assert error["message"] and error["code"]


async def test_a_stream_of_nonsense_is_closed(home: House) -> None:
    async with home.client.ws_connect(await _open(home)) as client:
        for _ in range(200):
            await client.send_str("nonsense")
        while (message := await client.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert client.close_code == 1008
    await _eventually(_settled(home), "the session went on")


@pytest.mark.parametrize("binary", [True, False])
async def test_a_message_over_the_limit_is_named_and_closes(home: House, binary: bool) -> None:
    async with home.client.ws_connect(await _open(home), max_msg_size=0) as client:
        if binary:
            await client.send_bytes(b"\0" * (2**20 + 2))
        else:
            await client.send_str(json.dumps({"type": "end_turn", "transcript": "a" * 2**20}))
        errors = []
        while (message := await client.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT:
            said = json.loads(message.data)
            errors += [said] if said["type"] == "error" else []
        assert client.close_code == 1009
        assert errors and errors[0]["code"] == "message_too_large"


async def test_a_giant_message_is_not_even_held(home: House) -> None:
    async with home.client.ws_connect(await _open(home), max_msg_size=0) as client:
        sending = asyncio.create_task(client.send_bytes(b"\0" * (17 * 2**20)))
        while (message := await client.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    await _eventually(_settled(home), "the session went on")
    await _still_well(home)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(b"\xff\xfe\xfd", opcode=1), 1007),  # text that is no UTF-8
        (b"\x81\x05hello", 1002),  # a frame that is not masked
        (frame(b"x", opcode=3), 1002),  # an opcode that does not exist
        (frame(b"x" * 200, opcode=9), 1002),  # a ping that is too long
        (b"\xff" * 64, 1002),
    ],
)
async def test_broken_frames_close_the_connection(
    home: House, data: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    raw = await open_raw(home.url, await _open(home))
    await loop.sock_sendall(raw, data)

    told = await read_to_end(raw)
    raw.close()
    assert struct.pack("!H", code) in told[told.rindex(b"\x88") :]
    assert not [record for record in caplog.records if record.exc_info]
    await _eventually(_settled(home), "the session went on")


async def test_a_flood_of_audio_is_survived(home: House) -> None:
    """Ten minutes of noise at once: what the ears cannot take is lost, never held without end."""
    noise = np.random.default_rng(1).integers(-3000, 3000, 16000 * 30, np.int16).tobytes()
    async with home.client.ws_connect(await _open(home, turn_detection=None)) as client:
        for _ in range(20):
            await client.send_bytes(noise)
        await client.send_json({"type": "ping"})
        while (await client.receive_json(timeout=60))["type"] != "pong":
            pass
    await _eventually(_settled(home), "the session went on")


# ---- afterwards ---------------------------------------------------------------------------------------------------


async def _still_well(home: House) -> None:
    """Somebody else can talk."""
    async with home.client.ws_connect(await _open(home)) as client:
        await client.send_json({"type": "ping"})
        while (await client.receive_json(timeout=60))["type"] != "pong":
            pass
