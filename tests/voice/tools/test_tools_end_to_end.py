"""Tools through a real server and socket, with a language model that is a script."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from websockets.asyncio.client import connect

from tests.parley_process import ParleyProcess
from tests.scripted.process import ScriptedProcess

LAMP = {
    "type": "function",
    "function": {"name": "lamp", "description": "Switch it.", "parameters": {"type": "object"}},
}


@pytest.fixture(name="service")
def _service(scripted_service: ScriptedProcess) -> ScriptedProcess:
    scripted_service.reset()
    scripted_service.script(stt_delay_ms=0, first_token_ms=0, tokens_per_s=500, replies=["So it is."])
    scripted_service.script(tts_delay_ms=0, tts_ms_per_character=5)
    return scripted_service


class Talk:
    def __init__(self, socket: Any) -> None:
        self.socket = socket

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def until(self, kind: str) -> dict[str, Any]:
        with anyio.fail_after(60):
            while True:
                message: dict[str, Any] = json.loads(await self.socket.recv())
                assert message["type"] != "error", message
                if message["type"] == kind:
                    return message


@asynccontextmanager
async def talk(server: ParleyProcess) -> AsyncIterator[Talk]:
    body = {"audio_config": {"input_format": "pcm", "output_format": "pcm"}, "llm_config": {"tools": [LAMP]}}
    opened = await anyio.to_thread.run_sync(server.post, "/v1/audio/live", body)
    async with connect(server.ws_url + str(opened["websocket_url"])) as socket:
        session = Talk(socket)
        await session.until("ready")
        yield session


async def test_a_tool_of_the_server(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    service.script(tool_calls=[["calculate", '{"expression": "6 * 7"}']])
    async with talk(scripted_parley) as session:
        await session.say(type="end_turn", transcript="what is six times seven")
        turn = await session.until("turn_complete")
    assert turn["heard_transcript"] == "So it is." and turn["tools_called"] == ["calculate"]
    first, second = service.requests("llm")
    assert {tool["function"]["name"] for tool in first["request"]["tools"]} == {"calculate", "get_time", "lamp"}
    assert second["request"]["messages"][-1]["role"] == "tool"
    assert second["request"]["messages"][-1]["content"] == "42"


async def test_a_tool_of_the_client(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    service.script(tool_calls=[["lamp", '{"on": true}']])
    async with talk(scripted_parley) as session:
        await session.say(type="end_turn", transcript="light on")
        call = await session.until("tool_call")
        assert (call["name"], json.loads(call["arguments"])) == ("lamp", {"on": True})
        await session.say(type="tool_result", call_id=call["call_id"], output={"on": True})
        turn = await session.until("turn_complete")
        assert turn["output_transcript"] == "So it is." and turn["tools_called"] == ["lamp"]
        await session.say(type="end_turn", transcript="thank you")
        await session.until("turn_complete")
    messages = service.requests("llm")[-1]["request"]["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert messages[2]["tool_calls"][0]["id"] == messages[3]["tool_call_id"] == call["call_id"]
    assert json.loads(messages[3]["content"]) == {"on": True}


async def test_a_result_for_no_call_is_told(scripted_parley: ParleyProcess, service: ScriptedProcess) -> None:
    async with talk(scripted_parley) as session:
        await session.say(type="tool_result", call_id="nobody", output="x")
        with pytest.raises(AssertionError, match="unknown_tool_call"):
            await session.until("turn_complete")
