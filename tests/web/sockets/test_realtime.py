"""/v1/realtime and its REST side in the test's own process: keys of a short life, ends of sessions, faults."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.scripted.process import ScriptedProcess
from tests.web.house import House
from tests.web.house import house as open_house
from tests.web.moved_clock import MovedClock
from web.client_secrets import MOST_SECRETS, ClientSecrets, TooManySecrets
from web.keys import AdminKey, KeyRing

PATH = "/v1/realtime?model=gpt-realtime"
HI = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}


async def _until(socket: aiohttp.ClientWebSocketResponse, wanted: str) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["type"] != wanted:
        message = await socket.receive(timeout=60)
        assert message.type is aiohttp.WSMsgType.TEXT, (message, seen)
        seen.append(json.loads(message.data))
    return seen


def _kept(home: House) -> list[Path]:
    return list((home.services.settings.home / "sessions").glob("*.json"))


async def test_a_turn_and_nothing_is_left(home: House) -> None:
    async with home.client.ws_connect(PATH) as socket:
        await socket.send_json({"type": "session.update", "session": {"output_modalities": ["text"]}})
        await socket.send_json({"type": "conversation.item.create", "item": HI})
        await socket.send_json({"type": "response.create"})
        done = (await _until(socket, "response.done"))[-1]["response"]
        assert done["status"] == "completed" and len(_kept(home)) == 1
    async with asyncio.timeout(60):
        while home.services.hub.live or _kept(home):
            await asyncio.sleep(0.01)


async def test_a_session_ends_when_its_time_is_over(tmp_path: Path, service: ScriptedProcess) -> None:
    config = service.parley_config('[llm]\nmodel = "none"\n[voice.realtime]\nsession_minutes = 0.01\n')
    async with open_house(tmp_path, config) as home, home.client.ws_connect(PATH) as socket:
        error = (await _until(socket, "error"))[-1]["error"]
        assert error["code"] == "session_expired"
        assert (await socket.receive(timeout=60)).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1001


async def test_a_model_that_fails_fails_the_response_and_no_more(home: House, service: ScriptedProcess) -> None:
    service.script(llm_fault={"kind": "error", "status": 500, "times": 1}, replies=["Back again."])
    async with home.client.ws_connect(PATH) as socket:
        await socket.send_json({"type": "session.update", "session": {"output_modalities": ["text"]}})
        await socket.send_json({"type": "conversation.item.create", "item": HI})
        await socket.send_json({"type": "response.create"})
        seen = await _until(socket, "response.done")
        failed = seen[-1]["response"]
        assert failed["status"] == "failed" and failed["status_details"]["error"]["code"]
        assert [event["error"]["type"] for event in seen if event["type"] == "error"] == ["server_error"]
        await socket.send_json({"type": "response.create"})
        done = (await _until(socket, "response.done"))[-1]["response"]
        assert done["output"][0]["content"][0]["text"] == "Back again."


async def test_a_voice_that_fails_fails_the_response_and_nothing_counts_as_heard(
    home: House, service: ScriptedProcess
) -> None:
    service.script(tts_fault={"kind": "error", "status": 500, "times": -1})
    async with home.client.ws_connect(PATH) as socket:
        await socket.send_json({"type": "conversation.item.create", "item": HI})
        await socket.send_json({"type": "response.create"})
        failed = (await _until(socket, "response.done"))[-1]["response"]
        assert failed["status"] == "failed" and failed["status_details"]["error"]["code"] == "tts_failed"
        (item,) = failed["output"]
        assert item["status"] == "incomplete" and item["content"][0]["transcript"] == ""
    service.reset()


async def test_a_recogniser_that_fails_fails_the_transcript(home: House, service: ScriptedProcess) -> None:
    service.script(stt_fault={"kind": "error", "status": 500})
    async with home.client.ws_connect("/v1/realtime?intent=transcription") as socket:
        update = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
        await socket.send_json({"type": "session.update", "session": update})
        tone = base64.b64encode(bytes([0, 16] * 24_000)).decode()
        await socket.send_json({"type": "input_audio_buffer.append", "audio": tone})
        await socket.send_json({"type": "input_audio_buffer.commit"})
        seen = await _until(socket, "conversation.item.input_audio_transcription.failed")
        assert seen[-1]["error"]["code"] == "stt_failed"


async def test_odd_bytes_are_no_samples(home: House) -> None:
    async with home.client.ws_connect(PATH) as socket:
        audio = base64.b64encode(b"abc").decode()
        await socket.send_json({"type": "input_audio_buffer.append", "audio": audio, "event_id": "odd"})
        error = (await _until(socket, "error"))[-1]["error"]
        assert (error["type"], error["code"], error["event_id"]) == ("invalid_request_error", "invalid_audio", "odd")


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "response.dance"},
        {"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"speed": 9}}}},
        {"type": "input_audio_buffer.append", "audio": "AAAA"},
    ],
    ids=lambda wrong: str(wrong["type"]),
)
async def test_a_client_may_be_wrong_often(home: House, wrong: dict[str, Any]) -> None:
    async with home.client.ws_connect(PATH) as socket:
        for _ in range(120):
            await socket.send_json(wrong)
        await socket.send_json({"type": "input_audio_buffer.clear"})
        assert len(await _until(socket, "input_audio_buffer.cleared")) >= 122


async def test_a_recording_by_consent_alone(home: House) -> None:
    """By the address, by the first update, by what an ephemeral key was made for; and never without."""
    folder = home.services.settings.home / "recordings"

    async def talk(query: str, *, update: dict[str, Any], headers: dict[str, str]) -> bool:
        async with home.client.ws_connect(PATH + query, headers=headers) as socket:
            session = {"output_modalities": ["text"], **update}
            await socket.send_json({"type": "session.update", "session": session})
            await socket.send_json({"type": "conversation.item.create", "item": HI})
            await socket.send_json({"type": "response.create"})
            seen = await _until(socket, "response.done")
            return bool(next(event for event in seen if event["type"] == "session.updated")["session"]["record"])

    async with home.client.post("/v1/realtime/client_secrets", json={"session": {"record": True}}) as response:
        made = await response.json()
    assert made["session"]["record"] is True
    key = {"Authorization": f"Bearer {made['value']}"}
    agreed: list[tuple[str, dict[str, Any], dict[str, str]]] = [
        ("&record=true", {}, {}),
        ("", {"record": True}, {}),
        ("", {}, key),
    ]
    for count, (query, update, headers) in enumerate(agreed, 1):
        assert await talk(query, update=update, headers=headers)
        async with asyncio.timeout(60):
            while len(files := [path for path in folder.glob("*.jsonl") if '"hi"' in path.read_text()]) < count:
                await asyncio.sleep(0.01)
        assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    assert not await talk("", update={}, headers={})
    assert not await talk("&record=false", update={}, headers=key)
    async with asyncio.timeout(60):
        while home.services.hub.live:
            await asyncio.sleep(0.01)
    assert len(list(folder.glob("*.jsonl"))) == len(agreed)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await home.client.ws_connect(PATH + "&record=perhaps")
    assert refused.value.status == 400


@pytest.mark.parametrize("beta", ["header", "subprotocol", ""])
async def test_who_asks_for_the_beta_gets_it(home: House, beta: str) -> None:
    headers = {"OpenAI-Beta": "realtime=v1"} if beta == "header" else {}
    protocols = ("realtime", "openai-beta.realtime-v1") if beta == "subprotocol" else ()
    async with home.client.ws_connect(PATH, headers=headers, protocols=protocols) as socket:
        session = (await _until(socket, "session.created"))[-1]["session"]
    assert ("modalities" in session) == bool(beta)
    assert ("output_modalities" in session) != bool(beta)


async def test_keys_of_a_short_life(home: House) -> None:
    body = {"session": {"type": "realtime", "audio": {"output": {"speed": 1.25}}, "instructions": "Whisper."}}
    async with home.client.post("/v1/realtime/client_secrets", json=body) as response:
        made = await response.json()
    assert response.status == 200 and made["value"].startswith("ek_")
    now = home.services.clock.wall().timestamp()
    assert 590 <= made["expires_at"] - now <= 601
    assert made["session"]["audio"]["output"]["speed"] == 1.25
    protocols = ("realtime", f"openai-insecure-api-key.{made['value']}")
    async with aiohttp.ClientSession(home.url) as nobody:
        async with nobody.ws_connect("/v1/realtime", protocols=protocols) as socket:
            assert socket.protocol == "realtime"
            session = (await _until(socket, "session.created"))[-1]["session"]
            assert (session["instructions"], session["audio"]["output"]["speed"]) == ("Whisper.", 1.25)
        for path in ("/v1/models", "/health/nothing", "/v1/audio/live/x"):
            async with nobody.get(path, headers={"Authorization": f"Bearer {made['value']}"}) as refused:
                assert refused.status == 401


@pytest.mark.parametrize(("path", "kind"), [("sessions", "modalities"), ("transcription_sessions", "turn_detection")])
async def test_the_beta_s_ways_to_a_key(home: House, path: str, kind: str) -> None:
    body = {"input_audio_format": "g711_ulaw"}
    async with home.client.post(f"/v1/realtime/{path}", json=body) as response:
        made = await response.json()
    assert made["input_audio_format"] == "g711_ulaw" and kind in made
    headers = {"Authorization": f"Bearer {made['client_secret']['value']}", "OpenAI-Beta": "realtime=v1"}
    async with (
        aiohttp.ClientSession(home.url) as nobody,
        nobody.ws_connect("/v1/realtime", headers=headers) as socket,
    ):
        seen = json.loads((await socket.receive(timeout=60)).data)
    assert seen["type"].endswith("session.created") and seen["session"]["input_audio_format"] == "g711_ulaw"


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"session": 7}, 400, "session"),
        ({"session": {"type": "dream"}}, 400, "session.type"),
        ({"session": {"type": "realtime", "model": "no-such-model"}}, 404, "model"),
        ({"session": {"tools": 7}}, 400, "session.tools"),
        ({"session": {"audio": {"input": {"format": {"type": "mp3"}}}}}, 400, "session.audio.input.format.type"),
        ({"expires_after": {"anchor": "created_at", "seconds": 5}}, 400, "expires_after.seconds"),
        ({"expires_after": {"anchor": "yesterday", "seconds": 50}}, 400, "expires_after.anchor"),
    ],
)
async def test_a_wrong_wish_for_a_key_names_its_field(
    home: House, body: dict[str, Any], status: int, param: str
) -> None:
    async with home.client.post("/v1/realtime/client_secrets", json=body) as response:
        error = (await response.json())["error"]
    assert (response.status, error["param"]) == (status, param)


@pytest.mark.parametrize("path", ["sessions", "transcription_sessions"])
@pytest.mark.parametrize(
    ("secret", "param"),
    [
        ("x", "client_secret"),
        ([], "client_secret"),
        ({"expires_after": 60}, "client_secret.expires_after"),
        ({"expires_after": {"seconds": 1}}, "client_secret.expires_after.seconds"),
    ],
)
async def test_a_wrong_wish_for_a_key_of_the_beta_names_its_field(
    home: House, path: str, secret: Any, param: str
) -> None:
    async with home.client.post(f"/v1/realtime/{path}", json={"client_secret": secret}) as response:
        error = (await response.json())["error"]
    assert (response.status, error["param"]) == (400, param)
    assert "instance of" not in error["message"]


@pytest.mark.parametrize("path", ["client_secrets", "sessions"])
async def test_null_in_the_wish_for_a_key_is_the_default(home: House, path: str) -> None:
    expiry = {"expires_after": {"anchor": None, "seconds": None}}
    body = expiry if path == "client_secrets" else {"client_secret": expiry}
    async with home.client.post(f"/v1/realtime/{path}", json=body) as response:
        assert response.status == 200


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"1e999"])
@pytest.mark.parametrize("path", ["client_secrets", "sessions", "transcription_sessions"])
async def test_a_session_that_could_not_be_written_again(home: House, path: str, number: bytes) -> None:
    body = b'{"session": {"prompt": {"id": %b}}, "input_audio_transcription": {"x": %b}}' % (number, number)
    async with home.client.post(f"/v1/realtime/{path}", data=body) as response:
        assert response.status == 400
        assert (await response.json())["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/v1/realtime", "/v1/realtime/calls", "/v1/realtime/calls/rtc_1/hangup"])
async def test_webrtc_is_refused_by_name(home: House, path: str) -> None:
    async with home.client.post(path, data=b"v=0", headers={"Content-Type": "application/sdp"}) as answer:
        error = (await answer.json())["error"]
    assert (answer.status, error["code"]) == (400, "not_supported")
    assert "WebSocket" in error["hint"]


def test_a_new_admin_key_takes_the_secrets_of_the_old_one_out_of_use() -> None:
    ring = KeyRing(AdminKey.of("sk-old"), local_key="sk-local")
    secrets = ClientSecrets(MovedClock(), lambda: ring.key_id)
    value, _ = secrets.make("me", {}, 60)
    assert secrets.find(value) is not None
    ring.replace(AdminKey.of("sk-new"))
    assert secrets.find(value) is None


@pytest.mark.parametrize("set_by_s", [0, 3600, -3600])
def test_secrets_expire_and_are_bounded(set_by_s: int) -> None:
    clock = MovedClock()
    secrets = ClientSecrets(clock)
    value, _ = secrets.make("me", {}, 60)
    clock.set_by_s = set_by_s
    assert secrets.find(value) is not None and secrets.find(value + "x") is None and secrets.find("sk-1") is None
    clock.seconds += 61
    assert secrets.find(value) is None
    for _ in range(MOST_SECRETS):
        secrets.make("me", {}, 60)
    with pytest.raises(TooManySecrets):
        secrets.make("me", {}, 60)
