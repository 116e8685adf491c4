"""A WebSocket opened by hand: it reads only when it is told to, and can send what no client would."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import struct
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

__all__ = ["frame", "open_raw", "read_to_end"]


async def open_raw(
    url: str, path: str, receive_buffer: int = 0, headers: Mapping[str, str] = MappingProxyType({})
) -> socket.socket:
    """Through the handshake, and nothing read after it. `receive_buffer` in bytes; 0 leaves the system's."""
    parts = urlsplit(url)
    raw = socket.socket()
    if receive_buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, (parts.hostname, parts.port))
    key = base64.b64encode(os.urandom(16)).decode()
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    await loop.sock_sendall(
        raw,
        f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        f"{more}\r\n".encode(),
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):  # byte by byte, so that no frame behind it is taken
        answer += await asyncio.wait_for(loop.sock_recv(raw, 1), 60)
    assert answer.startswith(b"HTTP/1.1 101"), answer
    return raw


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A whole masked frame; 1 is text, 2 binary, 8 close, 9 ping."""
    length = len(payload)
    head = bytes([0x80 | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 2**16:
        head += bytes([0x80 | 126]) + struct.pack("!H", length)
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", length)
    return head + b"\0\0\0\0" + payload  # a mask of zeros leaves the payload as it is


async def read_to_end(raw: socket.socket, within_s: float = 60.0) -> bytes:
    """Everything until the other side closes or resets."""
    loop = asyncio.get_running_loop()
    found = b""

    async def read() -> None:
        nonlocal found
        try:
            while piece := await loop.sock_recv(raw, 65536):
                found += piece
        except ConnectionError:
            return

    await asyncio.wait_for(read(), within_s)
    return found
