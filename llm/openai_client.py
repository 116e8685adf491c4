"""A client of OpenAI's chat completions over HTTP: one request out, stream events in, typed errors."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp

from llm.chunk_reader import ChunkReader, error_of
from llm.convert import to_body
from llm.errors import BackendFailed, BackendUnreachable, LlmError
from llm.messages import GenerateRequest
from llm.port import BackendConfig, ModelInfo
from llm.sse import SseReader
from llm.stream import StreamEvent

__all__ = ["OpenAIClient"]

CONNECT_S = 5.0
PROBE_S = 3.0


class OpenAIClient:
    """A Backend. `http` is the shared session. Closing the iterator of `generate` closes the upstream socket.

    `gone` and `broken` make the errors for a server that does not answer and one that stops in the middle.
    """

    ours = False
    """Whether the server understands the fields that are Parley's own."""

    def __init__(self, config: BackendConfig, http: aiohttp.ClientSession) -> None:
        self.name = config.name
        self.config = config
        self._http = http
        self._base = config.base_url.rstrip("/")

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        body = to_body(request, request.model or self.config.model, ours=self.ours)
        reader, events = ChunkReader(choices=request.n), SseReader()
        try:
            async with self._http.post(
                f"{self._base}/chat/completions", json=body, headers=self._headers(), timeout=self._patience()
            ) as response:
                if response.status != 200:
                    raise error_of(response.status, await _json_or_text(response))
                if response.content_type == "application/json":  # a server that does not stream
                    for event in reader.read(await response.json()):
                        yield event
                    yield reader.finish()
                    return
                async for piece in response.content.iter_any():
                    for data in events.feed(piece):
                        if data == "[DONE]":
                            yield reader.finish()
                            return
                        for event in reader.read(_loads(data)):
                            yield event
                for data in events.close():
                    for event in reader.read(_loads(data)) if data != "[DONE]" else ():
                        yield event
                if reader.reason is None:
                    raise self.broken()
                yield reader.finish()
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError, ConnectionError) as error:
            raise self.gone(error) from error
        except aiohttp.ClientError as error:
            raise self.broken() from error
        except TimeoutError as error:
            raise self.gone(error) from error

    async def health(self) -> bool:
        try:
            await self.models()
        except LlmError:
            return False
        return True

    async def models(self) -> tuple[ModelInfo, ...]:
        """What the server lists, with the context length where it tells. Raises BackendUnreachable, BackendFailed."""
        try:
            async with self._http.get(
                f"{self._base}/models", headers=self._headers(), timeout=aiohttp.ClientTimeout(total=PROBE_S)
            ) as response:
                if response.status != 200:
                    raise error_of(response.status, await _json_or_text(response))
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise self.gone(error) from error
        except ValueError as error:
            raise BackendFailed(f"{self.name} lists its models in a form that is no JSON") from error
        rows = answer.get("data") if isinstance(answer, dict) else None
        return tuple(
            ModelInfo(str(row["id"]), self.name, _context(row), str(row.get("owned_by") or self.name))
            for row in rows or ()
            if isinstance(row, dict) and row.get("id")
        )

    async def forget(self, conversation: str) -> None:
        """Other servers keep their caches themselves."""

    async def aclose(self) -> None:
        """The HTTP session is not ours."""

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.config.api_key}"} if self.config.api_key else {}

    def _patience(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=self.config.timeout_s)

    def gone(self, error: BaseException) -> LlmError:
        return BackendUnreachable(
            f"{self.name} at {self._base} does not answer ({type(error).__name__})",
            hint="is the server running? check base_url",
        )

    def broken(self) -> LlmError:
        return BackendFailed(f"{self.name} broke off its answer", hint="see the log of that server")


def _context(row: dict[str, Any]) -> int | None:
    meta = row.get("meta") if isinstance(row.get("meta"), dict) else {}
    value = row.get("max_model_len") or (meta or {}).get("n_ctx") or (meta or {}).get("n_ctx_train")
    return value if isinstance(value, int) else None


def _loads(data: str) -> object:
    try:
        return json.loads(data)
    except ValueError as error:
        raise BackendFailed("the server sent an event that is no JSON") from error


async def _json_or_text(response: aiohttp.ClientResponse) -> object:
    text = (await response.content.read(64 << 10)).decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return text
