"""A server that logs everything, and is used and misused in every way: no secret and no word of anybody comes out.

Each secret is looked for in the log, in every answer (bodies, headers, sockets), and in every file of the data folder
but those that hold it: parley.toml, keys.json (hashes) and run/server.json, which is its owner's alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path
from typing import Any

import aiohttp

from tests.faults.sick_upstream import KEY, sick_upstream
from tests.parley_process import ADMIN_KEY, ParleyProcess, running_parley
from tests.scripted.process import ScriptedProcess

WRONG = "sk-a-wrong-key-0123456789"
PASSWORD, QUERY, HEADER = "a-password-4711", "a-key-in-a-query-42", "a-header-of-a-tool-99"
SPEECH = "the-key-of-the-recogniser-7"
OURS = (ADMIN_KEY, KEY, PASSWORD, QUERY, HEADER, SPEECH)
PROMPT, TYPED, SYSTEM = "zebraprompt", "walrustyped", "ocelotsystem"
REPLY = "Quokkareply"
WORDS = (PROMPT, TYPED, SYSTEM, REPLY)


def _config(scripted: ScriptedProcess, tells: str) -> str:
    with_password = tells.replace("http://", f"http://user:{PASSWORD}@")
    text = scripted.parley_config(f"""
[llm]
model = "none"

[[backends]]
name = "tells"
type = "openai"
base_url = "{tells}"
api_key = "{KEY}"

[[backends]]
name = "password"
type = "openai"
base_url = "{with_password}"

[[backends]]
name = "gone"
type = "openai"
base_url = "http://user:{PASSWORD}@127.0.0.1:1/v1?key={QUERY}"

[voice.record]
events = true

[voice.tools]
trusted_hosts = ["127.0.0.1"]

[[voice.tools.http]]
name = "door"
description = "opens a door"
url = "http://127.0.0.1:1/door?token={QUERY}"
headers = {{ Authorization = "Bearer {HEADER}" }}
""")
    return text.replace('model = "whisper-1"', f'model = "whisper-1"\napi_key = "{SPEECH}"').replace(
        'model = "scripted/any"', f'model = "scripted/any"\nsystem_prompt = "{SYSTEM}"'
    )


class _Heard:
    """Everything that the server said to a client, and the credentials it gave out."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.given: list[str] = []

    async def ask(
        self, http: aiohttp.ClientSession, method: str, path: str, *, own: bool = False, **body: Any
    ) -> str:
        """`own`: the answer is for whoever asked it (his own words, a new credential)."""
        async with http.request(method, path, **body) as answer:
            text = await answer.text(errors="replace")
            if not own:
                self.said.append(text)
            self.said.append(str(answer.headers))
            return text


async def _misuse(server: ParleyProcess, scripted: ScriptedProcess, heard: _Heard) -> None:
    chat = "/v1/chat/completions"
    async with aiohttp.ClientSession(server.base_url, headers=server.headers) as http:
        for model in ("scripted/any", "tells/x", "password/x", "gone/x", "nobody/x"):
            for stream in (False, True):
                body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "stream": stream}
                own = model in ("scripted/any", "tells/x", "password/x")
                said = await heard.ask(http, "POST", chat, json=body, own=own)
                assert not any(secret in said for secret in OURS), (model, said)
        await heard.ask(http, "POST", "/v1/embeddings", json={"model": "tells/x", "input": PROMPT}, own=True)
        await heard.ask(http, "POST", chat, data=f'{{"{PROMPT}":', headers={"content-type": "application/json"})
        await heard.ask(http, "POST", "/v1/audio/speech", json={"input": PROMPT, "voice": 7})
        form = aiohttp.FormData({"model": "whisper-1", "prompt": PROMPT})
        form.add_field("file", b"no sound", filename="x.wav")
        await heard.ask(http, "POST", "/v1/audio/transcriptions", data=form)
        for path in (
            "/health",
            "/metrics",
            "/v1/models",
            "/v1/stats/performance",
            "/admin/api/slots",
            "/live",
            "/signin",
            "/nowhere",
        ):
            await heard.ask(http, "GET", path)
        await heard.ask(http, "GET", "/v1/models", headers={"Authorization": f"Bearer {WRONG}"})
        await heard.ask(http, "GET", f"/v1/models?api_key={WRONG}", headers={"Authorization": ""})
        link = json.loads(await heard.ask(http, "POST", "/admin/api/signin-links", own=True))["path"]
        heard.given.append(link.rpartition("/")[2])
        await heard.ask(http, "GET", link)
        made = json.loads(await heard.ask(http, "POST", "/v1/realtime/client_secrets", json={}, own=True))
        heard.given.append(made["value"])
        headers = {"Authorization": f"Bearer {made['value']}"}
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": TYPED}]}
        async with http.ws_connect("/v1/realtime?model=gpt-realtime", headers=headers) as socket:
            await socket.send_json({"type": "conversation.item.create", "item": item})
            await socket.send_json({"type": "response.create", "response": {"output_modalities": ["text"]}})
            await _until(socket, "response.done")
        for record in (True, False):
            # Every way a turn can go wrong says it in its own words, to the client and to the recording.
            scripted.script(tool_calls=[["door", "{}"]])
            for fault in ({}, {"tts_fault": {"kind": "error", "status": 401, "times": 1}}):
                scripted.script(**fault)
                opened = json.loads(
                    await heard.ask(http, "POST", "/v1/audio/live", json={"record": record}, own=True)
                )
                heard.given.append(opened["session_token"])
                async with http.ws_connect(opened["websocket_url"]) as socket:
                    await socket.send_bytes(bytes(64_000))
                    await socket.send_json({"type": "end_turn", "transcript": TYPED})
                    await _until(socket, "turn_complete", "error")
        for model in ("tells/shared", "gone/x"):
            body = {"record": False, "llm_config": {"model": model}}
            opened = json.loads(await heard.ask(http, "POST", "/v1/audio/live", json=body, own=True))
            if "websocket_url" not in opened:  # a model that nobody has now is refused here
                assert model == "gone/x" and not any(secret in str(opened) for secret in OURS), opened
                continue
            async with http.ws_connect(opened["websocket_url"]) as socket:
                await socket.send_json({"type": "end_turn", "transcript": TYPED})
                told = await _until(socket, "turn_complete", "error")
                assert not any(secret in told for secret in OURS), told


