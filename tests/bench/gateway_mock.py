"""An upstream that answers chat completions as fast as Python can: a raw asyncio protocol in a process of its own.

`python -m tests.bench.gateway_mock PORT FRAMES`: a whole answer at once, or FRAMES content events, each in a write of
its own, and [DONE].
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, cast

import uvloop

__all__ = ["FRAMES"]

FRAMES = 20
HEAD = {"id": "chatcmpl-mock", "created": 1_700_000_000, "model": "mock"}
USAGE = {"prompt_tokens": 9, "completion_tokens": FRAMES, "total_tokens": 9 + FRAMES}


def _chunk(number: int) -> bytes:
    delta: dict[str, Any] = {"content": f"word{number} "} if number else {"role": "assistant", "content": "word0 "}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    return _event({**HEAD, "object": "chat.completion.chunk", "choices": [choice]})


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _framed(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _whole(body: dict[str, Any], kind: str = "application/json") -> bytes:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n\r\n"
    return head.encode() + data


MESSAGE = {"role": "assistant", "content": "".join(f"word{n} " for n in range(FRAMES)), "refusal": None}
ANSWER = _whole(
    {
        **HEAD,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": MESSAGE, "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
    }
)
MODELS = _whole({"object": "list", "data": [{"id": "mock", "object": "model", "created": 1, "owned_by": "mock"}]})
OPENING = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PIECES = [_framed(_chunk(number)) for number in range(FRAMES)]
END = _event(
    {**HEAD, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
)
USED = _event({**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
DONE = b"data: [DONE]\n\n"


class Mock(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's
        self.transport, self.data = cast(asyncio.Transport, transport), b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (cut := self.data.find(b"\r\n\r\n")) >= 0:
            head, length = self.data[:cut].lower(), 0
            if (at := head.find(b"content-length:")) >= 0:
                length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self.data) < cut + 4 + length:
                return
            body, self.data = self.data[cut + 4 : cut + 4 + length], self.data[cut + 4 + length :]
            self.answer(head, json.loads(body) if body else {})

    def answer(self, head: bytes, asked: dict[str, Any]) -> None:
        if head.startswith(b"get"):
            self.transport.write(MODELS)
        elif not asked.get("stream"):
            self.transport.write(ANSWER)
        else:
            self.transport.write(OPENING)
            self._piece(0, bool((asked.get("stream_options") or {}).get("include_usage")))

    def _piece(self, number: int, usage: bool) -> None:
        """One event a turn of the loop, so that each goes out as a packet of its own."""
        if self.transport.is_closing():
            return
        if number < FRAMES:
            self.transport.write(PIECES[number])
            asyncio.get_running_loop().call_soon(self._piece, number + 1, usage)
        else:
            self.transport.write(_framed(END + (USED if usage else b"") + DONE) + b"0\r\n\r\n")


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Mock, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
