"""HTTP to a speech service, local worker or remote: one place that turns its failures into our errors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from models.errors import BadInput, ParleyError
from models.secrecy import hidden
from voice.errors import SpeechEngineError

__all__ = ["post", "raise_for"]

CONNECT_S = 5.0
_NO_RESPONSE = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


@asynccontextmanager
async def post(
    http: aiohttp.ClientSession,
    url: str,
    failed: type[SpeechEngineError],
    *,
    hint: str,
    timeout_s: float,
    body: Callable[[], Mapping[str, Any]],
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """POST and give the response, whatever its status, once its headers are there.

    `body` gives aiohttp's `json` or `data`, anew for each try: a kept connection that the service had just closed
    is replaced by a new one, once. `timeout_s` is the longest silence of the service, before the headers and
    between pieces of the body. Raises `failed` for everything that is wrong with the network, also while the body
    is read inside the `async with`. Cancel-safe.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=timeout_s)
    try:
        try:
            response = await http.post(url, timeout=timeout, headers=headers, **body())
        except aiohttp.ClientConnectorError:
            raise
        except _NO_RESPONSE:
            response = await http.post(url, timeout=timeout, headers=headers, **body())
        async with response:
            yield response
    except TimeoutError as error:
        raise failed(f"{url} did not answer within {timeout_s:g} s", hint=hint) from error
    except aiohttp.ClientConnectorError as error:
        raise failed(f"nobody answers at {url}", hint=hint) from error
    except aiohttp.ClientError as error:
        raise failed(f"the connection to {url} broke ({type(error).__name__})", hint=hint) from error


async def raise_for(response: aiohttp.ClientResponse, failed: type[SpeechEngineError], *, hint: str) -> None:
    """Raise unless the status is 200: BadInput for what was wrong with the request, else `failed`."""
    if response.status == 200:
        return
    raise _refusal(response.status, (await response.content.read(65_536)).decode(errors="replace"), failed, hint)


def _refusal(status: int, body: str, failed: type[SpeechEngineError], hint: str) -> ParleyError:
    """1. Not let in. 2. The request was wrong (400, 413, 422). 3. The service's fault."""
    body = hidden(body)  # before it is cut: half a key is a key, too
    message, param = body.strip()[:200], None
    try:
        error = json.loads(body)["error"]
        message, param = str(error["message"])[:500], error.get("param")
    except (ValueError, KeyError, TypeError, AttributeError):
        pass  # not OpenAI's error object: the text itself must do
    if status in (401, 403):  # 1
        return failed(f"the service refused the key ({status}): {message}", hint="check api_key in parley.toml")
    if status in (400, 413, 422):  # 2
        return BadInput(
            f"the service refused the request: {message}", param=param if isinstance(param, str) else None
        )
    return failed(f"the service answered {status}: {message}", hint=hint)  # 3
