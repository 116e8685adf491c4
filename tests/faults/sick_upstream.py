"""A server of chat completions that is sick in a way its path names: http://127.0.0.1:port/FAULT/v1.

bare_FAULT is the same in frames without an id and a date: those are converted, where the others pass as they are.
It speaks with a bare socket, so that it can say what no HTTP library would.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["KEY", "SickUpstream", "sick_upstream"]

KEY = "the-key-of-an-upstream-0815"
"""What the fault `tells` tells."""

_JSON, _EVENTS = "application/json", "text/event-stream"
_HEAD: dict[str, Any] = {"id": "chatcmpl-sick", "created": 1_700_000_000, "model": "shared"}
_USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def _event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


class _Frames:
    """What a well server sends, in its parts."""

    def __init__(self, head: dict[str, Any]) -> None:
        def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
            return _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

        self.role = chunk({"role": "assistant", "content": ""})
        self.words = chunk({"content": "all "}) + chunk({"content": "well"})
        self.end = chunk({}, "stop")
        self.used = _event({**head, "choices": [], "usage": _USAGE})
        self.answer = self.role + self.words + self.end + self.used


FULL, BARE = _Frames({**_HEAD, "object": "chat.completion.chunk"}), _Frames({"model": "shared"})
DONE = b"data: [DONE]\n\n"
MODELS = [{"id": "shared"}, {"id": "half a \ud800"}, {"id": None}, {"id": {}}, {"id": "x" * 5000}, 7, None]
MESSAGE = {"index": 0, "message": {"role": "assistant", "content": "all well"}, "finish_reason": "stop"}
WHOLE = json.dumps({**_HEAD, "object": "chat.completion", "choices": [MESSAGE], "usage": _USAGE}).encode()


class SickUpstream:
    def __init__(self) -> None:
        self.port = 0
        self.asked: list[str] = []
        self.connections = 0
        self.open: dict[str, int] = {}
        """Chat requests whose connection the gateway still holds, by fault."""
        self.hung: set[str] = set()
        """Those that answer nothing at all any more, also not what they are asked about themselves."""
        self.lists_nothing = False

    def url(self, fault: str) -> str:
        return f"http://127.0.0.1:{self.port}/{fault}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next((int(r[15:]) for r in head.split("\r\n") if r.startswith("content-length:")), 0)
                body = await reader.readexactly(length)
                method, path, _ = head.split(" ", 2)
                fault = path.split("/")[1]
                if method == "get":
                    if fault in self.hung:
                        await reader.read()
                        return
                    if self.lists_nothing:
                        writer.write(_head(500, "text/plain", 4) + b"oops")
                        continue
                    models = json.dumps({"data": MODELS}).encode()
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
        if fault in self.hung:
            fault = "silent"
        frames = BARE if fault.startswith("bare_") else FULL
        opening = _head(200, _EVENTS, None)
        match fault.removeprefix("bare_"):
            case "silent" | "mute":
                await reader.read()
            case "late":
                await asyncio.sleep(0.15)
                await self._answer("well", asked, reader, writer)
            case "slow":
                await asyncio.sleep(0.5)
                await self._answer("well", asked, reader, writer)
            case "reset_first":
                writer.transport.abort()
            case "closes_first":
                writer.close()
            case "role_only":
                writer.write(opening + frames.role)
                writer.close()
            case "stops_inside":
                writer.write(opening + frames.role + frames.words)
                writer.close()
            case "silent_after_headers":
                writer.write(opening)
                await reader.read()
            case "only_comments":
                writer.write(opening + b": ping\n\n" * 3)
                await reader.read()
            case "no_http":
                writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
                writer.close()
            case "empty_object":
                writer.write(_head(200, _JSON, 2) + b"{}")
            case "a_list":
                bad = b"data: []\n\n" if stream else b"[]"
                writer.write(_head(200, _EVENTS if stream else _JSON, len(bad)) + bad)
            case "redirect":
                writer.write(_head(302, "text/plain", 0, "location: http://127.0.0.1:1/\r\n"))
            case "page":
                writer.write(_head(200, "text/html", 20) + b"<html>hello</html>\r\n")
            case "broken_json":
                bad = b'data: {"id": broken}\n\n' if stream else b'{"id": broken}'
                writer.write(_head(200, _EVENTS if stream else _JSON, len(bad)) + bad)
            case "short":
                bad = frames.role if stream else WHOLE[:40]
                writer.write(_head(200, _EVENTS if stream else _JSON, 5000) + bad)
                await writer.drain()
                writer.close()
            case "headers_only":
                writer.write(opening)
                await writer.drain()
                writer.close()
            case "key":
                bad = json.dumps({"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}).encode()
                writer.write(_head(401, _JSON, len(bad)) + bad)
            case "not_squeezed":
                bad = frames.answer if stream else WHOLE
                writer.write(_head(200, _EVENTS if stream else _JSON, len(bad), "content-encoding: gzip\r\n") + bad)
            case "used_up":
                bad = json.dumps({"error": {"message": "pay", "type": "insufficient_quota", "code": None}}).encode()
                writer.write(_head(429, _JSON, len(bad)) + bad)
            case "pings_inside":
                writer.write(opening + frames.role + frames.words)
                while True:
                    await asyncio.sleep(0.02)
                    writer.write(b": ping\n\n")
                    await writer.drain()
            case "oops":
                writer.write(_head(500, "text/plain", 4) + b"oops")
            case "busy":
                bad = json.dumps({"error": {"message": "too many requests", "code": "rate_limit_exceeded"}}).encode()
                writer.write(_head(429, _JSON, len(bad), "retry-after: 7\r\n") + bad)
            case "tells":
                said = f"Incorrect API key provided: {KEY}. You asked: {json.dumps(asked)} at http://u:{KEY}@here/?key={KEY}"
                bad = json.dumps({"error": {"message": said, "code": "invalid_api_key"}}).encode()
                writer.write(_head(401, _JSON, len(bad)) + bad)
            case "huge":
                writer.write(opening + b"data: ")
                for _ in range(90):
                    writer.write(b"x" * 65536)
                    await writer.drain()
                await reader.read()
            case "error_first":
                writer.write(opening + frames.role + _event({"error": {"message": "out of memory", "code": 500}}))
                await writer.drain()
                writer.close()
            case "cut" | "error_inside" | "broken_inside" | "hangs_inside" | "endless":
                writer.write(opening + frames.role + frames.words)
                await writer.drain()
                if fault.endswith("cut"):
                    await asyncio.sleep(0.05)
                    writer.transport.abort()
                elif fault.endswith("error_inside"):
                    writer.write(_event({"error": {"message": "out of memory", "code": 500}}))
                elif fault.endswith("broken_inside"):
                    writer.write(b"data: {oops\n\n")
                if fault.endswith(("error_inside", "broken_inside")):
                    writer.close()
                else:
                    await reader.read()
            case "never_stops":
                writer.write(opening + frames.role)
                while True:
                    writer.write(frames.words)
                    await writer.drain()
            case "trickle":
                for byte in opening + frames.answer + DONE:
                    writer.write(bytes((byte,)))
                    await asyncio.sleep(0)
                writer.close()
            case "no_last_line":
                writer.write(opening + frames.answer + DONE.rstrip())
                writer.close()
            case "crlf":
                writer.write(opening + (frames.answer + DONE).replace(b"\n", b"\r\n"))
                writer.close()
            case "comments":
                said = frames.answer.replace(b"data: ", b": ping\nevent: message\ndata:")
                writer.write(opening + b": ping\n\n" + said + DONE)
                writer.close()
            case "late_end":
                data = frames.answer + DONE
                writer.write(_head(200, _EVENTS, None).replace(b"connection: close", b"transfer-encoding: chunked"))
                writer.write(b"%x\r\n%b\r\n" % (len(data), data))
                await asyncio.sleep(0.01)
                writer.write(b"0\r\n\r\n")
            case "untyped":
                bad = frames.answer + DONE if stream else WHOLE
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(bad), bad))
            case "squeezed":
                bad = gzip.compress(frames.answer + DONE if stream else WHOLE)
                writer.write(_head(200, _EVENTS if stream else _JSON, len(bad), "content-encoding: gzip\r\n") + bad)
            case "no_done":
                writer.write(opening + frames.answer)
                writer.close()
            case _:
                if stream:
                    writer.write(opening + frames.answer + DONE)
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
