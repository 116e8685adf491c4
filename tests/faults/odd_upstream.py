"""A server of chat completions whose path names what is odd about it: http://127.0.0.1:port/ODDITY/v1.

sick_upstream.py has the common diseases; here are the rare ones: odd but right event streams, answers that are
compressed though nobody asked, connections that end at the worst moment.
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from functools import cache
from typing import Any

from tests.faults.sick_upstream import DONE, FULL, WHOLE

__all__ = ["BROKEN", "INSIDE", "RIGHT", "OddUpstream", "odd_upstream"]

_STREAM = FULL.answer + DONE
_LINES = b"".join(b"data: %b\n" % line for line in (b"{", b'"choices": [],', b'"model": "shared"}')) + b"\n"


def _dressed(data: bytes) -> bytes:
    """Every event with all other fields an event can have."""
    return data.replace(b"data: ", b": a comment\nevent: message\nid: 7\nretry: 100\nunknown\ndata: ")


RIGHT: dict[str, Callable[[bytes], bytes]] = {
    "crlf_lines": lambda data: data.replace(b"\n", b"\r\n"),
    "cr_lines": lambda data: data.replace(b"\n", b"\r"),
    "mixed_lines": lambda data: data.replace(b"\n\n", b"\r\n\n").replace(b"}\r", b"}\r"),
    "byte_order_mark": lambda data: b"\xef\xbb\xbf" + data,
    "blanks_around_done": lambda data: data.replace(b"[DONE]", b" [DONE] "),
    "messages": lambda data: data.replace(b'"delta"', b'"message"'),
    "no_space": lambda data: data.replace(b"data: ", b"data:"),
    "all_fields": _dressed,
    "several_lines": lambda data: data.replace(b"data: {", b"data: {\ndata: "),
    "no_done": lambda data: data.removesuffix(DONE),
    "more_after_done": lambda data: data + b'data: {"error": "nobody reads this"}\n\n',
    "finish_twice": lambda data: data.replace(FULL.end, FULL.end + FULL.end),
    "empty_chunks": lambda data: data.replace(FULL.words, _LINES + FULL.words + _LINES),
    "content_in_parts": lambda data: data.replace(
        b'"content": "all "', b'"content": [{"type": "text", "text": "all "}]'
    ),
    "empty_events": lambda data: data.replace(b"data: {", b"data:\n\ndata: {"),
    "no_finish_reason": lambda data: data.replace(b'"stop"', b"null"),
    "error_is_null": lambda data: data.replace(b'"choices"', b'"error": null, "detail": null, "choices"'),
}
"""Odd, but right: how the bytes of a good stream are changed. Whole answers are as ever."""

_ERRORS: dict[str, bytes] = {
    "error_object": b'data: {"error": {"message": "CUDA out of memory", "code": 500}}\n\n',
    "error_text": b'data: {"error": "CUDA out of memory"}\n\n',
    "error_marked": b'data: {"object": "error", "message": "CUDA out of memory", "code": 50001}\n\n',
    "error_detail": b'event: error\ndata: {"detail": "CUDA out of memory"}\n\n',
    "error_bare": b'event: error\ndata: {"message": "CUDA out of memory", "type": "server_error", "code": 500}\n\n',
    "error_choice": b'data: {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error",'
    b' "error": {"code": 500, "message": "CUDA out of memory"}}]}\n\n',
    "error_field": b'error: {"code": 500, "message": "CUDA out of memory", "type": "server_error"}\n\n',
}
"""How servers tell of an error inside a stream: OpenAI and vLLM, Ollama and TGI, older vLLM, FastAPI, OpenRouter,
llama.cpp."""

INSIDE = (*_ERRORS, "cut_in_a_frame", "cut_between_frames", "cut_in_gzip")
"""Broken after the first words."""

BROKEN = (
    *(f"{name}_first" for name in _ERRORS),
    "login_page",
    "login_page_untyped",
    "no_content",
    "another_form",
    "cut_in_a_chunk",
    "switching_protocols",
    "status_zero",
    "endless_hints",
    "brotli",
    "no_zstd",
    "bomb",
    "raw_bomb",
    "forbidden_redirect",
    "two_lengths",
    "junk_behind_lengths",
)
"""Broken before the first word."""

_PAGE = b"<!DOCTYPE html><html><body><form action='/login'>Sign in to go on</form></body></html>"


class OddUpstream:
    def __init__(self) -> None:
        self.port = 0
        self.asked: list[str] = []
        self.connections = 0
        self.asked_on: list[int] = []
        """The connections that those of `asked` came on."""
        self.open = 0

    def url(self, oddity: str) -> str:
        return f"http://127.0.0.1:{self.port}/{oddity}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        connection, number = self.connections, 0
        """Of the request on this connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next((int(row[15:]) for row in head.split("\r\n") if row.startswith("content-length:")), 0)
                asked = json.loads(await reader.readexactly(length) or b"{}")
                method, path, _ = head.split(" ", 2)
                oddity = path.split("/")[1]
                if method == "get":
                    models = json.dumps({"data": [{"id": "shared"}, {"id": "large"}]}).encode()
                    writer.write(_whole(models))
                    continue
                self.asked.append(oddity if asked.get("model") != "large" else f"{oddity}/large")
                self.asked_on.append(connection)
                number += 1
                if not await self._answer(oddity, number, asked, writer):
                    return
        except (OSError, EOFError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, oddity: str, number: int, asked: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        """Whether the connection stays."""
        stream = bool(asked.get("stream"))
        good = _chunked(_STREAM) if stream else _whole(WHOLE)
        if oddity in RIGHT:
            writer.write(_chunked(RIGHT[oddity](_STREAM)) if stream else good)
            return True
        if oddity in _ERRORS:
            writer.write(_chunked(FULL.role + FULL.words + _ERRORS[oddity]))
            return True
        if (name := oddity.removesuffix("_first")) in _ERRORS:
            writer.write(_chunked(FULL.role + _ERRORS[name]))
            return True
        match oddity:
            case "stale":  # the second request on a connection is read, and the connection closed
                if number > 1:
                    return False
                writer.write(good)
            case "stale_reset":
                if number > 1:
                    writer.transport.abort()
                    return False
                writer.write(good)
            case "another_form":
                writer.write(_whole(b'{"choices": [{"output": "all well", "finish_reason": "stop"}]}'))
            case "says_close":  # and lets the connection stand
                writer.write(good.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))
            case "junk_between":  # a time-out that nobody asked for, on a connection that stays
                writer.write(good)
                await writer.drain()
                await asyncio.sleep(0.02)
                writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
            case "called_json":  # a stream; it is not to be waited for until its end
                writer.write(_chunked(_STREAM, kind=_JSON) if stream else good)
            case "called_stream":  # a whole answer, whatever was asked for
                writer.write(_whole(WHOLE, more="content-type: text/event-stream\r\n"))
            case "whole_behind_a_mark":
                writer.write(_whole(b"\xef\xbb\xbf" + WHOLE))
            case "legacy_call":
                pieces = ({"name": "f", "arguments": ""}, {"arguments": '{"x"'}, {"arguments": ":1}"})
                writer.write(_chunked(b"".join(map(_legacy, pieces)) + _legacy(None)) if stream else _whole(_LEGACY))
            case "no_reason":  # of a whole answer: null, as some imitators have it
                writer.write(_whole(WHOLE.replace(b'"stop"', b"null")) if not stream else good)
            case "hints":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
                await writer.drain()
                writer.write(good)
            case "one_by_one":  # every byte a packet of its own, every chunk with an extension
                for byte in good.replace(b"\r\n", b";a=b\r\n", 0):
                    writer.write(bytes((byte,)))
                    await asyncio.sleep(0)
            case "deflate" | "raw_deflate" | "gzip":
                data = _STREAM if stream else WHOLE
                bits = {"deflate": zlib.MAX_WBITS, "raw_deflate": -zlib.MAX_WBITS, "gzip": 31}[oddity]
                press = zlib.compressobj(wbits=bits)
                more = f"content-encoding: {oddity.removeprefix('raw_')}\r\n"
                writer.write(
                    _chunked(press.compress(data) + press.flush(), more, "text/event-stream" if stream else _JSON)
                )
            case "large_fails":  # one model of several
                if asked.get("model") == "large":
                    bad = b'{"error": {"message": "CUDA out of memory", "code": 500}}'
                    writer.write(_whole(bad, "500 Internal Server Error"))
                else:
                    writer.write(good)
            case "gateway_fails":  # whatever model is asked for
                writer.write(_whole(_PAGE, "502 Bad Gateway", "content-type: text/html\r\n"))
            case "starts_over" | "starts_over_undated" | "starts_over_ms":
                writer.write(_whole(b"{}", "503 Service Unavailable", _starts_over(oddity)))
            case "cut_in_a_frame" | "cut_between_frames":
                said = FULL.role + FULL.words + (FULL.end[:20] if oddity == "cut_in_a_frame" else b"")
                writer.write(_chunked(said).removesuffix(b"0\r\n\r\n"))
                return False
            case "cut_in_gzip":
                press = zlib.compressobj(wbits=31)
                said = press.compress(FULL.role + FULL.words) + press.flush(zlib.Z_SYNC_FLUSH)
                writer.write(_chunked(said, "content-encoding: gzip\r\n"))
            case "login_page":
                writer.write(_whole(_PAGE, more="content-type: text/html; charset=utf-8\r\n"))
            case "login_page_untyped":
                writer.write(_whole(_PAGE, more=""))
            case "no_content":
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            case "cut_in_a_chunk":
                writer.write(_chunked(FULL.role)[:-40])
                return False
            case "switching_protocols":
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
            case "status_zero":
                writer.write(_whole(WHOLE, "000 Nothing"))
            case "endless_hints":
                for _ in range(5000):
                    writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </" + b"x" * 100 + b">\r\n\r\n")
                    await writer.drain()
                return False
            case "brotli" | "no_zstd":
                writer.write(
                    _whole(b"\x0b\x02\x80", more=f"content-encoding: {'br' if oddity == 'brotli' else 'zstd'}\r\n")
                )
            case "bomb" | "raw_bomb":
                wbits, coding = (31, "gzip") if oddity == "bomb" else (-zlib.MAX_WBITS, "deflate")
                writer.write(_whole(_bomb(wbits), more=f"content-type: {_JSON}\r\ncontent-encoding: {coding}\r\n"))
            case "forbidden_redirect":
                writer.write(_whole(b"", "307 Temporary Redirect", "location: http://169.254.169.254/latest/\r\n"))
            case "two_lengths":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!")
            case "junk_behind_lengths":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: minus five\r\n\r\nhello")
            case _:
                writer.write(good)
        await writer.drain()
        return True


