"""The Python client: any backend, the same few methods. Documented in docs/python-client.md.

    async with LLMClient(backend_type="ollama") as client:
        reply = await client.chat("qwen3:4b", [{"role": "user", "content": "Hello"}], {"temperature": 0})

Errors (llm/errors.py): BackendUnreachable, UnknownModel, BackendFailed; BadInput for what cannot be asked.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, fields, replace
from types import TracebackType
from typing import Any, cast

import aiohttp
import anyio

from llm.backends.auto import AutoBackend
from llm.client_options import read_options
from llm.convert.chat import parse_chat, to_request
from llm.errors import UnknownModel
from llm.port import BackendConfig, BackendSpec
from llm.remote.openai_client import OpenAIClient
from llm.stream import Finish, ReasoningDelta, TextDelta, ToolCallDelta
from models.dead_peers import probed_socket
from models.errors import BadInput, ParleyError
from models.names import NameResolver
from models.registry import discover

__all__ = ["BackendFactory", "ChatDelta", "ChatMetrics", "ChatReply", "LLMClient"]


@dataclass(frozen=True, slots=True)
class ChatDelta:
    """A piece of the reply: text, or the model's thinking."""

    text: str = ""
    reasoning: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ChatMetrics:
    """What came last. Tokens are the server's own counts, None where it counts none; times are this client's."""

    prompt_tokens: int | None
    generated_tokens: int | None
    tokens_per_second: float | None
    """Of the generated tokens after the first; of all in all the time where the reply came nearly in one piece."""
    seconds: float
    first_token_seconds: float | None
    finish_reason: str = "stop"
    model: str = ""


@dataclass(frozen=True, slots=True)
class ChatReply:
    """A whole reply. `tool_calls` are OpenAI's objects."""

    text: str
    reasoning: str
    tool_calls: tuple[dict[str, Any], ...]
    metrics: ChatMetrics

    def __str__(self) -> str:
        return self.text


