"""Speech and language services that are slow, break or hang up, behind a real `parley up`: told, and got over."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.bench.utterances import quiet, utterances
from tests.parley_process import ParleyProcess
from tests.scripted.process import ScriptedProcess

STORY = " ".join(f"This is sentence number {number} of a long story." for number in range(1, 40))


@pytest.fixture(name="service")
def _service(scripted_service: ScriptedProcess) -> ScriptedProcess:
    scripted_service.reset()
    # As fast as it goes: these tests are about order and errors.
    scripted_service.script(stt_delay_ms=0, first_token_ms=0, tokens_per_s=500, replies=["All well."])
    scripted_service.script(tts_delay_ms=0, tts_ms_per_character=5)
    return scripted_service


class Talk:
    """A session over the real WebSocket. `until` collects what came on the way."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def type(self, text: str) -> None:
        await self.socket.send(json.dumps({"type": "end_turn", "transcript": text}))

    async def send(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """All messages up to and with the first of type `kind`."""
        got: list[dict[str, Any]] = []
        with anyio.fail_after(60):
            while not got or got[-1]["type"] != kind:
                got.append(json.loads(await self.socket.recv()))
        return got


@asynccontextmanager
async def talk(server: ParleyProcess, **config: Any) -> AsyncIterator[Talk]:
    body = {"audio_config": {"input_format": "pcm", "output_format": "pcm"}, **config}
    opened = await anyio.to_thread.run_sync(server.post, "/v1/audio/live", body)
    async with connect(server.ws_url + str(opened["websocket_url"])) as socket:
        session = Talk(socket)
        await session.until("ready")
        yield session


async def _eventually(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not await anyio.to_thread.run_sync(holds):
            await anyio.sleep(0.05)


async def test_a_typed_turn_comes_back_as_text_and_audio(
    scripted_parley: ParleyProcess, service: ScriptedProcess
) -> None:
    async with talk(scripted_parley) as session:
        await session.type("how are you")
        got = await session.until("turn_complete")
    assert "".join(message["text"] for message in got if message["type"] == "text") == "All well."
    assert sum(len(base64.b64decode(message["audio"])) for message in got if message["type"] == "audio") > 0
    assert got[-1]["usage"] == {"tokens_in": got[-1]["usage"]["tokens_in"], "tokens_out": 2}
    assert service.requests("stt") == []
    [asked] = service.requests("llm")
    assert asked["request"]["messages"][-1] == {"role": "user", "content": "how are you"}


async def test_an_interrupted_reply_stops_costing(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    service.script(replies=[STORY], tokens_per_s=20)
    async with talk(scripted_parley) as session:
        await session.type("tell me a story")
        await session.until("audio")
        await session.send(type="interrupt")
        got = await session.until("turn_complete")
        assert got[-1]["interrupted"] is True
        # The connection to the model was cut, not left to run to its end.
        await _eventually(lambda: service.requests("llm")[0]["hung_up"])
    assert service.requests("llm")[0]["pieces"] < len(STORY.split())


async def test_a_client_that_goes_away_stops_costing(
    scripted_parley: ParleyProcess, service: ScriptedProcess
) -> None:
    service.script(replies=[STORY], tokens_per_s=20)
    async with talk(scripted_parley, resume_grace_s=0.2) as session:
        await session.type("tell me a story")
        await session.until("audio")
        session.socket.transport.abort()
    await _eventually(lambda: service.requests("llm")[0]["hung_up"])


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ({"kind": "error", "status": 500}, ("backend_failed",)),
        ({"kind": "error", "status": 503}, ("overloaded",)),
        ({"kind": "error", "after": 3}, ("backend_failed",)),
        ({"kind": "reset"}, ("backend_failed", "backend_unreachable")),
        ({"kind": "reset", "after": 3}, ("backend_failed", "backend_unreachable")),
        ({"kind": "garbage"}, ("backend_failed",)),
    ],
    ids=lambda value: "-".join(str(part) for part in value.values()) if isinstance(value, dict) else "",
)
async def test_a_broken_model_is_told_and_the_next_turn_works(
    scripted_parley: ParleyProcess, service: ScriptedProcess, fault: dict[str, Any], codes: tuple[str, ...]
) -> None:
    # Again and again: a kept connection that breaks before a byte has come is taken for a stale one, and asked anew.
    service.script(replies=["one two three four five six"], llm_fault={**fault, "times": -1})
    async with talk(scripted_parley) as session:
        await session.type("hello")
        got = await session.until("error")
        assert got[-1]["message"]
        assert got[-1]["code"] in codes
        service.script(llm_fault={"kind": "none"})
        await session.type("and now")
        done = (await session.until("turn_complete"))[-1]
        while not done["output_transcript"].startswith("one two three four five six"):
            done = (await session.until("turn_complete"))[-1]
        assert done["input_transcript"] == "and now"


@pytest.mark.parametrize("kind", ["error", "reset", "garbage"])
async def test_a_broken_voice_is_told_and_the_text_still_comes(
    scripted_parley: ParleyProcess, service: ScriptedProcess, kind: str
) -> None:
    service.script(tts_fault={"kind": kind})
    async with talk(scripted_parley) as session:
        await session.type("hello")
        got = await session.until("turn_complete")
        if kind != "garbage":  # any bytes are PCM: what comes out is noise, and no error
            assert [message["code"] for message in got if message["type"] == "error"] == ["tts_failed"]
        assert got[-1]["output_transcript"] == "All well."
        service.script(tts_fault={"kind": "none"})
        await session.type("again")
        got = await session.until("turn_complete")
        assert any(message["type"] == "audio" for message in got)
        assert not any(message["type"] == "error" for message in got)


async def test_a_voice_without_a_sound_is_told_and_nothing_was_heard(
    scripted_parley: ParleyProcess, service: ScriptedProcess
) -> None:
    service.script(tts_ms_per_character=0)
    async with talk(scripted_parley) as session:
        await session.type("hello")
        got = await session.until("turn_complete")
    assert [message["code"] for message in got if message["type"] == "error"] == ["tts_failed"]
    assert (got[-1]["output_transcript"], got[-1]["heard_transcript"]) == ("All well.", "")


async def test_a_broken_recogniser_is_told_and_the_next_turn_works(
    scripted_parley: ParleyProcess, service: ScriptedProcess
) -> None:
    service.script(stt_fault={"kind": "error", "status": 500})
    [request] = utterances(1)
    async with talk(scripted_parley) as session:

        async def speak() -> None:
            # Faster than real time: the server hears on the clock of the audio.
            pcm = quiet(0.5).tobytes() + request.pcm.tobytes() + quiet(1.5).tobytes()
            for start in range(0, len(pcm), 3200):
                await session.socket.send(pcm[start : start + 3200])
                await anyio.sleep(0.01)

        await speak()
        got = await session.until("turn_complete")
        assert [message["code"] for message in got if message["type"] == "error"] == ["stt_failed"]
        assert got[-1]["heard_transcript"] == "Sorry, I cannot answer right now."
        assert any(message["type"] == "audio" for message in got), "it is said aloud"
        service.script(stt_fault={"kind": "none"}, transcripts=["what time is it"])
        await speak()
        done = (await session.until("turn_complete"))[-1]
        assert done["input_transcript"] == "what time is it"
