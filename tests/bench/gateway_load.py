"""Load on a chat completions server: a raw HTTP/1.1 client on asyncio, in a process of its own.

`python -m tests.bench.gateway_load URL KEY CLIENTS SECONDS STREAM FRAMES` prints one line of JSON: requests, seconds,
latencies_ms (sorted), first_ms (sorted), lost (frames), failed (requests).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

import uvloop

__all__ = ["Load"]


class Load:
    def __init__(self, url: str, key: str, stream: bool, frames: int) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        body = json.dumps({"model": "mock", "messages": [{"role": "user", "content": "hello"}], "stream": stream})
        self.request = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        ).encode()
        self.stream, self.frames = stream, frames
        self.latencies: list[float] = []
        self.first: list[float] = []
        self.lost = self.failed = 0

    async def client(self, until: float) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            while time.perf_counter() < until:
                started = time.perf_counter()
                writer.write(self.request)
                status, body, first = await self._answer(reader)
                self.latencies.append(time.perf_counter() - started)
                self.first.append(first - started)
                if status != 200:
                    self.failed += 1
                elif self.stream:
                    self.lost += self.frames - body.count(b'"content"') + (b"data: [DONE]" not in body)
                elif b"word0" not in body:
                    self.lost += 1
        except (OSError, EOFError, ValueError):
            self.failed += 1
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes, float]:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head.split(b" ", 2)[1])
        if (at := head.find(b"content-length:")) >= 0:
            body = await reader.readexactly(int(head[at + 15 :].split(b"\r\n", 1)[0]))
            return status, body, time.perf_counter()
        parts: list[bytes] = []
        first = 0.0
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
            first = first or time.perf_counter()
        await reader.readexactly(2)
        return status, b"".join(parts), first


async def main(url: str, key: str, clients: int, seconds: float, stream: bool, frames: int) -> None:
    load = Load(url, key, stream, frames)
    started = time.perf_counter()
    await asyncio.gather(*(load.client(started + seconds) for _ in range(clients)))
    found = {
        "requests": len(load.latencies) - load.failed,
        "seconds": time.perf_counter() - started,
        "latencies_ms": sorted(1000 * value for value in load.latencies),
        "first_ms": sorted(1000 * value for value in load.first),
        "lost": load.lost,
        "failed": load.failed,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    _, url, key, clients, seconds, stream, frames = sys.argv
    uvloop.run(main(url, key, int(clients), float(seconds), stream == "1", int(frames)))