class LLMClient:
    """One server. In an `async with` connections are kept until its end; outside of one each call has its own, so
    that nothing is left open, and a client may be used in one event loop after another.
    """

    def __init__(
        self, backend_type: str = "auto", base_url: str | None = None, api_key: str | None = None, **settings: Any
    ) -> None:
        """`settings` are those of `[[backends]]`. Raises BadInput for a type or a setting that does not exist."""
        spec = _spec(backend_type)
        known = {field.name for field in fields(BackendConfig)}
        if unknown := settings.keys() - known:
            raise BadInput(f"there is no setting {sorted(unknown)[0]!r}", hint=f"known: {', '.join(sorted(known))}")
        if base_url and not str(base_url).startswith(("http://", "https://")):
            raise BadInput("base_url must start with http:// or https://", param="base_url")
        given = {"name": backend_type, **settings}
        self._config = BackendConfig(
            **given, type=spec.name, base_url=base_url or spec.default_url, api_key=api_key or ""
        )
        self._http: aiohttp.ClientSession | None = None
        self._made: OpenAIClient | AutoBackend | None = None
        self._found: BackendConfig | None = None
        """What a server of unknown kind was found to be."""
        self._calls, self._keeps = 0, False

    async def health_check(self) -> bool:
        """Raises nothing."""
        try:
            async with self._backend() as backend:
                return await backend.health()
        except ParleyError:  # of a type that was to be found out
            return False

    async def list_models(self) -> list[str]:
        """Raises BackendUnreachable."""
        async with self._backend() as backend:
            return [info.id for info in await backend.models()]

    async def get_model_context_limit(self, model: str) -> int:
        """Tokens. Raises UnknownModel where the server does not tell."""
        async with self._backend() as backend:
            limit = await backend.context_limit(model)
        if limit is None:
            raise UnknownModel(f"{self._config.name} does not tell how long a context {model!r} takes")
        return limit

    async def chat(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        options: Mapping[str, Any] | None = None,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> ChatReply:
        """The whole reply. `messages` are OpenAI's; `options`: temperature, num_ctx, num_predict, repeat_penalty,
        top_p, top_k, seed, thinking, and every sampling setting of /v1/chat/completions.
        """
        text, reasoning, calls, metrics = "", "", dict[int, dict[str, Any]](), None
        async with aclosing(self._events(model, messages, options, tools)) as events:
            async for event in events:
                match event:
                    case ChatDelta():
                        text, reasoning = text + event.text, reasoning + event.reasoning
                    case ChatMetrics():
                        metrics = event
                    case ToolCallDelta():
                        empty = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
                        call = calls.setdefault(event.index, empty)
                        call["id"] = event.id or call["id"]
                        call["function"]["name"] += event.name or ""
                        call["function"]["arguments"] += event.arguments
        assert metrics is not None  # a stream that did not raise ends with them
        return ChatReply(text, reasoning, tuple(calls[index] for index in sorted(calls)), metrics)

    async def chat_stream(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        options: Mapping[str, Any] | None = None,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> AsyncGenerator[ChatDelta | ToolCallDelta | ChatMetrics, None]:
        """Deltas as they come, then the metrics. Closing the iterator stops the server's work."""
        async with aclosing(self._events(model, messages, options, tools)) as events:
            async for event in events:
                yield event

    async def preload_model(self, model: str) -> None:
        """Raises UnknownModel, BackendUnreachable. Servers that load by themselves do nothing here."""
        async with self._backend() as backend:
            await backend.preload(model)

    async def embed(self, texts: Sequence[str], model: str = "") -> list[list[float]]:
        async with self._backend() as backend:
            return await backend.embed(texts, model)

    async def rerank(self, query: str, documents: Sequence[str], model: str = "") -> list[float]:
        async with self._backend() as backend:
            return await backend.rerank(query, documents, model)

    async def get_backend_info(self) -> dict[str, Any]:
        """{"name", "type", "base_url", "description", "healthy", "models"}; never the key. Raises nothing."""
        healthy, kind, models = await self.health_check(), self._config.type, list[str]()
        if healthy:
            with suppress(ParleyError):  # it may end between two questions, or answer the one and not the other
                async with self._backend() as backend:
                    kind = backend.config.type
                    models = [info.id for info in await backend.models()]
        return {
            "name": self._config.name,
            "type": kind,
            "base_url": self._config.base_url,
            "description": discover("llm.backends")[kind].description,
            "healthy": healthy,
            "models": models,
        }

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http, self._made = None, None

    async def __aenter__(self) -> LLMClient:
        self._keeps = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeps = False
        await self.aclose()

    async def _events(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        options: Mapping[str, Any] | None,
        tools: Sequence[Mapping[str, Any]],
    ) -> AsyncGenerator[ChatDelta | ToolCallDelta | ChatMetrics, None]:
        asked, num_ctx = read_options(options or {})
        body = {**asked, "model": model, "messages": list(messages), **({"tools": list(tools)} if tools else {})}
        request = to_request(parse_chat(body))
        async with self._backend() as backend:
            if num_ctx:
                backend = type(backend)(replace(backend.config, context_size=num_ctx), self._session())
            started_s, first_s, finish = anyio.current_time(), None, None
            last_s, pauses = started_s, 0
            async with aclosing(backend.generate(request)) as events:
                async for event in events:
                    now_s = anyio.current_time()
                    if first_s is None and not isinstance(event, Finish):
                        first_s = now_s
                    elif now_s - last_s > _APART_S:
                        pauses += 1
                    last_s = now_s
                    match event:
                        case TextDelta(text=text) if text:
                            yield ChatDelta(text)
                        case ReasoningDelta(text=text) if text:
                            yield ChatDelta(reasoning=text)
                        case ToolCallDelta():
                            yield event
                        case Finish():
                            finish = event
        assert finish is not None
        yield _metrics(finish, started_s, first_s, anyio.current_time(), pauses)

    @asynccontextmanager
    async def _backend(self) -> AsyncIterator[OpenAIClient]:
        """For one call. Raises BackendUnreachable where the type is to be found out and nobody answers."""
        self._calls += 1
        try:
            if self._made is None:
                found = self._found or self._config
                spec = discover("llm.backends")[found.type]
                self._made = cast("OpenAIClient | AutoBackend", spec.load(found, self._session()))
            if isinstance(self._made, AutoBackend):
                self._made = cast("OpenAIClient", await self._made.resolved())
                self._found = self._made.config
            yield self._made
        finally:
            self._calls -= 1
            if not self._calls and not self._keeps:
                with anyio.CancelScope(shield=True):
                    await self.aclose()

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            connector = aiohttp.TCPConnector(limit=0, resolver=NameResolver(), socket_factory=probed_socket)
            self._http = aiohttp.ClientSession(connector=connector)
        return self._http


class BackendFactory:
    """Makes clients by the name of their type."""

    @staticmethod
    def create(name: str, base_url: str | None = None, api_key: str | None = None, **settings: Any) -> LLMClient:
        """Raises BadInput that names the nearest type there is."""
        return LLMClient(name, base_url, api_key, **settings)

    @staticmethod
    def available() -> tuple[str, ...]:
        return tuple(discover("llm.backends"))


def _spec(name: str) -> BackendSpec:
    specs: dict[str, BackendSpec] = discover("llm.backends")
    if not isinstance(name, str):
        raise BadInput("backend_type is the name of a type", hint=f"there are: {', '.join(specs)}")
    wanted = _letters(name)
    for spec in specs.values():
        if wanted in map(_letters, (spec.name, *spec.aliases)):
            return spec
    near = difflib.get_close_matches(wanted, specs, n=1)
    raise BadInput(
        f"there is no backend type {name!r}",
        hint=f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(specs)}",
        param="backend_type",
    )


def _letters(name: str) -> str:
    """People write LM Studio, lm-studio and lm_studio."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


_APART_S = 0.0005
"""Pieces that come closer together than this had been waiting for each other."""


def _metrics(finish: Finish, started_s: float, first_s: float | None, ended_s: float, pauses: int) -> ChatMetrics:
    usage, speed = finish.usage, None
    if usage is not None and usage.completion_tokens and ended_s > started_s:
        speed = usage.completion_tokens / (ended_s - started_s)
        if first_s is not None and pauses > 1:
            speed = max(1, usage.completion_tokens - 1) / (ended_s - first_s)
    return ChatMetrics(
        prompt_tokens=usage.prompt_tokens if usage else None,
        generated_tokens=usage.completion_tokens if usage else None,
        tokens_per_second=speed,
        seconds=ended_s - started_s,
        first_token_seconds=None if first_s is None else first_s - started_s,
        finish_reason=finish.reason,
        model=finish.model,
    )