_JSON = "application/json"
_LEGACY = WHOLE.replace(b'"content": "all well"', b'"function_call": {"name": "f", "arguments": "{\\"x\\":1}"}')
_LEGACY = _LEGACY.replace(b'"stop"', b'"function_call"')


def _legacy(call: dict[str, str] | None) -> bytes:
    """A piece of a function call, as it was before tools; None: the end."""
    end = None if call else "function_call"
    choice = {"index": 0, "delta": {"function_call": call} if call else {}, "finish_reason": end}
    return b"data: %b\n\n" % json.dumps({"model": "shared", "choices": [choice]}).encode()


def _starts_over(oddity: str) -> str:
    """When to come again, in 40 s."""
    if oddity == "starts_over_ms":
        return "retry-after: 3000\r\nretry-after-ms: 39500\r\n"
    if oddity == "starts_over_undated":
        return f"retry-after: {formatdate(time.time() + 40, usegmt=True)}\r\n"
    return "date: Sat, 21 Nov 2026 10:00:00 GMT\r\nretry-after: Sat, 21 Nov 2026 10:00:40 GMT\r\n"


@cache
def _bomb(wbits: int) -> bytes:
    """A JSON text of 64 MiB in 64 KiB."""
    press = zlib.compressobj(6, wbits=wbits)
    blank = b" " * (1 << 20)
    return b"".join([*(press.compress(blank) for _ in range(64)), press.compress(b"{}"), press.flush()])


def _whole(data: bytes, status: str = "200 OK", more: str = f"content-type: {_JSON}\r\n") -> bytes:
    return f"HTTP/1.1 {status}\r\n{more}content-length: {len(data)}\r\n\r\n".encode() + data


def _chunked(data: bytes, more: str = "", kind: str = "text/event-stream") -> bytes:
    """In chunks whose borders are nowhere near those of the events."""
    pieces = [data[at : at + 77] for at in range(0, len(data), 77)]
    body = b"".join(b"%x;name=value\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return (
        f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{more}transfer-encoding: chunked\r\n\r\n".encode()
        + body
        + b"0\r\n\r\n"
    )


@asynccontextmanager
async def odd_upstream() -> AsyncIterator[OddUpstream]:
    upstream = OddUpstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
