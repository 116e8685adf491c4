"""A server of chat completions that is sick in a way its path names: http://127.0.0.1:port/FAULT/v1."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["SickUpstream", "sick_upstream"]

_JSON, _EVENTS = "application/json", "text/event-stream"
_HEAD: dict[str, Any] = {"id": "chatcmpl-sick", "created": 1_700_000_000, "model": "shared"}
_USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def _chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _event({**_HEAD, "object": "chat.completion.chunk", "choices": [choice]})


def _event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


ROLE = _chunk({"role": "assistant", "content": ""})
WORDS = _chunk({"content": "all "}) + _chunk({"content": "well"})
END = _chunk({}, "stop")
USED = _event({**_HEAD, "object": "chat.completion.chunk", "choices": [], "usage": _USAGE})
DONE = b"data: [DONE]\n\n"
MESSAGE = {"index": 0, "message": {"role": "assistant", "content": "all well"}, "finish_reason": "stop"}
WHOLE = json.dumps({**_HEAD, "object": "chat.completion", "choices": [MESSAGE], "usage": _USAGE}).encode()


class SickUpstream:
    def __init__(self) -> None:
        self.port = 0
        self.asked: list[str] = []
        self.open: dict[str, int] = {}
        """Chat requests whose connection the gateway still holds, by fault."""

    def url(self, fault: str) -> str:
        return f"http://127.0.0.1:{self.port}/{fault}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next((int(r[15:]) for r in head.split("\r\n") if r.startswith("content-length:")), 0)
                body = await reader.readexactly(length)
                method, path, _ = head.split(" ", 2)
                fault = path.split("/")[1]
                if method == "get":
                    models = json.dumps({"data": [{"id": "shared"}]}).encode()
                    writer.write(_head(200, _JSON, len(models)) + models)
                    continue
                self.asked.append(fault)
                self.open[fault] = self.open.get(fault, 0) + 1
                try:
                    await self._answer(fault, json.loads(body), reader, writer)
                finally:
                    self.open[fault] -= 1
                if writer.is_closing():
                    return
        except (OSError, EOFError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, fault: str, asked: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        stream = bool(asked.get("stream"))
        opening = _head(200, _EVENTS, None)
        match fault:
            case "silent" | "mute":
                await reader.read()
            case "late":
                await asyncio.sleep(0.15)
                await self._answer("well", asked, reader, writer)
            case "reset_first":
                writer.transport.abort()
            case "page":
                writer.write(_head(200, "text/html", 20) + b"<html>hello</html>\r\n")
            case "broken_json":
                bad = b'data: {"id": broken}\n\n' if stream else b'{"id": broken}'
                writer.write(_head(200, _EVENTS if stream else _JSON, len(bad)) + bad)
            case "short":
                bad = ROLE if stream else WHOLE[:40]
                writer.write(_head(200, _EVENTS if stream else _JSON, 5000) + bad)
                await writer.drain()
                writer.close()
            case "headers_only":
                writer.write(opening)
                await writer.drain()
                writer.close()
            case "oops":
                writer.write(_head(500, "text/plain", 4) + b"oops")
            case "busy":
                bad = json.dumps({"error": {"message": "too many requests", "code": "rate_limit_exceeded"}}).encode()
                writer.write(_head(429, _JSON, len(bad), "retry-after: 7\r\n") + bad)
            case "huge":
                writer.write(opening + b"data: ")
                for _ in range(90):
                    writer.write(b"x" * 65536)
                    await writer.drain()
                await reader.read()
            case "error_first":
                writer.write(opening + ROLE + _event({"error": {"message": "out of memory", "code": 500}}))
                await writer.drain()
                writer.close()
            case "cut" | "error_inside" | "broken_inside" | "hangs_inside" | "endless":
                writer.write(opening + ROLE + WORDS)
                await writer.drain()
                if fault == "cut":
                    await asyncio.sleep(0.05)
                    writer.transport.abort()
                elif fault == "error_inside":
                    writer.write(_event({"error": {"message": "out of memory", "code": 500}}))
                elif fault == "broken_inside":
                    writer.write(b"data: {oops\n\n")
                if fault in ("error_inside", "broken_inside"):
                    writer.close()
                else:
                    await reader.read()
            case "trickle":
                for byte in opening + ROLE + WORDS + END + USED + DONE:
                    writer.write(bytes((byte,)))
                    await asyncio.sleep(0)
                writer.close()
            case "no_done":
                writer.write(opening + ROLE + WORDS + END + USED)
                writer.close()
            case _:
                if stream:
                    writer.write(opening + ROLE + WORDS + END + USED + DONE)
                    writer.close()
                else:
                    writer.write(_head(200, _JSON, len(WHOLE)) + WHOLE)


def _head(status: int, kind: str, length: int | None, more: str = "") -> bytes:
    size = "connection: close\r\n" if length is None else f"content-length: {length}\r\n"
    return f"HTTP/1.1 {status} Status\r\ncontent-type: {kind}\r\n{size}{more}\r\n".encode()


@asynccontextmanager
async def sick_upstream() -> AsyncIterator[SickUpstream]:
    upstream = SickUpstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
