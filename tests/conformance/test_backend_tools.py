"""Tools where a server's way is its own: Ollama without a tool_choice, thoughts that OpenRouter wants back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from llm.convert.chat import parse_chat, to_request
from llm.errors import ToolNotCalled
from llm.port import BackendConfig
from llm.stream import Finish, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta
from models.registry import discover
from tests.scripted.backend_servers import serving
from tests.web.house import House, house

HELLO = [{"role": "user", "content": "hello"}]
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("f", "g")]
FUNCTION = {"type": "function", "function": {"name": "g"}}
SAID = ({"role": "assistant", "thinking": "hm"}, {"role": "assistant", "content": "Let me see. "})
CALL = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "g", "arguments": {}}}]}


def lines(*messages: dict[str, Any]) -> bytes:
    rows: list[dict[str, Any]] = [{"model": "m", "message": message, "done": False} for message in messages]
    rows.append({"model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "eval_count": 3})
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


async def of_ollama(answer: bytes, **fields: Any) -> tuple[list[StreamEvent], dict[str, Any], Exception | None]:
    """The events until an error, what was sent, and the error."""
    events: list[StreamEvent] = []
    async with serving("ollama") as server, aiohttp.ClientSession() as http:
        server.answers["/api/chat"] = (200, answer)
        backend = discover("llm.backends")["ollama"].load(BackendConfig("o", "ollama", server.url), http)
        asked = to_request(parse_chat({"model": "m", "messages": HELLO, "tools": TOOLS, **fields}))
        error: Exception | None = None
        try:
            async with aclosing(backend.generate(asked)) as found:
                async for event in found:
                    events.append(event)  # noqa: PERF401 - what came before an error counts
        except ToolNotCalled as caught:
            error = caught
        return events, next(body for path, body in server.posted if path == "/api/chat"), error


@pytest.mark.parametrize("choice", ["required", FUNCTION])
async def test_a_tool_that_must_be_called_and_is_not_is_an_error_with_ollama(choice: Any) -> None:
    events, sent, error = await of_ollama(lines(*SAID), tool_choice=choice)
    assert [type(event) for event in events] == [ReasoningDelta], "another server may still answer it"
    assert error is not None and "no tool" in str(error)
    assert [tool["function"]["name"] for tool in sent["tools"]] == (["g"] if choice is FUNCTION else ["f", "g"])


async def test_a_tool_that_must_be_called_and_is() -> None:
    events, _, error = await of_ollama(lines(*SAID, CALL), tool_choice="required")
    assert error is None
    assert [type(event) for event in events] == [ReasoningDelta, TextDelta, ToolCallDelta, Finish]


async def test_a_tool_that_may_be_called() -> None:
    events, _, error = await of_ollama(lines(*SAID), tool_choice="auto")
    assert error is None and [type(event) for event in events] == [ReasoningDelta, TextDelta, Finish]


# ---- thoughts that go back ---------------------------------------------------------------------------------------

PIECES: list[dict[str, Any]] = [
    {"reasoning": "Need ", "reasoning_details": [{"type": "reasoning.text", "text": "Need ", "index": 0}]},
    {"reasoning": "g.", "reasoning_details": [{"type": "reasoning.text", "text": "g.", "index": 0}]},
    {"reasoning_details": [{"type": "reasoning.text", "signature": "c2ln", "index": 0}]},
    {"reasoning_details": [{"type": "reasoning.encrypted", "data": "QUJD", "index": 1}]},
    {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "g", "arguments": "{}"}}]},
]
WHOLE = [
    {"type": "reasoning.text", "text": "Need g.", "index": 0, "signature": "c2ln"},
    {"type": "reasoning.encrypted", "data": "QUJD", "index": 1},
]


@asynccontextmanager
async def of_openrouter(home: Path) -> AsyncIterator[tuple[House, list[tuple[str, dict[str, Any]]]]]:
    head = {"id": "gen-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    rows = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in PIECES]
    rows.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    async with serving("openai") as server:
        data = b"".join(b"data: " + json.dumps(row).encode() + b"\n\n" for row in rows) + b"data: [DONE]\n\n"
        server.answers["/v1/chat/completions"] = (200, data)
        config = f'[[backends]]\nname = "router"\ntype = "openai"\nbase_url = "{server.url}/v1"\n[llm]\nslots = 0\n'
        async with house(home, config) as found:
            yield found, server.posted


async def test_signed_thoughts_of_a_reply_with_tools_come_whole_and_go_back(tmp_path: Path) -> None:
    async with of_openrouter(tmp_path) as (found, posted):
        body: dict[str, Any] = {"model": "router/m", "messages": HELLO, "tools": TOOLS}
        async with found.client.post("/v1/chat/completions", json=body) as answer:
            message = (await answer.json())["choices"][0]["message"]
        assert message["reasoning_details"] == WHOLE and message["reasoning_content"] == "Need g."
        result = {"role": "tool", "tool_call_id": "c1", "content": "7"}
        async with found.client.post(
            "/v1/chat/completions", json={**body, "messages": [*HELLO, message, result]}
        ) as answer:
            assert answer.status == 200
        assert posted[-1][1]["messages"][1]["reasoning_details"] == WHOLE


async def test_signed_thoughts_in_pieces(tmp_path: Path) -> None:
    async with of_openrouter(tmp_path) as (found, _):
        body = {"model": "router/m", "messages": HELLO, "tools": TOOLS, "stream": True}
        async with found.client.post("/v1/chat/completions", json=body) as answer:
            text = await answer.text()
    chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    found_details = [part for delta in deltas for part in delta.get("reasoning_details", [])]
    assert found_details == [part for piece in PIECES for part in piece.get("reasoning_details", [])]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "Need g."