async def _until(socket: aiohttp.ClientWebSocketResponse, *wanted: str) -> str:
    said = []
    while True:
        message = await socket.receive(timeout=60)
        if message.type is aiohttp.WSMsgType.BINARY:
            continue
        assert message.type is aiohttp.WSMsgType.TEXT, (message, said)
        said.append(message.data)
        if json.loads(message.data)["type"] in wanted:
            return "".join(said)


async def test_nothing_is_told(tmp_path: Path, scripted_service: ScriptedProcess) -> None:
    scripted_service.reset()
    scripted_service.script(stt_delay_ms=10, first_token_ms=10, tokens_per_s=400, tts_delay_ms=10, replies=[REPLY])
    heard, home = _Heard(), tmp_path / "home"
    async with sick_upstream() as upstream:
        config = _config(scripted_service, upstream.url("tells"))
        with running_parley(home, config=config, env={"PARLEY_LOG_LEVEL": "debug"}) as server:
            async with asyncio.timeout(60):
                await _misuse(server, scripted_service, heard)
            log = server.log()
            consented = [path for path in (home / "recordings").iterdir() if path.suffix == ".wav"]
            kept = {path: path.read_bytes().decode(errors="replace") for path in home.rglob("*") if path.is_file()}
    assert "backend.passed_over" in log and "request" in log, "the log is not at debug"
    assert len(consented) >= 2 and len(heard.given) >= 4
    own = {home / "parley.toml", home / "run" / "server.json", home / "up.log"}
    # The sign-in link is printed for whoever started the server; nothing else of it is in what a server prints.
    secrets = (*OURS, WRONG, *heard.given)
    for secret in secrets:
        assert secret not in log, f"{secret} is in the log: {_line(log, secret)}"
        assert not any(secret in said for said in heard.said), f"{secret} is in an answer"
        for path, text in kept.items():
            assert path in own or secret not in text, f"{secret} is in {path}"
    with_words = {path.stem.split(".")[0] for path in consented}
    for word in WORDS:
        assert word.lower() not in log.lower(), f"{word} is in the log: {_line(log.lower(), word.lower())}"
        assert not any(word in said for said in heard.said), f"{word} is in an answer to others"
        for path, text in kept.items():
            allowed = path in own or path.parent.name == "sessions" or path.stem.split(".")[0] in with_words
            assert allowed or word.lower() not in text.lower(), f"{word} is in {path}"
    if os.name == "posix":
        for path in kept:
            if path not in (home / "parley.toml", home / "up.log"):
                assert not stat.S_IMODE(path.stat().st_mode) & 0o077 if path.exists() else True, f"others read {path}"


def _line(text: str, found: str) -> str:
    return next(line for line in text.splitlines() if found in line)[:400]
