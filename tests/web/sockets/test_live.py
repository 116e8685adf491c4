"""Live sessions over REST and their WebSocket, with real ears and scripted speech services."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from tests.bench.utterances import RATE_HZ, quiet, utterances
from tests.scripted.process import ScriptedProcess
from tests.web.house import House
from tests.web.house import house as open_house
from web.keys import AdminKey

FRAME = 640


async def _open(home: House, **body: Any) -> dict[str, Any]:
    async with home.client.post("/v1/audio/live", json=body) as response:
        assert response.status == 200, await response.text()
        return dict(await response.json())


async def _until(socket: aiohttp.ClientWebSocketResponse, wanted: str) -> list[dict[str, Any]]:
    """Messages up to one of that type."""
    seen: list[dict[str, Any]] = []
    while True:
        message = await socket.receive(timeout=60)
        if message.type is aiohttp.WSMsgType.BINARY:
            continue
        assert message.type is aiohttp.WSMsgType.TEXT, (message, seen)
        seen.append(json.loads(message.data))
        if seen[-1]["type"] == wanted:
            return seen


async def test_a_typed_turn(home: House) -> None:
    opened = await _open(home)
    assert opened["session_token"].startswith("live-")
    assert opened["websocket_url"] == f"/v1/audio/live/ws/{opened['session_token']}"
    assert opened["expires_at"].endswith("+00:00")
    async with home.client.ws_connect(opened["websocket_url"]) as socket:
        ready = await _until(socket, "ready")
        assert ready[-1]["session_token"] == opened["session_token"]
        assert {"audio", "wake_word", "voice"} <= set(ready[-1]["config"])
        await socket.send_json({"type": "end_turn", "transcript": "what is the capital of france"})
        turn = (await _until(socket, "turn_complete"))[-1]
        assert turn["input_transcript"] == "what is the capital of france"
        assert turn["output_transcript"].startswith("The capital of France is Paris")
        assert turn["usage"]["tokens_out"] > 5
    async with home.client.get(f"/v1/audio/live/{opened['session_token']}") as response:
        seen = await response.json()
    assert seen["state"] in ("disconnected", "idle")
    assert [entry["role"] for entry in seen["history"]] == ["user", "assistant"]
    assert seen["turns"] == 1 and seen["usage"]["tokens_out"] == turn["usage"]["tokens_out"]


async def test_a_spoken_turn(home: House) -> None:
    opened = await _open(home, audio_config={"input_rate": RATE_HZ, "output_format": "pcm", "binary_audio": True})
    [said] = utterances(1)
    samples = np.concatenate([quiet(0.3), said.pcm, quiet(2.0)])
    async with home.client.ws_connect(opened["websocket_url"]) as socket:

        async def speak() -> None:
            for start in range(0, len(samples), FRAME):
                await socket.send_bytes(samples[start : start + FRAME].astype("<i2").tobytes())
                await asyncio.sleep(0.01)

        speaking = asyncio.create_task(speak())
        seen = await _until(socket, "turn_complete")
        await speaking
    kinds = [message["type"] for message in seen]
    for kind in ("speech_started", "speech_stopped", "transcript", "text", "audio"):
        assert kind in kinds
    assert seen[-1]["latency"]["first_audio_sent"] > 0


async def test_the_answer_is_spoken_before_the_model_has_finished(home: House, service: ScriptedProcess) -> None:
    story = "There was once a duck. " + "It swam and it sang and it slept. " * 20
    service.script(tokens_per_s=5, replies=[story])  # 36 s, of which the first sentence takes one
    opened = await _open(home)
    async with home.client.ws_connect(opened["websocket_url"]) as socket:
        await socket.send_json({"type": "end_turn", "transcript": "tell me a story"})
        await _until(socket, "audio")
        await socket.send_json({"type": "interrupt"})
        done = (await _until(socket, "turn_complete"))[-1]
    assert done["output_transcript"].startswith("There was once a duck.")
    assert len(done["output_transcript"]) < len(story) / 2
    assert done["usage"]["tokens_out"] >= 5


async def test_who_has_not_the_key_sees_nothing(home: House) -> None:
    token = (await _open(home))["session_token"]
    async with aiohttp.ClientSession(home.url) as stranger:
        for method, path in (("POST", "/v1/audio/live"), ("GET", f"/v1/audio/live/{token}")):
            async with stranger.request(method, path) as response:
                assert response.status == 401
                body = await response.json()
                assert body["detail"] and body["error"]["code"] == "invalid_api_key"
        async with stranger.delete(f"/v1/audio/live/{token}") as response:
            assert response.status == 401


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"audio_config": {"input_format": "flac"}}, "audio_config.input_format"),
        ({"audio_config": {"sample_rate": 7}}, "audio_config.sample_rate"),
        ({"audio_config": []}, "audio_config"),
        ({"session_ttl_minutes": 4}, "session_ttl_minutes"),
        ({"wake_word_config": {"enabled": True}}, "wake_word_config.words"),
        ({"llm_config": {"temperature": "hot"}}, "llm_config.temperature"),
        ({"llm_config": {"tools": [{"type": "browser"}]}}, "llm_config.tools[0]"),
    ],
)
async def test_a_wrong_configuration_names_its_field(home: House, body: dict[str, Any], param: str) -> None:
    async with home.client.post("/v1/audio/live", json=body) as response:
        assert response.status == 400
        answer = await response.json()
    assert answer["error"]["param"] == param
    assert answer["error"]["message"] in answer["detail"]


@pytest.mark.parametrize("data", [b"{", b"[]", b"nonsense", b'{"audio_config": NaN}', b'{"x": "\xed\xa0\x80"}'])
async def test_a_body_that_is_no_object(home: House, data: bytes) -> None:
    async with home.client.post("/v1/audio/live", data=data) as response:
        assert response.status == 400
        assert "detail" in await response.json()


async def test_without_a_model_that_answers_there_is_no_session(home: House) -> None:
    async with home.client.post("/v1/audio/live", json={"llm_config": {"model": "no-such-model"}}) as response:
        assert response.status == 503
        answer = await response.json()
    assert "no-such-model" in answer["error"]["message"] and "/v1/models" in answer["error"]["hint"]
    assert answer["detail"]


@pytest.mark.parametrize("token", ["live-unknown", "x", "live-" + "a" * 3000, "%00", "%F0%9F%98%80"])
async def test_an_unknown_token(home: House, token: str) -> None:
    async with home.client.get(f"/v1/audio/live/{token}") as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "session_not_found"
    async with home.client.delete(f"/v1/audio/live/{token}") as response:
        assert response.status == 404
    async with home.client.ws_connect(f"/v1/audio/live/ws/{token}") as socket:
        message = await socket.receive(timeout=60)
        assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 4004


async def test_a_session_has_one_connection_the_last_one(home: House) -> None:
    opened = await _open(home)
    async with home.client.ws_connect(opened["websocket_url"]) as first:
        await _until(first, "ready")
        async with home.client.ws_connect(opened["websocket_url"]) as second:
            await _until(second, "ready")
            while (message := await first.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 4001
            await second.send_json({"type": "ping"})
            await _until(second, "pong")
            assert home.services.hub.live == 1


async def test_ending_a_session_ends_its_connection(home: House) -> None:
    opened = await _open(home)
    async with home.client.ws_connect(opened["websocket_url"]) as socket:
        await _until(socket, "ready")
        async with home.client.delete(f"/v1/audio/live/{opened['session_token']}") as response:
            assert response.status == 200
        while (message := await socket.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 4004
    async with home.client.get(f"/v1/audio/live/{opened['session_token']}") as response:
        assert response.status == 404


async def test_a_new_admin_key_ends_the_sessions_of_the_old_one(tmp_path: Path, service: ScriptedProcess) -> None:
    """Whoever got hold of the old one is not to go on talking; nor are those who come to the server's next start."""
    async with open_house(tmp_path, service.parley_config()) as home:
        opened, left = await _open(home), await _open(home)
        async with home.client.ws_connect(opened["websocket_url"]) as socket:
            await _until(socket, "ready")
            home.services.keys.replace(AdminKey.of("sk-new"))
            await home.services.hub.end_outdated()
            while (message := await socket.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 4004
        anybody = aiohttp.ClientSession(home.url)
        async with anybody, anybody.ws_connect(left["websocket_url"]) as socket:
            assert (await socket.receive(timeout=60)).data == 4004
        headers = {"Authorization": "Bearer sk-new"}
        async with home.client.post("/v1/audio/live", json={}, headers=headers) as response:
            later = await response.json()
    async with open_house(tmp_path, service.parley_config()) as home:  # with the old key again
        async with home.client.ws_connect(later["websocket_url"]) as socket:
            assert (await socket.receive(timeout=60)).data == 4004


async def test_the_client_may_close_politely(home: House) -> None:
    opened = await _open(home)
    async with home.client.ws_connect(opened["websocket_url"]) as socket:
        await _until(socket, "ready")
        await socket.send_json({"type": "close"})
        while (message := await socket.receive(timeout=60)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 1000


async def test_a_session_outlives_the_server(tmp_path: Any, service: ScriptedProcess) -> None:
    config = service.parley_config('[llm]\nmodel = "none"\n')
    async with open_house(tmp_path, config) as before:
        opened = await _open(before)
        async with before.client.ws_connect(opened["websocket_url"]) as socket:
            await socket.send_json({"type": "end_turn", "transcript": "hello"})
            await _until(socket, "turn_complete")
    async with open_house(tmp_path, config) as after:
        async with after.client.ws_connect(opened["websocket_url"]) as socket:
            await _until(socket, "ready")
        async with after.client.get(f"/v1/audio/live/{opened['session_token']}") as response:
            assert (await response.json())["history"][0]["content"] == "hello"


async def test_health_is_open_and_tells_more_to_those_with_a_key(home: House) -> None:
    async with aiohttp.ClientSession(home.url) as stranger, stranger.get("/health") as response:
        assert response.status == 200
        shown = await response.json()
    assert shown["status"] == "ok" and shown["active_models"] and shown["timestamp"].endswith("+00:00")
    assert {part["stage"] for part in shown["parts"]} >= {"VAD", "STT", "LLM", "TTS"}
    assert "127.0.0.1" not in json.dumps(shown)
    async with home.client.get("/health") as response:
        assert "127.0.0.1" in await response.text()
    async with aiohttp.ClientSession(home.url) as stranger, stranger.get("/api/models") as response:
        assert {"id": "any", "type": "text", "status": "ready"} in (await response.json())["models"]


async def test_health_is_degraded_without_a_language_model(tmp_path: Any, service: ScriptedProcess) -> None:
    config = service.parley_config('[llm]\nmodel = "none"\n').replace('"scripted/any"', '"nobody/any"')
    async with open_house(tmp_path, config) as house, house.client.get("/health") as response:
        assert response.status == 200
        shown = await response.json()
    assert shown["status"] == "degraded"
    assert [part["stage"] for part in shown["parts"] if not part["ready"]] == ["LLM"]
