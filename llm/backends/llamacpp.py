"""llama.cpp's own server: by its chat API, or by its native /completion (`api = "completion"`).

Source: llama.cpp's tools/server/README.md. Its settings have our names, for ours are its.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import anyio

from llm.convert.chat import to_body
from llm.convert.formats import grammar_schema
from llm.errors import BackendFailed, UnknownModel
from llm.messages import GenerateRequest
from llm.port import BackendSpec
from llm.remote.llamacpp_completion import CompletionReader, completion_body
from llm.remote.openai_client import OpenAIClient
from llm.remote.request_defaults import with_defaults
from llm.remote.sse import SseReader
from llm.stream import StreamEvent
from models.errors import BadInput, ParleyError

__all__ = ["SPEC", "LlamaCppServer"]

POLL_S = 0.5
"""A model that loads is asked after this often."""
BEGINS_S = 5.0
"""A model that was told to load is loading by then."""
_FOR_TEMPLATES: tuple[str, ...] = ("messages", "chat_template_kwargs", "reasoning_effort")


class LlamaCppServer(OpenAIClient):
    health_path = "/health"

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        """With tools, media or several replies by the chat API always: /completion has none of them."""
        plain = not request.tools and request.n == 1 and not any(message.media for message in request.messages)
        plain = plain and request.prompt is None
        stream = self._complete(request) if self.config.api == "completion" and plain else super().generate(request)
        try:
            async for event in stream:
                yield event
        finally:
            await stream.aclose()

    async def _complete(self, request: GenerateRequest) -> AsyncGenerator[StreamEvent, None]:
        request = with_defaults(request, self.config)
        model = request.model or self.config.model
        asked = to_body(request, model, carries=True)
        told: dict[str, Any] = {name: asked[name] for name in asked if name in _FOR_TEMPLATES}
        shown = await self._post(f"{self._root}/apply-template", told)
        prompt = shown.get("prompt") if isinstance(shown, dict) else None
        if not isinstance(prompt, str):
            raise BadInput(f"{self.name} makes no prompt of these messages", hint='set api = "chat" for this backend')
        body = completion_body(request, model, prompt, grammar_schema(request.response_format))
        async with aclosing(
            self._frames(f"{self._root}/completion", body, SseReader(), CompletionReader(request.sampling.logprobs))
        ) as events:
            async for event in events:
                yield event

    async def context_limit(self, model: str) -> int | None:
        """Of one slot of the server, not what the model was trained on."""
        shown = await self._get(f"{self._root}/props")
        settings = shown.get("default_generation_settings") if isinstance(shown, dict) else None
        length = settings.get("n_ctx") if isinstance(settings, dict) else None
        return length if isinstance(length, int) and length > 0 else await super().context_limit(model)

    async def preload(self, model: str) -> None:
        """A server in router mode loads models, and says at once that it has begun; any other has its one loaded
        already. Waits until it is there. Raises BackendFailed where it cannot be loaded.
        """
        wanted = self.config.model_path or model or self.config.model
        try:
            await self._post(f"{self._root}/models/load", {"model": wanted})
        except UnknownModel:
            return
        except ParleyError as error:
            if "already" not in error.message:  # loaded, or loading
                raise
        begun_s = anyio.current_time()
        while (status := await self._status(wanted)) is not None:
            value = status.get("value")
            if value in ("loaded", "sleeping"):
                return
            late = anyio.current_time() - begun_s > BEGINS_S and value != "loading"
            if status.get("failed") or value == "failed" or late:
                raise BackendFailed(
                    f"{self.name} could not load {wanted}: {str(value)[:40]}, exit code {status.get('exit_code')}",
                    hint="see the log of that server",
                )
            await anyio.sleep(POLL_S)

    async def _status(self, model: str) -> dict[str, Any] | None:
        """What the router says of that model; None where it tells nothing of the kind."""
        try:
            answer = await self._get(f"{self._root}/models")
        except UnknownModel:
            return None
        rows = answer.get("data") if isinstance(answer, dict) else None
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and model in (row.get("id"), *_names(row.get("aliases"))):
                status = row.get("status")
                return status if isinstance(status, dict) else None
        return None


def _names(aliases: object) -> list[object]:
    return aliases if isinstance(aliases, list) else []


SPEC = BackendSpec(
    name="llamacpp",
    load=LlamaCppServer,
    default_url="http://127.0.0.1:8080/v1",
    description="llama.cpp's server",
    probes=("/props",),
    recognise=lambda seen: (
        "/props" in seen
        and isinstance(seen["/props"].body, dict)
        and ("total_slots" in seen["/props"].body or "default_generation_settings" in seen["/props"].body)
    ),
    rank=80,
    aliases=("llama.cpp", "llama_cpp"),
)
