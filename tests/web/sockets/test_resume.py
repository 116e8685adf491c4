"""Connections that are cut, over real sockets: the conversation stands still and goes on where it was."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import socket as sockets
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
import psutil
import pytest

from tests.bench.utterances import RATE_HZ, quiet, utterances
from tests.parley_process import running_parley
from tests.scripted.process import ScriptedProcess
from tests.web.house import House, house

OUT_HZ = 16_000
FRAME = 320
BINARY = {"input_rate": RATE_HZ, "output_format": "pcm", "sample_rate": OUT_HZ, "binary_audio": True}
STORY = "Once upon a time there was a little house by the sea, and nobody lived in it but an old clock."
Samples = npt.NDArray[np.int16]


@pytest.fixture
async def home(tmp_path: Path, service: ScriptedProcess) -> AsyncIterator[House]:
    config = service.parley_config('[llm]\nmodel = "none"\n[voice]\nresume_grace_s = 2.0\n')
    async with house(tmp_path, config) as found:
        yield found


class Client:
    """Receives in the background; `audio` are the samples of each reply that came over this connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []
        self.audio: dict[str, list[Samples]] = {}
        self.code: int | None = None
        self._reply = ""
        self._task = asyncio.create_task(self._receive())

    async def _receive(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.audio[self._reply].append(np.frombuffer(message.data, "<i2"))
            elif message.type is aiohttp.WSMsgType.TEXT:
                body = json.loads(message.data)
                if body["type"] == "audio" and body.get("binary"):
                    self._reply = body["reply"]
                    self.audio.setdefault(self._reply, [])
                self.messages.append(body)
        self.code = self.socket.close_code

    async def wait(self, kind: str, within_s: float = 60.0, **fields: Any) -> dict[str, Any]:
        for _ in range(int(within_s / 0.01)):
            for message in self.messages:
                if message["type"] == kind and all(message.get(key) == value for key, value in fields.items()):
                    return message
            await asyncio.sleep(0.01)
        raise AssertionError(f"no {kind} {fields} in {[m['type'] for m in self.messages]}")

    def samples(self, reply: str = "reply-1") -> Samples:
        return np.concatenate([np.zeros(0, np.int16), *self.audio.get(reply, [])])

    async def wait_samples(self, count: int) -> None:
        while len(self.samples()) < count:
            await asyncio.sleep(0.01)

    async def cut(self) -> None:
        """No close frame: the cable is pulled."""
        transport = self.socket._response.connection.transport  # type: ignore[union-attr]
        assert transport is not None
        raw = transport.get_extra_info("socket")
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        transport.abort()
        await asyncio.wait_for(self._task, 60)

    async def leave(self) -> None:
        await self.socket.send_json({"type": "close"})
        await asyncio.wait_for(self._task, 60)


def same(one: Samples, other: Samples) -> bool:
    """Sample by sample; the resampler rounds a little differently where the voice's chunks begin."""
    return len(one) == len(other) and int(np.abs(one.astype(int) - other.astype(int)).max()) <= 2


async def _open(home: House, **body: Any) -> str:
    async with home.client.post("/v1/audio/live", json={"audio_config": BINARY, **body}) as response:
        assert response.status == 200, await response.text()
        return str((await response.json())["websocket_url"])


async def _connect(home: House, url: str) -> Client:
    client = Client(await home.client.ws_connect(url))
    await client.wait("ready")
    return client


async def _whole(home: House) -> Samples:
    """The reply as a client hears it whose connection holds."""
    client = await _connect(home, await _open(home))
    await client.socket.send_json({"type": "end_turn", "transcript": "tell me a story"})
    await client.wait("turn_complete")
    await client.leave()
    return client.samples()


@pytest.mark.parametrize(("by_message_alone", "played_of_10"), [(False, 9), (True, 10)])
async def test_a_reply_goes_on_from_the_very_sample(
    home: House, service: ScriptedProcess, by_message_alone: bool, played_of_10: int
) -> None:
    service.script(replies=[STORY], tts_ms_per_character=25)
    whole = await _whole(home)
    url = await _open(home)
    first = await _connect(home, url)
    begun_s = time.monotonic()
    await first.socket.send_json({"type": "end_turn", "transcript": "tell me a story"})
    await first.wait_samples(OUT_HZ)
    await first.cut()
    await asyncio.sleep(0.6)
    played = first.samples()[: len(first.samples()) * played_of_10 // 10]  # the rest was in the buffer still
    position = {"type": "resume", "reply": "reply-1", "ms": 1000 * len(played) / OUT_HZ}
    if by_message_alone:
        second = Client(await home.client.ws_connect(url))
        await second.socket.send_json(position)
    else:
        second = await _connect(home, url + "?resume=1")
        await second.socket.send_json(position)
    ready = await second.wait("ready")
    assert ready["resumed"] is True and ready["state"] == "speaking"
    assert ready["reply"]["id"] == "reply-1" and 0 < ready["reply"]["ms"] <= 1000 * len(first.samples()) / OUT_HZ
    turn = await second.wait("turn_complete")
    assert same(np.concatenate((played, second.samples())), whole), "a sample lost, or sent twice"
    assert not turn["interrupted"] and turn["heard_transcript"] == STORY
    told = "".join(m["text"] for client in (first, second) for m in client.messages if m["type"] == "text")
    assert told.split() == STORY.split(), "text lost, or told twice"
    took_ms = 1000 * (time.monotonic() - begun_s)
    assert turn["latency"]["done"] < took_ms - 300, "the time away is not the answer's"
    await second.leave()


async def test_the_text_goes_on_from_the_very_word(home: House, service: ScriptedProcess) -> None:
    """`ready` says what was told; what was written meanwhile follows it, and is not in it, too."""
    service.script(replies=[STORY], tokens_per_s=25, tts_ms_per_character=60)
    url = await _open(home)
    first = await _connect(home, url)
    await first.socket.send_json({"type": "end_turn", "transcript": "tell me a story"})
    await first.wait("text")
    await first.cut()
    await asyncio.sleep(0.5)
    second = await _connect(home, url + "?resume=1")
    await second.socket.send_json({"type": "resume", "reply": "", "ms": 0})
    await second.wait("turn_complete")
    told = (await second.wait("ready"))["reply"]["text"]
    follows = [message["text"] for message in second.messages if message["type"] == "text"]
    assert told and "".join([told, *follows]) == STORY
    await second.leave()


async def test_a_client_that_says_nothing_goes_on_where_the_server_thinks_it_was(
    home: House, service: ScriptedProcess
) -> None:
    service.script(replies=[STORY], tts_ms_per_character=25)
    whole = await _whole(home)
    url = await _open(home)
    first = await _connect(home, url)
    await first.socket.send_json({"type": "end_turn", "transcript": "tell me a story"})
    await first.wait_samples(OUT_HZ)
    await first.cut()
    second = await _connect(home, url + "?resume=1")
    told = round((await second.wait("ready"))["reply"]["ms"] * OUT_HZ / 1000)
    await second.wait("turn_complete")
    rest = second.samples()
    assert abs(len(whole) - len(rest) - told) <= OUT_HZ // 1000
    assert same(rest, whole[-len(rest) :])
    await second.leave()


async def test_what_was_heard_is_not_sent_again_where_the_next_answer_has_not_begun(
    home: House, service: ScriptedProcess
) -> None:
    service.script(replies=[STORY, "It was late."], tts_ms_per_character=5)
    url = await _open(home)
    first = await _connect(home, url)
    await first.socket.send_json({"type": "end_turn", "transcript": "tell me a story"})
    await first.wait("turn_complete")
    service.script(first_token_ms=2000)
    await first.socket.send_json({"type": "end_turn", "transcript": "and what time was it"})
    await first.wait("transcript", text="and what time was it")
    await first.cut()
    second = await _connect(home, url + "?resume=1")
    assert (await second.wait("ready"))["reply"]["id"] == "reply-2"
    await second.socket.send_json({"type": "resume", "reply": "reply-2", "ms": 0})
    turn = await second.wait("turn_complete")
    assert turn["heard_transcript"] == "It was late."
    assert len(second.samples("reply-2")) and not len(second.samples("reply-1"))
    await second.leave()


async def test_a_resume_that_comes_late_is_told_when_it_counts(home: House) -> None:
    client = await _connect(home, await _open(home))
    await client.socket.send_json({"type": "ping"})
    await client.socket.send_json({"type": "resume", "reply": "", "ms": 0})
    error = await client.wait("error")
    assert error["code"] == "nothing_to_resume" and "first message" in error["hint"]
    await client.leave()


async def test_a_sentence_cut_in_the_middle_is_heard_whole_and_once(home: House, service: ScriptedProcess) -> None:
    [said] = utterances(1)
    long_s = (said.last - said.first) / RATE_HZ
    lengths = [(long_s - 0.2, "too short"), (long_s + 0.7, "whole"), (999, "too long")]
    service.script(replies=["Yes."], transcripts_by_length=lengths)
    samples = np.concatenate([quiet(0.3), said.pcm, quiet(2.0)]).astype("<i2")
    url = await _open(home)
    first = await _connect(home, url)
    cut_at = (round(0.3 * RATE_HZ) + (said.first + said.last) // 2) // FRAME * FRAME
    for start in range(0, cut_at, FRAME):
        await first.socket.send_bytes(samples[start : start + FRAME].tobytes())
        await asyncio.sleep(0.005)
    await first.wait("speech_started")
    await first.cut()
    await asyncio.sleep(1.7)  # longer than any silence that ends a turn, and than the microphone may stall
    second = await _connect(home, url + "?resume=1")
    ready = await second.wait("ready")
    assert ready["resumed"] is True and ready["state"] == "hearing" and ready["reply"] is None
    has = ready["input"]["samples"]
    assert 0 < has <= cut_at
    await second.socket.send_json({"type": "resume", "reply": "", "ms": 0})
    for start in range(has, len(samples), FRAME):
        await second.socket.send_bytes(samples[start : start + FRAME].tobytes())
        await asyncio.sleep(0.005)
    turn = await second.wait("turn_complete")
    kinds = [message["type"] for message in first.messages + second.messages]
    assert kinds.count("speech_started") == kinds.count("speech_stopped") == kinds.count("turn_complete") == 1
    assert turn["input_transcript"] == "whole", "audio was lost, or used twice"
    await second.leave()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg makes the WebM")
@pytest.mark.parametrize("recorder_anew", [False, True])
async def test_a_webm_stream_goes_on(home: House, service: ScriptedProcess, recorder_anew: bool) -> None:
    """A browser's MediaRecorder, that is kept running or started again; the answer is Opus, too."""
    [said] = utterances(1)
    long_s = (said.last - said.first) / RATE_HZ
    lengths = [(long_s - 0.2, "too short"), (long_s + 0.9, "whole"), (999, "too long")]
    service.script(replies=["Yes."], transcripts_by_length=lengths)
    samples = np.concatenate([quiet(0.3), said.pcm, quiet(2.0)]).astype(np.int16)
    cut_at = round(0.3 * RATE_HZ) + (said.first + said.last) // 2
    if recorder_anew:
        before, after = _webm(samples[:cut_at]), _webm(samples[cut_at:])
    else:
        whole = _webm(samples)
        half = len(whole) * cut_at // len(samples)
        before, after = whole[:half], whole[half:]
    audio = {"input_format": "webm", "output_format": "opus"}
    url = await _open(home, audio_config=audio)
    first = await _connect(home, url)
    await _send_webm(first, before)
    await first.wait("speech_started")
    await first.cut()
    second = await _connect(home, url + "?resume=1")
    assert (await second.wait("ready"))["input"]["bytes"] == len(before)
    await second.socket.send_json({"type": "resume", "reply": "", "ms": 0})
    await _send_webm(second, after)
    turn = await second.wait("turn_complete")
    assert turn["input_transcript"] == "whole" and turn["heard_transcript"] == "Yes."
    assert not [m for m in second.messages if m["type"] == "error"]
    await second.leave()


def _webm(samples: Samples) -> bytes:
    raw = ["-f", "s16le", "-ar", str(RATE_HZ), "-ac", "1", "-i", "-"]
    command = ["ffmpeg", "-v", "error", *raw, "-c:a", "libopus", "-cluster_time_limit", "200", "-f", "webm", "-"]
    done = subprocess.run(command, input=samples.astype("<i2").tobytes(), capture_output=True, check=True, timeout=99)
    return done.stdout


async def _send_webm(client: Client, stream: bytes) -> None:
    for start in range(0, len(stream), 500):
        audio = base64.b64encode(stream[start : start + 500]).decode()
        await client.socket.send_json({"type": "audio", "audio": audio})
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("told_before_the_cut", [True, False])
async def test_a_tool_round_goes_on(home: House, service: ScriptedProcess, told_before_the_cut: bool) -> None:
    """Whether the call arrived before the connection was lost only the client knows: it is told of it again."""
    lamp = {"type": "function", "function": {"name": "lamp", "parameters": {"type": "object"}}}
    service.script(
        replies=["It is on."], tool_calls=[["lamp", "{}"]], first_token_ms=10 if told_before_the_cut else 300
    )
    url = await _open(home, llm_config={"tools": [lamp]})
    first = await _connect(home, url)
    await first.socket.send_json({"type": "end_turn", "transcript": "light on"})
    if told_before_the_cut:
        await first.wait("tool_call")
    else:
        await first.wait("state", state="thinking")
    await first.cut()
    await asyncio.sleep(0.6)
    second = await _connect(home, url + "?resume=1")
    ready = await second.wait("ready")
    await second.socket.send_json({"type": "resume", "reply": "", "ms": 0})
    call = ready["tool_calls"][0] if told_before_the_cut else await second.wait("tool_call")
    assert call["name"] == "lamp" and len(ready["tool_calls"]) == told_before_the_cut
    await second.socket.send_json({"type": "tool_result", "call_id": call["call_id"], "output": "done"})
    turn = await second.wait("turn_complete")
    assert turn["tools_called"] == ["lamp"] and turn["heard_transcript"] == "It is on."
    await second.leave()


@pytest.mark.parametrize("crash", [False, True])
async def test_a_restart_keeps_what_was_said(tmp_path: Path, service: ScriptedProcess, crash: bool) -> None:
    """A server that is ended writes down what was heard; one that crashes has written down the question."""
    service.script(replies=[STORY], tts_ms_per_character=40)
    config = service.parley_config('[llm]\nmodel = "none"\n')
    with running_parley(tmp_path, config=config) as server:
        async with aiohttp.ClientSession(server.base_url, headers=server.headers) as http:
            async with http.post("/v1/audio/live", json={"audio_config": BINARY}) as response:
                url = str((await response.json())["websocket_url"])
            client = Client(await http.ws_connect(url))
            await client.socket.send_json({"type": "end_turn", "transcript": "tell me a story"})
            await asyncio.wait_for(client.wait_samples(OUT_HZ), 60)
            os.kill(server.pid, signal.SIGKILL if crash else signal.SIGTERM)
            await asyncio.wait_for(client._task, 60)
            assert client.code == (1006 if crash else 1012)
            async with asyncio.timeout(60):
                while psutil.Process(server.pid).status() != psutil.STATUS_ZOMBIE:
                    await asyncio.sleep(0.01)
    with running_parley(tmp_path, config=config) as server:
        async with aiohttp.ClientSession(server.base_url, headers=server.headers) as http:
            client = Client(await http.ws_connect(url + "?resume=1"))
            assert (await client.wait("ready"))["resumed"] is False
            await client.socket.send_json({"type": "resume", "reply": "reply-1", "ms": 900})
            assert (await client.wait("error"))["code"] == "nothing_to_resume"
            async with http.get(url.replace("/ws/", "/")) as response:
                history = (await response.json())["history"]
            assert history[0]["content"] == "tell me a story" and STORY.startswith(history[1]["content"])
            assert bool(history[1]["content"]) == history[1]["interrupted"] == (not crash)
            await client.leave()


async def test_a_newer_connection_takes_over_in_the_middle_of_a_reply(home: House, service: ScriptedProcess) -> None:
    """The old one is not dead: a phone changed networks, and nobody has noticed yet."""
    service.script(replies=[STORY], tts_ms_per_character=25)
    url = await _open(home)
    first = await _connect(home, url)
    await first.socket.send_json({"type": "end_turn", "transcript": "tell me a story"})
    await first.wait_samples(OUT_HZ // 2)
    second = await _connect(home, url + "?resume=1")
    assert (await second.wait("ready"))["resumed"] is True
    await second.socket.send_json({"type": "resume", "reply": "reply-1", "ms": 250})
    await asyncio.wait_for(first._task, 60)
    assert first.code == 4001
    turn = await second.wait("turn_complete")
    assert turn["heard_transcript"] == STORY
    assert len(second.samples()) > OUT_HZ
    await second.leave()


async def test_after_the_grace_the_conversation_begins_anew_and_remembers_what_was_heard(
    home: House, service: ScriptedProcess
) -> None:
    service.script(replies=[STORY], tts_ms_per_character=25)
    url = await _open(home, resume_grace_s=0.3)
    first = await _connect(home, url)
    await first.socket.send_json({"type": "end_turn", "transcript": "tell me a story"})
    await first.wait_samples(OUT_HZ)
    await first.cut()
    for _ in range(6000):
        if home.services.ears.statistics().ears == 0:
            break
        await asyncio.sleep(0.01)
    assert home.services.ears.statistics().ears == 0 and home.services.hub.live == 0
    second = await _connect(home, url + "?resume=1")
    assert (await second.wait("ready"))["resumed"] is False
    await second.socket.send_json({"type": "resume", "reply": "reply-1", "ms": 900})
    error = await second.wait("error")
    assert error["code"] == "nothing_to_resume" and error["hint"]
    async with home.client.get(url.replace("/ws/", "/")) as response:
        [asked, told] = (await response.json())["history"]
    assert asked["content"] == "tell me a story"
    assert told["interrupted"] and STORY.startswith(told["content"]) and 0 < len(told["content"]) < len(STORY)
    await second.leave()


async def test_a_plain_connection_begins_anew(home: House, service: ScriptedProcess) -> None:
    service.script(replies=[STORY, "Yes."], tts_ms_per_character=25)
    url = await _open(home)
    first = await _connect(home, url)
    await first.socket.send_json({"type": "end_turn", "transcript": "tell me a story"})
    await first.wait_samples(OUT_HZ // 2)
    await first.cut()
    second = await _connect(home, url)
    assert "resumed" not in await second.wait("ready")
    await second.socket.send_json({"type": "end_turn", "transcript": "are you there"})
    turn = await second.wait("turn_complete")
    assert turn["input_transcript"] == "are you there" and turn["reply"] == "reply-1"
    await second.leave()


async def test_ending_a_session_that_stands_still(home: House) -> None:
    url = await _open(home)
    first = await _connect(home, url)
    await first.cut()
    async with home.client.delete(url.replace("/ws/", "/")) as response:
        assert response.status == 200
    async with home.client.ws_connect(url + "?resume=1") as socket:
        message = await socket.receive(timeout=60)
        assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 4004
    for _ in range(6000):
        if home.services.ears.statistics().ears == 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the session stands still for ever")
