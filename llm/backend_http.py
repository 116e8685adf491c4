"""How backends read HTTP: bounded, typed, forgiving where servers differ."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from llm.chunk_reader import error_of
from llm.errors import BackendFailed
from models.errors import ParleyError

__all__ = [
    "PROBE_S",
    "SERVER_BROKE",
    "SERVER_GONE",
    "data_of",
    "failure_of",
    "json_of",
    "loads",
    "retry_after_s",
]

PROBE_S = 3.0
MAX_ANSWER_BYTES = 64 << 20
_MAX_RETRY_S = 3600

SERVER_GONE = (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError, ConnectionError, TimeoutError)
"""Nobody is there, or nobody says anything."""
SERVER_BROKE = (aiohttp.ClientError,)
"""It broke off, or what it says is no HTTP. To be caught after SERVER_GONE."""


async def failure_of(response: aiohttp.ClientResponse) -> ParleyError:
    """The typed error of an answer that is not 200."""
    text = (await response.content.read(64 << 10)).decode("utf-8", "replace")
    try:
        body: object = json.loads(text)
    except ValueError:
        body = text
    if response.status in (301, 302, 303, 307, 308):
        return BackendFailed("the server sends us elsewhere", hint="put the address it leads to into base_url")
    return error_of(response.status, body, retry_after_s(response.headers.get("Retry-After", "")))


async def json_of(response: aiohttp.ClientResponse) -> Any:
    """The JSON value of a whole answer, None where it is empty. Raises BackendFailed."""
    data = await data_of(response)
    return loads(data.decode("utf-8", "replace")) if data.strip() else None


async def data_of(response: aiohttp.ClientResponse) -> bytes:
    """The body of a whole answer. Raises BackendFailed where it has no end."""
    data = bytearray()
    async for piece in response.content.iter_any():
        data += piece
        if len(data) > MAX_ANSWER_BYTES:
            raise BackendFailed("the server sent an answer without an end", hint="see the log of that server")
    return bytes(data)


def loads(data: str) -> Any:
    """Raises BackendFailed."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BackendFailed(
            "the server sent something that is no JSON", hint="does base_url point at the API, and not at a page?"
        ) from error


def retry_after_s(value: str) -> int | None:
    """Seconds of a Retry-After header, at most an hour; None for dates and nonsense."""
    text = value.strip().split(".")[0]
    return min(int(text), _MAX_RETRY_S) if text.isascii() and text.isdigit() else None
