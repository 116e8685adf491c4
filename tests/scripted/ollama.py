"""The scripted service's chat stage as Ollama speaks: lines of JSON at /api/chat, and what tells that it is Ollama.

Written to Ollama's docs/api.md. What is noted of a request are its options by OpenAI's names, and `native`.
"""

from __future__ import annotations

import json
import time
from typing import Any

from aiohttp import web

from tests.scripted.script import Fault, Record
from tests.scripted.service import ScriptedService, answer_whole, reset_connection, tokens_of, until

__all__ = ["add_ollama"]


def add_ollama(service: ScriptedService, app: web.Application) -> None:
    async def chat(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        options = body.get("options", {})
        asked = {**options, **{name: body.get(name) for name in ("model", "messages", "stream")}, "native": body}
        if "num_predict" in options:
            asked["max_tokens"] = options["num_predict"]
        async with service.noted("llm", request, asked) as (record, fault):
            return await _stream(service, request, body, record, fault)

    app.router.add_post("/ollama/api/chat", chat)


async def _stream(
    service: ScriptedService, request: web.Request, body: dict[str, Any], record: Record, fault: Fault
) -> web.StreamResponse:
    at_once = fault.kind in ("error", "reset") and fault.after == 0
    if at_once or fault.kind in ("hang", "trickle", "garbage"):
        return await answer_whole(request, record, fault, b"{}\n", "application/x-ndjson")
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    head = {"model": body["model"], "created_at": "2026-01-01T00:00:00Z"}

    async def line(**fields: Any) -> None:
        await response.write(json.dumps({**head, **fields}).encode() + b"\n")

    if body.get("tools") and service.script.tool_calls:
        name, arguments = service.script.tool_calls[0]
        calls = [{"function": {"name": name, "arguments": json.loads(arguments)}}]
        await line(message={"role": "assistant", "content": "", "tool_calls": calls}, done=False)
        tokens: list[str] = []
    else:
        tokens = tokens_of(service.script.replies[0])
    for index, token in enumerate(tokens):
        if record.pieces == fault.after and fault.kind == "reset":
            return reset_connection(request, response)
        if record.pieces == fault.after and fault.kind == "error":
            await line(error="the script says so")
            return response
        await until(service.token_at(record, index))
        record.first_byte_s = record.first_byte_s or time.monotonic()
        await line(message={"role": "assistant", "content": token}, done=False)
        record.pieces += 1
    counts = {"prompt_eval_count": 7, "eval_count": len(tokens), "total_duration": 1, "eval_duration": 1}
    await line(message={"role": "assistant", "content": ""}, done=True, done_reason="stop", **counts)
    await response.write_eof()
    return response
