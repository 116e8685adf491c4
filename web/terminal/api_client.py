"""Commands of this package talking to a running Parley server over its own API."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from models.errors import ParleyError
from web.errors import WebError
from web.serving.runfile import RunFile
from web.settings import Settings

__all__ = ["ApiClient", "ServerRefused", "ServerUnreachable", "Target", "find_server"]


class ServerUnreachable(WebError):
    code = "server_unreachable"
    retryable = True
    default_hint = "start it with `parley up`"


class ServerRefused(WebError):
    """The server answered with an error; the message is the server's own."""

    code = "server_refused"


@dataclass(frozen=True, slots=True)
class Target:
    """A server: `url` without a slash at its end, and the key to use."""

    url: str
    key: str = field(repr=False)


def find_server(settings: Settings, url: str | None = None, key: str | None = None) -> Target:
    """The server to talk to: the given one, else the one that runs on this machine with this PARLEY_HOME, else
    whatever listens on PARLEY_HOST and PARLEY_PORT. Raises ServerUnreachable where there is no key for it.
    """
    running = RunFile(settings.home).read()
    if url is None and running is not None:
        return Target(running.url, key or running.key)
    given = key or settings.admin_key
    if not given:
        if url is not None:
            raise ServerUnreachable(f"{url} needs a key", hint="give --key, or set PARLEY_ADMIN_KEY")
        raise ServerUnreachable(
            "no Parley server of yours runs on this machine",
            hint="start one with `parley up`, or name another one with --host, --port and --key",
        )
    return Target(_http_url(url) if url else f"http://{settings.server.host}:{settings.server.port}", given)


def _http_url(url: str) -> str:
    """ws:// and wss:// are taken, too, and any path is cut off."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        scheme, netloc = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme), parts.netloc
    except ValueError:
        scheme = netloc = ""
    if scheme not in ("http", "https") or not netloc:
        raise ServerUnreachable(f"{url!r} is not the address of a server", hint="for example http://127.0.0.1:4000")
    return f"{scheme}://{netloc}"


class ApiClient:
    """JSON requests with the key. Use as an async context manager. Raises ServerUnreachable, ServerRefused."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._http = aiohttp.ClientSession(headers={"authorization": f"Bearer {target.key}"})

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def get(self, path: str) -> dict[str, Any]:
        return await self._call("GET", path, None)

    async def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return await self._call("POST", path, body or {})

    async def check(self, path: str, body: dict[str, Any]) -> None:
        """POST what is answered with anything but JSON, and let go of the answer."""
        status, text = await self._exchange("POST", path, body)
        if status >= 400:
            raise _refusal(status, _json(text))

    async def delete(self, path: str) -> dict[str, Any]:
        return await self._call("DELETE", path, None)

    async def socket(self, path: str) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket of the same server. Messages up to 16 MiB."""
        url = f"ws{self.target.url.removeprefix('http')}{path}"
        try:
            return await self._http.ws_connect(url, heartbeat=20.0, max_msg_size=2**24)
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from None

    async def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        status, text = await self._exchange(method, path, body)
        answer = _json(text)
        if status >= 400 or not isinstance(answer, dict):
            raise _refusal(status, answer)
        return answer

    async def _exchange(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
        timeout = aiohttp.ClientTimeout(total=30)
        try:
            async with self._http.request(method, self.target.url + path, json=body, timeout=timeout) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> ParleyError:
        reason = str(error) or type(error).__name__
        return ServerUnreachable(f"{self.target.url} does not answer: {reason}")


def _json(text: bytes) -> object:
    """None for what is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _refusal(status: int, answer: object) -> ServerRefused:
    said = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(said, dict):
        return ServerRefused(f"the server answered with {status}", hint="check that this is a Parley server")
    message, hint, param = said.get("message"), said.get("hint", ""), said.get("param")
    return ServerRefused(
        f"the server says: {message}", hint=str(hint), param=param if isinstance(param, str) else None
    )
