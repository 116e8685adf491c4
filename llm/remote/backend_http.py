"""How backends read HTTP: bounded, typed, forgiving where servers differ."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
from pydantic_core import from_json, to_json

from llm.errors import BackendFailed
from llm.remote.chunk_reader import error_of
from llm.remote.exchange import NoAnswer, SpeaksTls
from models.clock import Clock
from models.errors import ParleyError
from models.retry_after import retry_after_s
from models.untrusted import UNTRUSTED_HINT, untrusted

if TYPE_CHECKING:
    from llm.remote.upstream import UpstreamAnswer

__all__ = [
    "MAX_REPLY_BYTES",
    "PROBE_S",
    "SERVER_BROKE",
    "SERVER_GONE",
    "data_of",
    "dumps",
    "failure_of",
    "json_of",
    "loads",
    "read_out",
    "reason_of",
]

PROBE_S = 3.0
MAX_ANSWER_BYTES, MAX_REPLY_BYTES = 64 << 20, 16 << 20
"""Vectors of many texts are long; what one model says is not, and to read it holds up everybody else."""
_TOLD_S, _TOLD_BYTES = 2.0, 64 << 10
"""Of what an error answer says; its status counts in any case."""
_READ_OUT_S, _READ_OUT_BYTES = 0.05, 16 << 10
_WANTS_TLS = re.compile(
    r"plain HTTP request was sent to HTTPS port|HTTP request to an HTTPS server|speaking plain HTTP to an SSL-enabled"
    r"|combination of host and port requires TLS"
)
"""What nginx, Go's servers (Caddy, Ollama), Apache and Tomcat say to plain HTTP on a port for TLS."""

SERVER_GONE = (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError, ConnectionError, TimeoutError)
"""Nobody is there, or nobody says anything."""
SERVER_BROKE = (aiohttp.ClientError,)
"""It broke off, or what it says is no HTTP. To be caught after SERVER_GONE."""


async def failure_of(response: UpstreamAnswer, clock: Clock) -> ParleyError:
    """The typed error of an answer that is not 200. `clock`: for servers that do not say what time it is."""
    data = b""
    with suppress(aiohttp.ClientError, TimeoutError, BackendFailed), anyio.move_on_after(_TOLD_S):
        async for piece in response.pieces():
            data += piece
            if len(data) > _TOLD_BYTES:
                break
    text = data[:_TOLD_BYTES].decode("utf-8", "replace")
    try:
        body: object = loads(text)
    except BackendFailed:
        body = text
    if response.status == 400 and _WANTS_TLS.search(text):
        return BackendFailed("the server wants TLS", hint="write https:// in base_url", of_server=True)
    if response.status in (301, 302, 303, 307, 308):
        hint = "put the address it leads to into base_url"
        return BackendFailed("the server sends us elsewhere", hint=hint, of_server=True)
    date = response.header(b"date") or format_datetime(clock.wall())
    told = retry_after_s(response.header(b"retry-after"), date, response.header(b"retry-after-ms"))
    return error_of(response.status, body, told)


async def json_of(response: UpstreamAnswer) -> Any:
    """The JSON value of a whole answer, None where it is empty. Raises BackendFailed."""
    data = await data_of(response)
    return loads(data) if data.strip() else None


async def data_of(response: UpstreamAnswer, most_bytes: int = MAX_ANSWER_BYTES) -> bytes:
    """The body of a whole answer. Raises BackendFailed where it has no end."""
    data = bytearray()
    async for piece in response.pieces():
        data += piece
        if len(data) > most_bytes:
            raise BackendFailed("the server sent an answer without an end", hint="see the log of that server")
    return bytes(data)


async def read_out(response: UpstreamAnswer) -> None:
    """Take what comes behind the end of a stream (its last chunk), for a moment at most: a connection that was read
    to its end can be used again, and a new one costs a server far away three round trips. Raises nothing.
    """
    if response.at_end:
        return
    with suppress(aiohttp.ClientError, OSError), anyio.move_on_after(_READ_OUT_S):
        left = _READ_OUT_BYTES
        async for piece in response.pieces():
            left -= len(piece)
            if left < 0:
                return


def reason_of(error: BaseException) -> tuple[str, str]:
    """Why nobody answers, and what can be done."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return untrusted(error), f"{UNTRUSTED_HINT} or check base_url"
        case aiohttp.ClientConnectorSSLError():
            return "it does not speak TLS as we do", "is it http:// and not https://? check base_url"
        case aiohttp.ClientConnectorDNSError():
            return "the name of its host is not known", "check base_url, and the name service of this machine"
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return "nobody listens there", "check that the server is running and that base_url is right"
        case aiohttp.ClientConnectorError(os_error=ConnectionResetError()):
            return "it ends the connection as soon as we speak TLS", "is it http:// and not https://? check base_url"
        case SpeaksTls():
            return "it speaks TLS", "write https:// in base_url"
        case NoAnswer():
            return (
                "it ends the connection without a word",
                "see the log of that server, and check base_url: its port, and whether it must be https://",
            )
    return type(error).__name__, "check that the server is running and that base_url is right"


def loads(data: str | bytes) -> Any:
    """Raises BackendFailed."""
    with suppress(ValueError):
        return from_json(data)  # several times as fast; it takes no half of a surrogate pair, and is not as deep
    if isinstance(data, bytes):
        data = data.decode("utf-8", "replace")
    data = data.removeprefix("\ufeff")  # a byte order mark, which servers must not send (RFC 8259) and some do
    try:
        value = json.loads(data)
        if "\\ud" in data or "\\uD" in data:
            # "\ud83d" alone is allowed in JSON, and cannot be written as UTF-8 again.
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
        return value
    except (ValueError, RecursionError) as error:
        raise BackendFailed(
            "the server sent something that is not JSON",
            hint="check that base_url is the address of the API, not of a web page",
        ) from error


def dumps(body: Mapping[str, Any]) -> bytes:
    try:
        return to_json(body)
    except ValueError:  # half of a surrogate pair, which JSON can only write as an escape
        return json.dumps(body).encode()
